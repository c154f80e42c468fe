"""Faults at random, at random moments of a deploy or a roll-back; a seed says which, and a failure is made short."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tests.lab.drills.drill import Drill
from tests.lab.drills.faults import kill_worker, without_link, without_power
from tests.lab.yard import ENVIRONMENT
from tests.local.workplace import ended, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.lab.drills.site import Site

_LONGEST_SECONDS = 25.0
_COMMAND_SECONDS = 400
_KNOWN_CODES = {0, 1, 3, 4, 5, 130, -signal.SIGKILL}
_TRIES = 10
"""Of shorter sequences: each takes as long as its faults."""


class Step(NamedTuple):
    """A command, and a fault that strikes so many seconds after it began."""

    verb: str
    fault: str
    host: str
    seconds: float


def planned(seed: int, count: int) -> list[Step]:
    """The steps of a seed; a longer plan begins as a shorter one."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    return [
        Step(
            dice.choice(("deploy", "rollback")),
            dice.choice(tuple(FAULTS)),
            dice.choice(("model-1", "model-2", "model-3")),
            round(dice.uniform(0, _LONGEST_SECONDS), 1),
        )
        for _ in range(count)
    ]


def shortest(
    steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool], tries: int = _TRIES
) -> list[Step]:
    """A shorter sequence that fails as well, as far as it can be found by leaving steps out one at a time."""
    found, at = list(steps), 0
    while at < len(found) and len(found) > 1 and tries:
        tries -= 1
        without = [*found[:at], *found[at + 1 :]]
        if fails(without):
            found = without
        else:
            at += 1
    return found


def problem(site: Site, steps: Sequence[Step]) -> str:
    """What goes wrong in a sequence of steps, each under load and with all invariants at its end; empty where nothing does."""
    for number, step in enumerate(steps, 1):
        try:
            perform(site, step)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return f"step {number}, {step}: {error}"
        finally:
            mend(site)
    return ""


def perform(site: Site, step: Step) -> None:
    """Give the command, let the fault strike meanwhile, and give the command again until it is done."""
    drill = Drill(site)
    with drill.load(forgiving=True):
        drill.brings(drill.new)
        with ended(site.begin(step.verb, ENVIRONMENT, drill.new)) as command, ExitStack() as stack:
            with suppress(subprocess.TimeoutExpired):
                command.wait(step.seconds)
            stack.enter_context(FAULTS[step.fault](site, step.host, command))
            _, said = command.communicate(timeout=_COMMAND_SECONDS)
            assert command.returncode in _KNOWN_CODES, said
            assert "Traceback" not in said, said
        until(lambda: drill.tells(step.verb, drill.new).code == 0, "the same command converges", 300)
        site.await_rotation(site.hosts)
    drill.ends_on(drill.new, kills=2)


def mend(site: Site) -> None:
    """Take back whatever a step may have left."""
    site.lab.network.pass_all()
    for host in site.lab.hosts.values():
        host.thaw()
        host.mend_link()


_Command = subprocess.Popen[str]


@contextmanager
def _nothing(_site: Site, _host: str, _command: _Command) -> Iterator[None]:
    yield


@contextmanager
def _worker(site: Site, host: str, _command: _Command) -> Iterator[None]:
    kill_worker(site.hosts[host])
    yield


@contextmanager
def _command_killed(_site: Site, _host: str, command: _Command) -> Iterator[None]:
    _signal(command, signal.SIGKILL)
    yield


@contextmanager
def _command_cancelled(_site: Site, _host: str, command: _Command) -> Iterator[None]:
    _signal(command, signal.SIGINT)
    yield


@contextmanager
def _power(site: Site, host: str, _command: _Command) -> Iterator[None]:
    with without_power(site.hosts[host]):
        yield


@contextmanager
def _link(site: Site, host: str, _command: _Command) -> Iterator[None]:
    with without_link(site.hosts[host]):
        yield


@contextmanager
def _partition(site: Site, host: str, _command: _Command) -> Iterator[None]:
    site.lab.network.drop(site.lab.plan.controller.ip, site.hosts[host].address)
    try:
        yield
    finally:
        site.lab.network.pass_all()


@contextmanager
def _hang(site: Site, host: str, _command: _Command) -> Iterator[None]:
    site.hosts[host].freeze()
    time.sleep(3)  # shorter than any patience
    site.hosts[host].thaw()
    yield


@contextmanager
def _reload(site: Site, _host: str, _command: _Command) -> Iterator[None]:
    site.balancer.run("sudo", "systemctl", "reload", "haproxy")
    yield


def _signal(command: _Command, number: int) -> None:
    if command.poll() is None:
        os.kill(command.pid, number)


FAULTS = {
    "nothing": _nothing,
    "worker killed": _worker,
    "command killed": _command_killed,
    "command cancelled": _command_cancelled,
    "power lost": _power,
    "link lost": _link,
    "controller cut off": _partition,
    "host hangs": _hang,
    "balancer reloaded": _reload,
}
