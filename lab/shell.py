"""Runs the machine's programs, and says what went wrong where they fail; the only module that does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECONDS = 120
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
"""`sbin` is not on everybody's PATH."""


class LabError(Exception):
    """The lab cannot do what it was asked; the message says what, and what to do."""


def run(*argv: str, text: str = "", seconds: float = _SECONDS) -> str:
    """Run a program; what it printed.

    Args:
        argv: The program and its arguments.
        text: For its standard input.
        seconds: How long it may take.

    Raises:
        LabError: It cannot be run, fails, or takes too long.
    """
    try:
        done = subprocess.run(
            argv, input=text, env=_environment(), capture_output=True, text=True, check=False, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{' '.join(argv)}: {error}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {words}")
    return done.stdout


def attempt(*argv: str) -> bool:
    """Run a program that may fail, because what it removes may not be there; whether it succeeded."""
    done = subprocess.run(
        argv, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode == 0


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keep others out for as long as the context lasts; the kernel lets them in where we are killed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
