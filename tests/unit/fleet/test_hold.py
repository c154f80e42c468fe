"""The lock of a fleet, with this machine's own `sh` and `flock` at the far end instead of SSH's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.machine import until

from slipway.errors import Locked, MachineError
from slipway.fleet import hold

OWNER = {
    "by": "ada",
    "command": "slipway deploy production v1.1.0",
    "since": "2026-06-01 12:00:00",
    "pid": "7",
}
OTHER = {**OWNER, "by": "grace", "pid": "8"}


@pytest.fixture
def hosts(tmp_path: Path) -> dict[str, Sequence[str]]:
    """Three hosts, each a folder that the command runs in, as after a login."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    return {name: ["sh", "-c", f'cd {tmp_path / name} && eval "$0"'] for name in ("a", "b", "c")}


def free(hosts: Mapping[str, Sequence[str]]) -> bool:
    """Whether the lock of every host can be had."""
    try:
        with hold.held(hosts, "lock", OTHER):
            return True
    except Locked:
        return False


def test_who_comes_second_is_told_who_holds_it_and_where(hosts: dict[str, Sequence[str]]) -> None:
    with hold.held(hosts, "lock", OWNER), pytest.raises(Locked) as caught, hold.held(hosts, "lock", OTHER):
        pass
    assert str(caught.value).splitlines() == [
        "ada is at it since 2026-06-01 12:00:00: 'slipway deploy production v1.1.0' (process 7) (on a)",
        "  next: wait, then the same command again",
    ]


def test_it_is_free_afterwards_whatever_happened(hosts: dict[str, Sequence[str]]) -> None:
    with pytest.raises(KeyError), hold.held(hosts, "lock", OWNER):
        raise KeyError
    until(lambda: free(hosts), 5)


def test_one_host_that_is_held_is_enough_and_the_others_are_let_go(hosts: dict[str, Sequence[str]]) -> None:
    with hold.held({"c": hosts["c"]}, "lock", OWNER):
        with pytest.raises(Locked, match=r"ada is at it .* \(on c\)"), hold.held(hosts, "lock", OTHER):
            pass
        until(lambda: free({"a": hosts["a"], "b": hosts["b"]}), 5)


def test_the_first_decides_and_the_others_are_asked_at_once(
    hosts: dict[str, Sequence[str]], tmp_path: Path
) -> None:
    for name, other in (("b", "c"), ("c", "b")):
        # Answers when the other one has been asked too, and the first one holds.
        wait = f"touch asked; until [ -e ../{other}/asked ]; do sleep 0.01; done; [ -s ../a/lock.owner ] || exit 255"
        hosts[name] = ["sh", "-c", f'cd {tmp_path / name}; {wait}; eval "$0"']
    with hold.held(hosts, "lock", OWNER) as holding:
        assert (holding.lost, len(holding.descriptors)) == ({}, 3)


def test_of_ten_at_once_exactly_one_gets_it(hosts: dict[str, Sequence[str]]) -> None:
    gate = hosts["a"]

    def attempt(number: int) -> str:
        try:
            with hold.held(hosts, "lock", {**OWNER, "pid": str(number)}):
                until(lambda: len(refused) == 9)
                return "held"
        except Locked:
            refused.append(number)
            return "locked"

    refused: list[int] = []
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(attempt, range(10)))
    assert (outcomes.count("held"), outcomes.count("locked")) == (1, 9)
    until(lambda: free({"a": gate}), 5)


def test_a_holder_that_is_killed_frees_it(hosts: dict[str, Sequence[str]], tmp_path: Path) -> None:
    code = (
        "import sys, time; from slipway.fleet import hold\n"
        f"with hold.held({dict(hosts)!r}, 'lock', {OWNER!r}):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not free(hosts)
        os.kill(holder.pid, signal.SIGKILL)
    until(lambda: free(hosts), 5)


def test_a_holder_that_never_ended_is_named_by_the_next_one_and_by_nobody_after_it(
    hosts: dict[str, Sequence[str]], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "lock.owner").write_text(json.dumps(OWNER))
    with hold.held(hosts, "lock", OTHER) as found:
        assert set(found.dead) == {"a", "b"}
        assert "ada is at it since 2026-06-01 12:00:00" in found.dead["a"]
    with hold.held(hosts, "lock", OTHER) as found:
        assert found.dead == {}


def test_a_holder_that_is_killed_keeps_it_for_what_goes_on(
    hosts: dict[str, Sequence[str]], tmp_path: Path
) -> None:
    """A playbook that outlives its command still changes hosts."""
    code = (
        "import subprocess, sys, time; from slipway.fleet import hold\n"
        f"with hold.held({dict(hosts)!r}, 'lock', {OWNER!r}) as found:\n"
        "    goes_on = subprocess.Popen(['cat'], stdin=0, pass_fds=found.descriptors)\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert not free(hosts)
        holder.stdin.close()
        until(lambda: free(hosts), 5)


def test_a_lock_that_was_lost_is_noticed(hosts: dict[str, Sequence[str]]) -> None:
    dies = {**hosts, "b": ["sh", "-c", "echo held; read line </dev/null; exit 1", "b"]}
    with hold.held(dies, "lock", OWNER) as found:
        until(lambda: found.ended() == ["b"], 5)


def test_a_host_that_cannot_be_reached_is_named_with_the_reason(hosts: dict[str, Sequence[str]]) -> None:
    broken = {**hosts, "b": ["sh", "-c", "echo 'ssh: connect to host b: No route to host' >&2; exit 255"]}
    with hold.held(broken, "lock", OWNER) as found:
        assert found.lost == {"b": "ssh: connect to host b: No route to host"}
        assert not free({"c": hosts["c"]})
    until(lambda: free(hosts), 5)


def test_a_host_that_cannot_be_locked_is_named_with_the_reason(hosts: dict[str, Sequence[str]]) -> None:
    broken = {**hosts, "b": ["sh", "-c", "echo 'sudo: a password is required' >&2; exit 1"]}
    with pytest.raises(MachineError) as caught, hold.held(broken, "lock", OWNER):
        pass
    assert str(caught.value) == "b cannot be locked: sudo: a password is required"
    until(lambda: free({"a": hosts["a"]}), 5)
