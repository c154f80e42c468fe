"""Commands that are cut short or come at once: the same command again brings one release, in one slot."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.local.load import THREADS, Load
from tests.local.workplace import Candidate, Workplace, ended, until

if TYPE_CHECKING:
    from collections.abc import Callable

LOCKED = 5


def converges(place: Workplace, *arguments: str) -> None:
    """The same command again ends well, once what outlives the one that was cut short has ended."""

    def done() -> bool:
        said = place.slipway(*arguments)
        assert said.code in {0, LOCKED}, f"{said.out}{said.err}{place.journal()}"
        return said.code == 0

    until(done, f"slipway {' '.join(arguments)} ends well", 120)
    release = place.one_slot_answers()
    found = place.reads("status", "local")
    assert found["problems"] == []
    assert release == found["live"]["release"] == place.log()[-1]["release"]
    assert [name for name in place.installed() if name.endswith(".partial")] == []


def runs(place: Workplace, module: str) -> bool:
    return any(module in argv for argv in place.processes().values())


def with_descendants(pid: int) -> list[int]:
    """A process, and those that it has started, and those that they have."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found.extend(child for child, parent in parents.items() if parent == each)
    return found


def test_a_second_command_at_once_is_refused_and_names_the_first(
    local: Workplace, live: str, fresh: Candidate
) -> None:
    local.offer(fresh)
    with ended(local.begin("deploy", "local")) as one:
        until(lambda: str(one.pid) in (local.home / "lock").read_text(), "the first holds the lock")
        two = local.slipway("rollback", "local")
        assert (two.code, two.out) == (LOCKED, "")
        assert "'slipway deploy local'" in two.err
        assert f"(process {one.pid})" in two.err
        assert one.wait(120) == 0
    assert live != local.one_slot_answers()
    assert fresh.digest == local.ask("/metadata")["bundle"]


def test_an_interrupt_in_the_pipeline_leaves_nothing_running_and_a_kill_converges(
    local: Workplace, live: str
) -> None:
    local.set("train.hyperparameters", f"{{C: 0.{len(local.log()) + 11}, class_weight: balanced}}")
    with ended(local.begin("up")) as interrupted:
        until(lambda: runs(local, "slipway.pipeline.train"), "the stage train runs")
        interrupted.send_signal(signal.SIGINT)
        _, err = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert "cancelled; the same command again finishes the work" in err
    until(lambda: not runs(local, "slipway.pipeline.train"), "the stage train has ended", 5)
    assert live == local.answers()
    with ended(local.begin("up")) as killed:
        until(lambda: runs(local, "slipway.pipeline.train"), "the stage train runs")
        killed.kill()
    assert live == local.answers()
    converges(local, "up")
    assert live != local.answers()


def test_an_interrupt_in_the_roll_out_lets_the_host_finish(
    local: Workplace, live: str, fresh: Candidate
) -> None:
    local.offer(fresh)
    with ended(local.begin("deploy", "local")) as interrupted:
        until(lambda: len(local.slots()) == 2, "the new slot runs")
        interrupted.send_signal(signal.SIGINT)
        _, err = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 130
    assert "cancelled" in err
    assert live != local.one_slot_answers()
    converges(local, "deploy", "local")
    assert fresh.digest == local.ask("/metadata")["bundle"]


def installs(place: Workplace, live: str) -> bool:
    del live
    return any(name.endswith(".partial") for name in place.installed())


def has_switched(place: Workplace, live: str) -> bool:
    """Live points to the new slot, and the old one has not been told to stop."""
    record = place.home / "live" / "release.json"
    return live not in record.read_text() and len(place.slots()) == 2


@pytest.mark.parametrize("moment", [installs, has_switched])
def test_a_deploy_that_is_killed_with_all_it_started_converges(
    local: Workplace, live: str, fresh: Candidate, moment: Callable[[Workplace, str], bool]
) -> None:
    local.offer(fresh)
    with ended(local.begin("deploy", "local")) as killed:
        until(lambda: moment(local, live), moment.__name__, 60)
        for pid in with_descendants(killed.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert local.answers()
    converges(local, "deploy", "local")
    assert fresh.digest == local.ask("/metadata")["bundle"]


def test_a_killed_slot_answers_again_by_itself(
    local: Workplace, live: str, rows: list[dict[str, Any]]
) -> None:
    with Load(local.port, rows) as load:
        killed = local.one_slot()
        os.kill(killed, signal.SIGKILL)
        until(lambda: local.one_slot() != killed and local.answers(), "another process answers")
    assert len(load.failed) <= THREADS
    assert [live] == load.releases
    assert local.reads("status", "local")["problems"] == []


def test_a_process_that_is_told_to_look_before_it_can_hear_serves(local: Workplace, live: str) -> None:
    killed = local.one_slot()
    os.kill(killed, signal.SIGKILL)
    until(lambda: set(local.slots().values()) - {killed}, "another process has been started")
    started = local.one_slot()
    os.kill(started, signal.SIGUSR1)
    until(lambda: local.answers() == live, "it answers")
    assert started == local.one_slot()
