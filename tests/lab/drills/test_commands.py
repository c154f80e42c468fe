"""Commands that are killed, cancelled, raced, or given by a machine whose clock is wrong."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.lab.drills.site import LOCKED
from tests.lab.fleet import HOME
from tests.lab.yard import ENVIRONMENT
from tests.local.workplace import ended, says, until

if TYPE_CHECKING:
    from tests.lab.drills.drill import Drill
    from tests.lab.drills.site import Site

pytestmark = pytest.mark.nightly

CANCELLED = 130
SECONDS = 300
CLONES = 10
OWNER = f"/run/lock/slipway{HOME.replace('/', '-')}.owner"
STEPS = ("collect", "provision", "preflight", "configure", "activate")
"""What a deploy says when each has ended."""


@pytest.mark.drill(3, "deploy killed -9")
@pytest.mark.parametrize("step", STEPS)
def test_a_deploy_that_is_killed_is_finished_by_the_same_command(drill: Drill, step: str) -> None:
    with drill.load():
        drill.brings(drill.new)
        with ended(drill.site.begin("deploy", ENVIRONMENT, drill.new)) as deploy:
            says(deploy, step)
            os.kill(deploy.pid, signal.SIGKILL)
        out = drill.insists("deploy", drill.new)
    assert "taken over from a command that never ended: root is at it since " in out
    drill.ends_on(drill.new)


@pytest.mark.drill(4, "Ctrl-C, or a cancelled workflow")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "cancelled"])
def test_a_cancelled_deploy_finishes_the_host_and_frees_the_lock(drill: Drill, signal_number: int) -> None:
    with drill.load():
        drill.brings(drill.new)
        with ended(drill.site.begin("deploy", ENVIRONMENT, drill.new)) as deploy:
            says(deploy, "preflight")
            os.kill(deploy.pid, signal_number)
            _, said = deploy.communicate(timeout=SECONDS)
        assert deploy.returncode == CANCELLED, said
        assert said.splitlines()[-1] == "cancelled; the same command again finishes the work"
        out = drill.does("deploy", drill.new)
    assert "taken over" not in out
    drill.ends_on(drill.new)


@pytest.mark.drill(7, "ten deploys at once, from ten clones")
def test_of_ten_deploys_one_wins_and_the_others_are_told_who_and_since_when(
    drill: Drill, tmp_path: Path
) -> None:
    clones = [drill.site.another_clone(tmp_path / str(number) / "slipway") for number in range(CLONES)]
    with drill.load(), ExitStack() as stack:
        drill.brings(drill.new)
        deploys = [
            stack.enter_context(ended(each.begin("deploy", ENVIRONMENT, drill.new))) for each in clones
        ]
        said = [deploy.communicate(timeout=SECONDS)[1] for deploy in deploys]
        drill.noted()
    codes = [deploy.returncode for deploy in deploys]
    assert sorted(codes) == [0, *[LOCKED] * (CLONES - 1)], said
    for code, words in zip(codes, said, strict=True):
        if code == LOCKED:
            assert "error: root is at it since 20" in words
            assert f"'slipway deploy {ENVIRONMENT} {drill.new}'" in words
            assert words.splitlines()[-1] == "  next: wait, then the same command again"
    drill.site.git("fetch", "--quiet", "--tags", str(clones[codes.index(0)].root))
    drill.ends_on(drill.new)


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


@pytest.mark.drill(8, "the machine that holds the lock is lost")
def test_a_lock_whose_holder_is_lost_is_taken_over_and_that_is_written_down(
    drill: Drill, tmp_path: Path
) -> None:
    other: Site = drill.site.another_clone(tmp_path / "slipway")
    gatekeeper = drill.site.hosts["model-1"]
    with drill.load(), ended(other.begin("deploy", ENVIRONMENT, drill.new)) as lost:
        drill.brings(drill.new)
        until(lambda: drill.new in gatekeeper.run(f"cat {OWNER} || true"), "the other one has the lock")
        drill.refuses(LOCKED, "root is at it since ", by=("rollback", drill.new))
        stopped = family(lost.pid)
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            out = drill.insists("deploy", drill.new)
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert "taken over from a command that never ended: root is at it since " in out
    assert "is taken over from {" in gatekeeper.run("sudo journalctl --identifier=slipway --no-pager")
    drill.ends_on(drill.new)


WRONG = """
import sys
from datetime import timedelta
from slipway import cli
from slipway.cli import context
true = context.now
context.now = lambda shift=timedelta(seconds=float(sys.argv.pop())): true() + shift
cli.main()
"""


@pytest.mark.drill(35, "clock wrong by minutes, and by a year")
def test_with_a_wrong_clock_the_number_decides(drill: Drill) -> None:
    site = drill.site
    with drill.load():
        for release, shift in ((drill.new, 600), (drill.old, -365 * 86400), (drill.new, 365 * 86400)):
            drill.brings(release)
            site.run(sys.executable, "-c", WRONG, "deploy", ENVIRONMENT, release, str(shift))
            drill.noted()
            assert site.desired()[-1] == f"deploy {release}"
            assert site.reads("status", ENVIRONMENT)["desired"] == release
    drill.ends_on(drill.new)
