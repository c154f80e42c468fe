"""How slots are started, told and ended: what systemd is asked for, and links that never lead nowhere."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.infra.role import ROLE, WANTED, Home, loaded

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

UNIT = "slipway@green.service"


class Programs:
    """A systemd of which each program is a script; real ones are asked by `tests/lab`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def say(self, program: str, script: str) -> None:
        file = self._folder / program
        file.write_text(f'#!/bin/sh\necho "{program} $*" >>"{self._folder}/asked"\n{script}\n')
        file.chmod(0o755)

    def asked(self) -> list[str]:
        return (self._folder / "asked").read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    made = Programs(folder)
    made.say("systemctl", "")
    return made


def test_systemd_forgets_failures_before_it_starts_a_slot(slots: ModuleType, programs: Programs) -> None:
    slots.Systemd(None).start("green", 20)
    assert programs.asked() == [f"systemctl reset-failed {UNIT}", f"systemctl restart {UNIT}"]


@pytest.mark.parametrize(
    ("error", "words", "expected"),
    [
        (
            "Job failed because a timeout was exceeded.",
            "",
            r"it is not ready after 20 s: because a timeout .*",
        ),
        ("Job failed because it broke.", "ValueError: no", "it ended before it was ready: ValueError: no"),
        ("Unit is masked.", "", "it ended before it was ready: Unit is masked."),
    ],
    ids=["too late", "its last words", "systemd's own"],
)
def test_a_slot_that_does_not_start_is_stopped_and_says_why(
    slots: ModuleType, programs: Programs, error: str, words: str, expected: str
) -> None:
    programs.say("systemctl", f'[ "$1" != restart ] || {{ echo "{error}" >&2; exit 1; }}')
    programs.say("journalctl", f'echo "{words}"')
    with pytest.raises(slots.NotReadyError, match=expected):
        slots.Systemd(None).start("green", 20)
    said = programs.asked()
    assert said[2] == f"systemctl stop {UNIT}"
    assert [line.split("--since")[0] for line in said if "journalctl" in line] == [
        f"journalctl _SYSTEMD_UNIT={UNIT} "
    ]


def test_systemd_is_asked_for_the_process_and_what_the_service_has_written_is_not(
    slots: ModuleType, programs: Programs
) -> None:
    programs.say("systemctl", 'echo "Unit is not loaded." >&2; exit 1')
    with pytest.raises(OSError, match="Unit is not loaded"):
        slots.Systemd(None).tell("green")
    assert programs.asked() == [f"systemctl kill --kill-whom=main --signal=USR1 {UNIT}"]


@pytest.mark.parametrize(
    ("state", "stopped"),
    [("active", True), ("activating", True), ("deactivating", False), ("inactive", False), ("failed", False)],
)
def test_only_what_runs_is_stopped(
    slots: ModuleType, programs: Programs, state: str, stopped: object
) -> None:
    programs.say("systemctl", f'[ "$1" != show ] || echo {state}')
    assert slots.Systemd(None).stop("green") is stopped
    assert (f"systemctl stop --no-block {UNIT}" in programs.asked()) is stopped


def test_a_slot_that_has_served_is_left_to_systemd_where_it_takes_too_long(
    slots: ModuleType, programs: Programs
) -> None:
    programs.say("systemctl", '[ "$1" != start ] || { echo "because a timeout was exceeded" >&2; exit 1; }')
    programs.say("journalctl", "")
    with pytest.raises(slots.NotReadyError, match="it is not ready after 20 s"):
        slots.Systemd(None).resume("green", 20)
    assert not [line for line in programs.asked() if " stop " in line]


def test_what_systemd_does_not_do_is_an_error(slots: ModuleType, programs: Programs) -> None:
    programs.say("systemctl", '[ "$1" != stop ] || { echo "Connection timed out" >&2; exit 1; }; echo active')
    with pytest.raises(OSError, match="Connection timed out"):
        slots.Systemd(None).stop("green")
    programs.say("systemctl", "exit 1")
    with pytest.raises(OSError, match="systemctl show ends with 1"):
        slots.Systemd(None).runs("green")


def test_last_words_that_are_no_text_are_told_as_far_as_they_are(
    slots: ModuleType, programs: Programs
) -> None:
    programs.say("systemctl", '[ "$1" != restart ] || exit 1')
    programs.say("journalctl", "printf 'caf\\351\\n'")
    with pytest.raises(slots.NotReadyError, match="it ended before it was ready: caf\ufffd"):
        slots.Systemd(None).start("green", 20)


def test_a_process_that_is_gone_is_not_told_though_it_has_left_its_id(slots: ModuleType, home: Home) -> None:
    home.announce("green", 1)
    with pytest.raises(ProcessLookupError, match="green has no process"):
        slots.Supervisord(home.folder).tell("green")


