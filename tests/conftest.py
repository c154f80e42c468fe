"""What all tests need of the process, and the working repository that `local/` and `infra/` share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from tests.local.workplace import REPOSITORY, Workplace, clone, overlay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_configure() -> None:
    """Hear Ctrl-C, here and in what tests start, though a shell in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository with the work tree under test as its newest commit; never worked in."""
    root = tmp_path_factory.mktemp("seed") / "slipway"
    clone(REPOSITORY, root, None)
    overlay(root)
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC cache for all clones: a stage that one has run, the others need not run again."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def shop(seed: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A working repository on whose `local` a first candidate is live."""
    root = tmp_path_factory.mktemp("shop") / "slipway"
    clone(seed, root, cache)
    place = Workplace(root)
    try:
        place.does("up")
        if place.git("status", "--porcelain"):
            # The lock of the work tree under test was stale: what the pipeline made of it belongs to this commit.
            place.git("commit", "--quiet", "--all", "--message", "What the pipeline makes of it")
        place.git("branch", "begin")
        yield place
    finally:
        place.close()
