"""Stage `runtime`: the serving code and its locked dependencies, as wheels in one deterministic tar."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from slipway import bundle, params
from slipway.errors import InputError, MachineError
from slipway.pipeline import stage

PYTHON = "3.11"
_FIRST_GLIBC_MINOR = 5
_EPOCH = "315532800"  # 1980-01-01, the first day that a zip can hold


def export_command(lock: Path) -> list[str]:
    """Print what a host installs, each with its hashes, from the lock file beside `pyproject.toml`."""
    return [
        sys.executable, "-m", "uv", "export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-header",
        "--no-annotate", "--quiet", "--project", str(lock.parent),
    ]  # fmt: skip


def download_command(requirements: Path, platform: str, to: Path) -> list[str]:
    """Download the locked wheels for a platform, whatever platform this is."""
    tags = [argument for tag in platform_tags(platform) for argument in ("--platform", tag)]
    return [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp",
        f"--python-version={PYTHON}", *tags, f"--dest={to}", f"--requirement={requirements}",
    ]  # fmt: skip


def platform_tags(platform: str) -> list[str]:
    """A platform and those whose wheels also run there: every older glibc (PEP 600), the most recent first."""
    if not (match := re.fullmatch(r"manylinux_2_(\d+)_(\w+)", platform)):
        return [platform]
    newest, architecture = int(match[1]), match[2]
    return [
        *(f"manylinux_2_{minor}_{architecture}" for minor in range(newest, _FIRST_GLIBC_MINOR - 1, -1)),
        f"manylinux2014_{architecture}",
    ]


def serving_project(pyproject: Mapping[str, Any]) -> str:
    """`pyproject.toml` of the wheel that hosts install: no command, and only modules that are there."""
    project = {key: value for key, value in pyproject["project"].items() if key not in {"scripts", "readme"}}
    document = tomlkit.document()
    document["build-system"] = pyproject["build-system"]
    document["project"] = project
    document["tool"] = {"hatch": {"build": {"targets": {"wheel": {"packages": ["slipway"]}}}}}
    return tomlkit.dumps(document)


def build_wheel(pyproject: Path, sources: Sequence[Path], to: Path) -> None:
    """Build the wheel of the serving code: `sources` are modules and packages of `slipway`."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "slipway").mkdir()
        (root / "pyproject.toml").write_text(serving_project(tomlkit.parse(pyproject.read_text()).unwrap()))
        for source in sources:
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, root / "slipway" / source.name, ignore=ignored)
            else:
                shutil.copy(source, root / "slipway")
        _run([sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={to}"], cwd=root)


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    environment = {"SOURCE_DATE_EPOCH": _EPOCH}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | environment, check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise MachineError(f"{command[0]} is not on PATH", next_command="slipway doctor") from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise MachineError(f"`{' '.join(command[:4])} ...` failed: {reason}") from error
    return done.stdout


def main(argv: Sequence[str]) -> None:
    """Arguments: PYPROJECT LOCK RUNTIME RECORD SOURCE..."""
    files = stage.paths(argv[:4], "pyproject", "lock", "runtime", "record")
    platforms = params.load().runtime.platforms
    requirements = _run(export_command(files.lock.absolute()))
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder) / "wheels"
        listing = Path(folder) / "requirements.txt"
        listing.write_text(requirements)
        for platform in platforms:
            _run(download_command(listing, platform, wheels))
        build_wheel(files.pyproject, [Path(source) for source in argv[4:]], wheels)
        contents = {f"wheels/{wheel.name}": wheel.read_bytes() for wheel in wheels.iterdir()}
    own = [name for name in contents if name.startswith("wheels/slipway-")]
    if len(own) != 1:
        raise InputError(f"expected one wheel of slipway, found {own}")
    digest = hashlib.sha256(contents[own[0]]).hexdigest()
    # By version, since pip takes no relative path after `@`; the digest makes it this wheel and no other.
    version = own[0].split("-")[1]
    locked = f"{requirements}slipway=={version} --hash=sha256:{digest}\n"
    packed = bundle.tar({**contents, "requirements.txt": locked.encode()})
    files.runtime.parent.mkdir(parents=True, exist_ok=True)
    files.runtime.write_bytes(packed)
    stage.write_json(
        files.record,
        {
            "sha256": hashlib.sha256(packed).hexdigest(),
            "bytes": len(packed),
            "python": PYTHON,
            "platforms": list(platforms),
            "wheels": sorted(name.removeprefix("wheels/") for name in contents),
        },
    )


if __name__ == "__main__":
    stage.run(main)