@pytest.mark.parametrize("manager", ["Supervisord", "Systemd"])
def test_where_nothing_keeps_slots_alive_none_runs(
    slots: ModuleType, home: Home, monkeypatch: pytest.MonkeyPatch, programs: Programs, manager: str
) -> None:
    programs.say("systemctl", "echo inactive")
    monkeypatch.chdir(home.folder)
    made = getattr(slots, manager)(home.folder)
    assert (made.runs("green"), made.stop("green")) == (False, False)


def test_a_release_whose_golden_rows_cannot_be_asked_is_at_fault(
    slots: ModuleType, programs: Programs, home: Home
) -> None:
    record = home.release("v1.1.0")
    with pytest.raises(slots.StepError, match="No such file") as failed:
        slots.prove(home.folder, slots.Systemd(home.folder), "green", record, 20)
    assert failed.value.step == slots.GOLDEN
    python = home.folder / "runtimes" / record["runtime"][:16] / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "green fails its golden rows" >&2\nexit 1\n')
    python.chmod(0o755)
    with pytest.raises(slots.StepError, match="green fails its golden rows"):
        slots.prove(home.folder, slots.Systemd(home.folder), "green", record, 20)
    programs.say("systemctl", '[ "$1" != restart ]')
    programs.say("journalctl", "")
    with pytest.raises(slots.StepError) as failed:
        slots.prove(home.folder, slots.Systemd(home.folder), "green", record, 20)
    assert failed.value.step == slots.START


def test_what_a_killed_change_has_left_does_not_matter(slots: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".live.new").symlink_to("slots/blue")
    assert slots.point(tmp_path / "live", "slots/green")
    assert str((tmp_path / "live").readlink()) == "slots/green"
    assert not slots.point(tmp_path / "live", "slots/green")


def test_who_changes_slots_is_waited_for_but_not_for_ever(
    account: ModuleType, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "LOOK_SECONDS", 0.1)
    seen: list[str] = []

    def change() -> None:
        with account.alone(home.folder, 60):
            seen.append("waited")

    with account.alone(home.folder):
        thread = threading.Thread(target=change)
        thread.start()
        with pytest.raises(TimeoutError, match="a step of another command"), account.alone(home.folder, 0.1):
            pass
        with account.settled(home.folder):
            seen.append("looked")
        assert seen == ["looked"]
    thread.join()
    assert seen == ["looked", "waited"]
    assert (home.folder / ".step").stat().st_mode & 0o777 == 0o600


def test_who_looks_leaves_nothing_behind(account: ModuleType, home: Home, tmp_path: Path) -> None:
    for folder in (home.folder, tmp_path / "not there"):
        with account.settled(folder), account.alone(folder, looking=True):
            pass
    assert not (home.folder / ".step").exists()
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"state": "told"}, ["kill"]),
        ({"state": "stopped"}, ["show", "stop"]),
        ({"state": "started"}, ["show"]),
        ({"state": "proven", "release": WANTED}, ["reset-failed", "restart"]),
    ],
    ids=lambda given: given["state"] if isinstance(given, dict) else "",
)
def test_a_slot_is_brought_into_the_state_that_is_asked_for(
    slots: ModuleType, programs: Programs, home: Home, given: dict[str, object], asked: list[str]
) -> None:
    module = loaded("model_server_slot", ROLE / "library" / "model_server_slot.py")
    programs.say("systemctl", '[ "$1" != show ] || echo active')
    told = {"manager": "systemd", "slot": "green", "seconds": 20, **given}
    if given["state"] == "proven":
        with pytest.raises(slots.StepError):
            module.bring(home.folder, told)
        assert str((home.folder / "slots" / "green").readlink()) == "../releases/v1.1.0"
    else:
        assert module.bring(home.folder, told) is (given["state"] != "started")
    assert [line.split()[1] for line in programs.asked()] == asked


@pytest.mark.parametrize(("state", "running", "changes"), [("started", "active", False), ("started", "failed", True), ("stopped", "active", True), ("stopped", "failed", False), ("told", "active", True)])  # fmt: skip
def test_check_mode_says_what_would_change(
    slots: ModuleType, programs: Programs, home: Home, monkeypatch: pytest.MonkeyPatch, state: str, running: str, changes: object
) -> None:  # fmt: skip
    del slots
    monkeypatch.chdir(home.folder)
    module = loaded("model_server_slot", ROLE / "library" / "model_server_slot.py")
    programs.say("systemctl", f"echo {running}")
    assert module.would(home.folder, {"manager": "systemd", "slot": "green", "state": state}) is changes
    assert not [line for line in (programs.asked() if state != "told" else []) if " show " not in line]
