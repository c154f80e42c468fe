"""A workflow's run on a GitHub of its own, and the command as that workflow calls it."""

import json
import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.github.server import REPOSITORY, TOKEN, GitHub, served
from tests.unit.command import Ended, Slipway
from tests.unit.workshop import hermetic, workshop

from slipway import cli
from slipway.github import api

__all__ = ["Slipway", "hermetic", "workshop"]

SHA = "0123456789abcdef0123456789abcdef01234567"
FORK = "stranger/screening"


@pytest.fixture
def hub() -> Iterator[GitHub]:
    made = GitHub()
    with served(made):
        yield made


@pytest.fixture
def run(hub: GitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variables of a runner; of a proxy, there are none."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("GITHUB_API_URL", hub.url)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.test")
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    event(tmp_path)


def event(folder: Path, **changed: Any) -> None:
    """The event of a fork's run that has ended: it has no pull requests."""
    source = {"full_name": FORK, "owner": {"login": "stranger"}}
    ended = {
        "id": 55,
        "event": "pull_request",
        "head_sha": SHA,
        "head_branch": "fix/less",
        "pull_requests": [],
    }
    content = {"action": "completed", "workflow_run": {**ended, "head_repository": source, **changed}}
    (folder / "event.json").write_text(json.dumps(content))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, had anybody waited."""
    waited: list[float] = []
    monkeypatch.setattr(api, "Api", partial(api.Api, pause=waited.append))
    return waited


@pytest.fixture
def slipway(
    run: None,  # noqa: ARG001
    pauses: list[float],  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Slipway:
    """The command; whatever it says and logs, the token is not in it."""
    caplog.set_level(logging.DEBUG)

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["slipway", "--debug", "github", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        found = Ended(ended.value.code, *capsys.readouterr())
        assert TOKEN not in found.out + found.errors + caplog.text
        return found

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "report"
    made.mkdir()
    return made
