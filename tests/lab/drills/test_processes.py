"""Processes that die, hang or are told to end: the host's own service manager answers for them."""

from __future__ import annotations

import http.client
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.lab.drills.faults import kill_worker
from tests.lab.fleet import HOME, PORT, live_slot, main_pid
from tests.local.workplace import until

if TYPE_CHECKING:
    from tests.lab.drills.drill import Drill

pytestmark = pytest.mark.nightly

SECONDS_TO_RETURN = 2.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
"""On a machine that has nothing else to do; a busy one takes its share longer."""
IDLE, ASKED = 150, 200


@pytest.mark.drill(1, "kill -9 of a serving worker")
def test_a_killed_worker_is_back_soon(drill: Drill) -> None:
    with drill.load(forgiving=True):
        for host in drill.site.hosts.values():
            slot = live_slot(host)
            before = main_pid(host, slot)
            kill_worker(host)
            # No second try: the socket is systemd's, and was never closed.
            seconds = until(lambda name=host.name: drill.site.serve([name])[name], "it answers again")  # type: ignore[misc]
            assert seconds < SECONDS_TO_RETURN
            assert main_pid(host, slot) not in {before, "0"}
    drill.ends_on(drill.old, kills=3)


@pytest.mark.drill(33, "SIGTERM with hundreds in flight and idle connections")
def test_a_worker_that_is_told_to_end_loses_nothing_and_is_replaced(drill: Drill) -> None:
    host = drill.site.hosts["model-1"]
    with drill.load(), ExitStack() as stack:

        def asked() -> http.client.HTTPConnection:
            connection = http.client.HTTPConnection(str(host.address), PORT, timeout=20)
            stack.callback(connection.close)
            connection.request("GET", "/metadata")
            return connection

        def answer(connection: http.client.HTTPConnection) -> int:
            answered = connection.getresponse()
            answered.read()
            return answered.status

        idle = [asked() for _ in range(IDLE)]
        assert {answer(connection) for connection in idle} == {200}
        slot = live_slot(host)
        before = main_pid(host, slot)
        busy = [asked() for _ in range(ASKED)]
        host.run("sudo", "systemctl", "kill", "--signal=TERM", "--kill-whom=main", f"slipway@{slot}")
        # On its way out, it answers what comes over the connections that it has.
        for connection in idle:
            connection.request("GET", "/metadata")
        assert [status for status in map(answer, (*busy, *idle)) if status != 200] == []
        until(lambda: main_pid(host, slot) not in {before, "0"}, "another process has taken over")
        until(lambda: drill.site.serve([host.name])[host.name] == drill.old, "it answers")
    assert host.run("readlink", f"{HOME}/live").strip() == f"slots/{slot}"
    drill.ends_on(drill.old)
