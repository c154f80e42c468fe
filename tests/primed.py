"""A DVC cache in which the pipeline of the work tree under test has run: clones that copy it need not run it again."""

from __future__ import annotations

import fcntl
import shutil
from typing import TYPE_CHECKING

from tests.local.workplace import REPOSITORY, Workplace, clone

if TYPE_CHECKING:
    from pathlib import Path

_KEPT = REPOSITORY / ".slipway" / "tests"
_MOST_BYTES = 2**29
"""The runtimes of some ten work trees: then it begins anew."""


def primed(seed: Path, session: Path, to: Path) -> None:
    """Copy the cache, which whoever comes first brings up to date.

    Args:
        seed: A clone of the work tree under test.
        session: A folder of all processes of these tests.
        to: The copy; what a test does to it, no other one sees.
    """
    kept, done = _KEPT / "cache", session / "pipeline-has-run"
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            if sum(file.stat().st_size for file in kept.rglob("*") if file.is_file()) > _MOST_BYTES:
                shutil.rmtree(kept)
            place = Workplace(session / "primed")
            # Another process may have failed at it: each one says why.
            shutil.rmtree(place.root, ignore_errors=True)
            clone(seed, place.root, kept)
            place.run("dvc", "repro", "--quiet")
            shutil.rmtree(place.root)
            done.touch()
        shutil.copytree(kept, to, dirs_exist_ok=True)
