"""The wheels in a runtime, by what their own metadata say of them."""

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

from slipway.errors import Refused

_LONGEST = 80
"""Characters; a longer "License" is the licence's text, and not its name."""


class Wheel(NamedTuple):
    """A wheel that hosts install."""

    file: str
    name: NormalizedName
    version: str
    sha256: str
    summary: str
    licences: tuple[str, ...]
    """An SPDX expression, or names as its authors wrote them; none where they say nothing."""
    needs: tuple[Requirement, ...]


def read(runtime: Path) -> list[Wheel]:
    """The wheels in a runtime's tar, by file name.

    Raises:
        Refused: It is no runtime.
    """
    try:
        return sorted(_wheels(runtime))
    except (tarfile.TarError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise Refused(f"{runtime} is not a runtime: {error}") from error


def _wheels(runtime: Path) -> Iterator[Wheel]:
    with tarfile.open(runtime) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if path.suffix == ".whl" and (content := archive.extractfile(member)):
                yield _wheel(path.name, content.read())


def _wheel(file: str, content: bytes) -> Wheel:
    name, version, _, _ = parse_wheel_filename(file)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (path,) = [each for each in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each)]
        said = BytesHeaderParser().parsebytes(archive.read(path))
    return Wheel(
        file, name, str(version), hashlib.sha256(content).hexdigest(), str(said.get("Summary", "")),
        _licences(said), tuple(_needs(said)),
    )  # fmt: skip


def _licences(said: Message) -> tuple[str, ...]:
    if expression := said.get("License-Expression"):
        return (str(expression),)
    words = str(said.get("License", "")).strip()
    if words and len(words) <= _LONGEST and "\n" not in words:
        return (words,)
    classes = [str(each).split(" :: ") for each in said.get_all("Classifier", [])]
    return tuple(each[-1] for each in classes if each[0] == "License")


def _needs(said: Message) -> Iterator[Requirement]:
    for words in said.get_all("Requires-Dist", []):
        try:
            yield Requirement(str(words))
        except InvalidRequirement as error:
            raise ValueError(str(error)) from error


def graph(wheels: Sequence[Wheel], hosts: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Which wheels each wheel needs, all by file name.

    Args:
        wheels: All that there are; a need that is not among them is none on these hosts.
        hosts: What requirements may ask of each: the variables of PEP 508.
    """
    files: dict[str, list[str]] = {}
    for wheel in wheels:
        files.setdefault(wheel.name, []).append(wheel.file)
    by_file = {wheel.file: wheel for wheel in wheels}
    needed: dict[str, set[str]] = {wheel.file: set() for wheel in wheels}
    waiting = [(wheel.file, "") for wheel in wheels]
    seen = set(waiting)
    while waiting:
        file, extra = waiting.pop()
        for need in by_file[file].needs:
            if _applies(need, hosts, extra):
                found = files.get(canonicalize_name(need.name), [])
                needed[file].update(found)
                more = {(each, wanted) for each in found for wanted in need.extras} - seen
                seen |= more
                waiting += sorted(more)
    return {file: sorted(found) for file, found in needed.items()}


def _applies(need: Requirement, hosts: Sequence[Mapping[str, str]], extra: str) -> bool:
    marker = need.marker
    return marker is None or any(marker.evaluate({**host, "extra": extra}) for host in hosts)
