"""The module that makes a slot live, with a process that opens its front door when it is told to."""

import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.infra.role import ROLE, Home, Process, loaded


@pytest.fixture(scope="session")
def live(account: ModuleType) -> ModuleType:
    """The module."""
    del account
    return loaded("model_server_live", ROLE / "library" / "model_server_live.py")


@pytest.fixture
def slot(home: Home, process: Process) -> Iterator[list[str]]:
    """Green serves, but not at the front door before it is told; where `live` led whenever it was."""
    led: list[str] = []

    def look(_signal: int, _frame: Any) -> None:
        led.append(str((home.folder / "live").readlink()))
        process.says({"/readyz": {"live": True}})

    before = signal.signal(signal.SIGUSR1, look)
    process.says({"/readyz": {"live": False}})
    home.announce("green", process.port)
    yield led
    signal.signal(signal.SIGUSR1, before)


def test_live_leads_to_the_slot_before_its_process_is_told(
    live: ModuleType, home: Home, slot: list[str]
) -> None:
    home.release("v1.0.0")
    home.live("blue", "v1.0.0")
    assert live.make(home.folder, "supervisord", "green", 5) == {"pointed": True, "told": True}
    assert slot == ["slots/green"]
    assert not list(home.folder.glob(".live*")), "nothing is left of the change"


def test_a_slot_that_is_live_is_left_alone(live: ModuleType, home: Home, slot: list[str]) -> None:
    live.make(home.folder, "supervisord", "green", 5)
    assert live.make(home.folder, "supervisord", "green", 5) == {"pointed": False, "told": False}
    assert len(slot) == 1


def test_what_a_killed_change_has_left_does_not_matter(live: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".live.new").symlink_to("slots/blue")
    assert live.point(tmp_path / "live", "slots/green")
    assert str((tmp_path / "live").readlink()) == "slots/green"


def test_a_process_that_does_not_open_the_door_is_an_error(
    live: ModuleType, home: Home, process: Process, slot: list[str]
) -> None:
    signal.signal(signal.SIGUSR1, lambda *_: slot.append("told"))
    with pytest.raises(TimeoutError, match=r"green is ready, but does not answer .* after 0.1 s"):
        live.make(home.folder, "supervisord", "green", 0.1)
    assert slot == ["told"]
    assert process.answers


def test_a_slot_without_a_process_is_an_error(live: ModuleType, home: Home) -> None:
    with pytest.raises(ProcessLookupError, match="green has no process"):
        live.make(home.folder, "supervisord", "green", 5)


def test_systemd_is_asked_for_the_process_and_what_the_service_has_written_is_not(
    live: ModuleType, home: Home, slot: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        '#!/bin/sh\necho "$@" >"$(dirname "$0")/asked"\necho "Unit is not loaded." >&2\nexit 1\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ProcessLookupError, match="Unit is not loaded"):
        live.make(home.folder, "systemd", "green", 5)
    assert (tmp_path / "asked").read_text() == "kill --kill-whom=main --signal=USR1 slipway@green.service\n"
    assert slot == []
