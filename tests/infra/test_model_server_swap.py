"""The module that lets a slot take over, with a process that opens its front door when it is told to."""

from __future__ import annotations

import fcntl
import json
import re
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.infra.role import ROLE, WANTED, Home, Process, loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

LINE = {**WANTED, "action": "deploy", "by": "ada", "at": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="session")
def module(slots: ModuleType) -> ModuleType:
    """The module."""
    del slots
    return loaded("model_server_swap", ROLE / "library" / "model_server_swap.py")


@pytest.fixture
def led(home: Home, process: Process, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Green serves v1.1.0, but not at the front door before it is told; where `live` led whenever it was."""
    home.release("v1.0.0")
    home.release("v1.1.0")
    home.live("blue", "v1.0.0")
    home.log("v1.0.0")
    led: list[str] = []

    def look(_signal: int, _frame: Any) -> None:
        led.append(str((home.folder / "live").readlink()))
        process.says({"/readyz": {"live": True}, "/metadata": {"release": "v1.1.0"}})

    before = signal.signal(signal.SIGUSR1, look)
    process.says({"/readyz": {"live": False}, "/metadata": {"release": "v1.0.0"}})
    home.announce("green", process.port)
    with (home.folder / "run" / "green.json").open() as announced:
        fcntl.flock(announced, fcntl.LOCK_EX)  # as a process that serves
        monkeypatch.chdir(home.folder)
        yield led
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def impatient(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come at once is not waited for."""
    monkeypatch.setattr(module, "OPEN_SECONDS", 0.1)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0)


@pytest.fixture
def swap(module: ModuleType, home: Home, process: Process) -> Callable[..., list[str]]:
    """Swaps to green, which serves already."""

    def does(**changed: Any) -> list[str]:
        given = {"manager": "supervisord", "slot": "green", "serves": True, "line": LINE, "seconds": 5, "url": f"http://127.0.0.1:{process.port}"}  # fmt: skip
        done: list[str] = module.swap(home.folder, given | changed)
        return done

    return does


def test_live_leads_to_the_slot_before_its_process_is_told(
    swap: Callable[..., list[str]], account: ModuleType, home: Home, led: list[str]
) -> None:
    assert swap() == ["slot linked", "live linked", "front door opened", "written down"]
    assert led == ["slots/green"]
    assert str((home.folder / "slots" / "green").readlink()) == "../releases/v1.1.0"
    assert account.logged(home.folder) == ["v1.0.0", "v1.1.0"]
    assert not list(home.folder.rglob(".*.new")), "nothing is left of the change"


def test_what_is_live_is_left_alone(swap: Callable[..., list[str]], led: list[str]) -> None:
    swap()
    assert swap() == []
    assert len(led) == 1


def test_check_mode_says_the_same_and_changes_nothing(
    module: ModuleType, swap: Callable[..., list[str]], home: Home, led: list[str]
) -> None:
    given = {"manager": "supervisord", "slot": "green", "serves": True, "line": LINE}
    (home.folder / "run" / "shadow.json").touch()
    said = module.would(home.folder, given)
    assert led == []
    assert str((home.folder / "live").readlink()) == "slots/blue"
    assert swap() == said
    assert module.would(home.folder, given) == []


@pytest.mark.usefixtures("impatient")
def test_a_process_that_does_not_open_the_door_is_an_error(
    module: ModuleType, swap: Callable[..., list[str]], led: list[str], account: ModuleType, home: Home
) -> None:
    signal.signal(signal.SIGUSR1, lambda *_: led.append("told"))
    with pytest.raises(
        module.StepError, match=r"green is ready, but does not answer .* after 0.1 s"
    ) as failed:
        swap()
    assert (failed.value.step, led) == ("Open the front door", ["told"])
    assert str((home.folder / "live").readlink()) == "slots/blue", "it leads where it led before"
    assert account.logged(home.folder) == ["v1.0.0"]


def test_a_slot_without_a_process_is_an_error(
    module: ModuleType, swap: Callable[..., list[str]], home: Home, led: list[str]
) -> None:
    (home.folder / "run" / "green.json").unlink()
    with pytest.raises(module.StepError, match="green has no process"):
        swap()
    assert led == []


