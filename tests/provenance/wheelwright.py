"""Makes small wheels, and runtimes of them."""

import io
import json
import zipfile
from collections.abc import Mapping
from hashlib import sha256

from slipway import bundle

_SAID_BY_SERVER = """\
License: MIT
Provides-Extra: fast
Requires-Dist: quick; extra == 'fast'
Requires-Dist: colour; extra == 'shiny'
Requires-Dist: backport; python_version < '3.11'
Requires-Dist: posix-only; sys_platform == 'linux'"""
SLIPWAY = (
    "slipway-0.1.0-py3-none-any.whl",
    "License-Expression: Apache-2.0\nRequires-Dist: numpy>=2\nRequires-Dist: Server.Thing[fast]>=1",
)
NUMPY = (
    "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl",
    "Summary: Arrays\nLicense-Expression: BSD-3-Clause AND MIT",
)
NEWER_NUMPY = ("numpy-2.5.0-cp311-cp311-manylinux_2_28_x86_64.whl", NUMPY[1])
SERVER = ("server_thing-1.2-py3-none-any.whl", _SAID_BY_SERVER)
REST = {
    "quick-3.0-py3-none-any.whl": "Classifier: License :: OSI Approved :: MIT License\nClassifier: Topic :: Games",
    "colour-1.0-py3-none-any.whl": f"License: {'All the words of a licence. ' * 9}",
    "backport-1.0-py3-none-any.whl": "License: Apache 2.0",
    "posix_only-1.0-py3-none-any.whl": "",
}
WHEELS = dict([SLIPWAY, NUMPY, SERVER, *REST.items()])


def wheel(file: str, said: str) -> bytes:
    """A wheel with nothing in it but what is said of it."""
    name, version, *_ = file.split("-")
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{said}".strip()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        path = f"{name}-{version}.dist-info/METADATA"
        archive.writestr(zipfile.ZipInfo(path), f"{head}\n\nA long description.\n")
    return written.getvalue()


def runtime(wheels: Mapping[str, str]) -> tuple[bytes, str]:
    """The tar, and its record."""
    contents = {f"wheels/{file}": wheel(file, said) for file, said in wheels.items()}
    packed = bundle.tar({**contents, "requirements.txt": b"slipway==0.1.0\n"})
    record = {"sha256": sha256(packed).hexdigest(), "bytes": len(packed), "wheels": sorted(wheels)}
    return packed, json.dumps(record)
