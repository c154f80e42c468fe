"""What all tests need of the process, and the working repository that `local/` and `infra/` share."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.local.workplace import REPOSITORY, Workplace, clone, overlay
from tests.primed import primed
from xdist.scheduler.loadfile import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_configure() -> None:
    """Hear Ctrl-C, here and in what tests start, though a shell in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is left out, and how it is run."""
    return (
        f"left out or chosen by: -m {config.option.markexpr!r}; `make nightly` and `make drills` run the rest"
    )


_LONGEST = "test_story.py"
_TOGETHER = {
    f"tests/pipeline/test_{name}.py": "what needs the pipeline run twice"
    for name in ("dvc", "reproducible", "runtime", "verify")
}
"""Files that share a fixture which takes long, for one worker."""


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # it publishes no types
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _TOGETHER.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that nobody waits for it at the end."""
    items.sort(key=lambda item: item.path.name != _LONGEST)


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository with the work tree under test as its newest commit; never worked in."""
    root = tmp_path_factory.mktemp("seed") / "slipway"
    clone(REPOSITORY, root, None)
    overlay(root)
    return root


@pytest.fixture(scope="session")
def cache(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC cache for all clones of this process: a stage that one has run, the others need not run again."""
    folder = tmp_path_factory.mktemp("cache")
    base = tmp_path_factory.getbasetemp()
    primed(seed, base.parent if "PYTEST_XDIST_WORKER" in os.environ else base, folder)
    return folder


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