@pytest.mark.usefixtures("impatient")
def test_another_release_at_the_front_door_is_an_error_and_is_not_written_down(
    module: ModuleType, swap: Callable[..., list[str]], led: list[str], account: ModuleType, home: Home
) -> None:
    with pytest.raises(module.StepError, match=r"by v1.2.0, but is answered by v1.1.0") as failed:
        swap(line={**LINE, "release": "v1.2.0"})
    assert (failed.value.step, len(led)) == ("Ask the front door which release it is", 1)
    assert str((home.folder / "live").readlink()) == "slots/blue"
    assert account.logged(home.folder) == ["v1.0.0"]


def test_a_first_slot_that_fails_leaves_nothing_live(
    module: ModuleType, swap: Callable[..., list[str]], home: Home, led: list[str]
) -> None:
    (home.folder / "live").unlink()
    (home.folder / "run" / "green.json").unlink()
    with pytest.raises(module.StepError):
        swap()
    assert led == []
    assert not (home.folder / "live").is_symlink()


def test_the_other_slot_is_told_to_end_when_this_one_has_answered(
    module: ModuleType,
    swap: Callable[..., list[str]],
    process: Process,
    led: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    def stop(_: object, slot: str) -> bool:
        seen.append((slot, process.answers["/metadata"], len(led)))
        return True

    monkeypatch.setattr(module.MANAGERS["supervisord"], "stop", stop)
    assert "other slot stopped" in swap()
    assert seen == [("blue", (200, b'{"release": "v1.1.0"}'), 1)]


def test_when_the_other_slot_has_been_told_to_end_a_failure_does_not_end_this_one(
    module: ModuleType,
    swap: Callable[..., list[str]],
    home: Home,
    led: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def stop(_: object, slot: str) -> bool:
        ended.append(slot)
        return True

    monkeypatch.setattr(module.MANAGERS["supervisord"], "stop", stop)
    (home.folder / "releases.jsonl").unlink()
    (home.folder / "releases.jsonl").mkdir()
    with pytest.raises(module.StepError) as failed:
        swap()
    assert (failed.value.step, ended, len(led)) == ("Write down what went live", ["blue"], 1)
    assert str((home.folder / "live").readlink()) == "slots/green", "else nothing would serve"


def test_a_link_that_cannot_be_made_is_a_failure_of_its_step(
    module: ModuleType, swap: Callable[..., list[str]], home: Home, led: list[str]
) -> None:
    (home.folder / "slots" / "green").mkdir()
    with pytest.raises(module.StepError) as failed:
        swap()
    assert failed.value.step == "Link the slot to the release"
    assert led == []


def test_the_slot_before_may_answer_for_a_while(module: ModuleType, process: Process) -> None:
    process.says({"/metadata": {"release": "v1.0.0"}})
    swap = threading.Timer(0.2, lambda: process.says({"/metadata": {"release": "v1.1.0"}}))
    swap.start()
    assert module.proven(f"http://127.0.0.1:{process.port}", "v1.1.0", 5) == "v1.1.0"
    swap.join()


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"/metadata": {"release": "v1.0.0"}}, "v1.0.0"),
        ({}, r"nothing of Slipway's \(HTTP Error 404: Not Found\)"),
        ({"/metadata": []}, r"nothing of Slipway's \(.*\)"),
    ],
    ids=["another release", "another program", "other JSON"],
)
def test_what_answers_instead_is_told(
    module: ModuleType, process: Process, answers: dict[str, object], said: str
) -> None:
    process.says(answers)
    found = module.proven(f"http://127.0.0.1:{process.port}", "v1.1.0", 0)
    assert re.fullmatch(said, found)


def test_a_line_is_a_line_of_its_own(module: ModuleType, account: ModuleType, home: Home) -> None:
    log = home.folder / "releases.jsonl"
    module.append(log, {**LINE, "release": "v1.0.0"})
    with log.open("a") as file:
        file.write('{"release": "v1.')  # as a crash leaves it
    module.append(log, LINE)
    assert account.logged(home.folder) == ["v1.0.0", "v1.1.0"]
    assert json.loads(log.read_text().splitlines()[-1]) == LINE


def test_others_may_read_the_log(module: ModuleType, tmp_path: Path) -> None:
    module.append(tmp_path / "releases.jsonl", LINE)
    assert (tmp_path / "releases.jsonl").stat().st_mode & 0o777 == 0o644
