"""Who sends or reads too slowly is cut off, and costs the others nothing that they notice."""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import ExitStack
from statistics import quantiles
from typing import TYPE_CHECKING

import httpx
import pytest

from slipway.serving import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.serving.conftest import Front, Home, Model, Slot, Start

SECONDS_TO_CLOSE = 10.0
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"


@pytest.fixture
def live(home: Home, cancer: Model, start: Start) -> Slot:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    return start("blue").until(probe.live)


@pytest.fixture
def joined(front: Front) -> Iterator[Callable[[], socket.socket]]:
    """Connects to the front door, with the smallest buffer for what is read."""
    with ExitStack() as stack:

        def connect() -> socket.socket:
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.connect(("127.0.0.1", front.port))
            return connection

        yield connect


def ended(connection: socket.socket) -> bool:
    """Whether the other side has ended it: nothing is read, and so nothing is taken from a slow reader's share."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return any(event & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


def seconds_to_the_end(connection: socket.socket, drip: Callable[[], object]) -> float:
    """Go on, bit by bit, until the connection is ended."""
    began = time.monotonic()
    while not ended(connection):
        assert time.monotonic() - began < 2 * SECONDS_TO_CLOSE
        try:
            drip()
        except OSError:
            break
        time.sleep(0.25)
    return time.monotonic() - began


def slow_head(connection: socket.socket, _model: Model) -> Callable[[], object]:
    connection.sendall(b"POST /predict HTTP/1.1\r\nX-Slow: ")
    return lambda: connection.sendall(b"a")


def slow_body(connection: socket.socket, _model: Model) -> Callable[[], object]:
    connection.sendall(HEAD + b"\r\n[")
    return lambda: connection.sendall(b" ")


def slow_chunks(connection: socket.socket, _model: Model) -> Callable[[], object]:
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
    return lambda: connection.sendall(b"1\r\n \r\n")


def slow_reader(connection: socket.socket, model: Model) -> Callable[[], object]:
    body = json.dumps([model.rows[0]] * 2_500).encode()
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return lambda: connection.recv(1)


@pytest.mark.parametrize("slow", [slow_head, slow_body, slow_chunks, slow_reader])
def test_who_sends_or_reads_bit_by_bit_is_cut_off(
    live: Slot, joined: Callable[[], socket.socket], cancer: Model, slow: Callable[..., Callable[[], object]]
) -> None:
    connection = joined()
    assert 5 < seconds_to_the_end(connection, slow(connection, cancer)) < SECONDS_TO_CLOSE
    assert live.said == ""


def test_a_request_that_takes_its_time_within_the_deadline_is_answered(
    live: Slot, joined: Callable[[], socket.socket], cancer: Model
) -> None:
    connection = joined()
    body = json.dumps(cancer.rows[0]).encode()
    parts = [
        b"POST /predict HTTP/1.1\r\nHost: x\r\n",
        b"Content-Length: %d\r\n\r\n" % len(body),
        body[:9],
        body[9:],
    ]
    for part in parts:
        connection.sendall(part)
        time.sleep(1)
    assert connection.recv(12) == b"HTTP/1.1 200"
    assert live.process.poll() is None


def test_an_idle_connection_is_kept_beyond_the_deadline(
    live: Slot, joined: Callable[[], socket.socket]
) -> None:
    kept, silent = joined(), joined()
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    kept.sendall(ask)
    assert kept.recv(12) == b"HTTP/1.1 200"
    time.sleep(SECONDS_TO_CLOSE)
    kept.recv(4096)
    for connection in (kept, silent):
        connection.sendall(ask)
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert live.said == ""


def p99(front: Front, row: dict[str, object]) -> float:
    """The best of three: what else the machine does must not count, and may come at any time."""
    return min(p99_once(front, row, 1.2) for _ in range(3))


def p99_once(front: Front, row: dict[str, object], seconds: float) -> float:
    times = []
    with httpx.Client(timeout=20, trust_env=False) as client:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            assert client.post(f"{front.url}/predict", json=row).status_code == 200
            times.append(time.monotonic() - began)
    return quantiles(times, n=100)[98]


def test_many_that_are_slow_are_all_cut_off_and_hold_nobody_up(
    live: Slot, front: Front, joined: Callable[[], socket.socket], cancer: Model
) -> None:
    rest = p99(front, cancer.rows[0])
    connections = [joined() for _ in range(200)]
    for number, connection in enumerate(connections):
        (slow_head, slow_body)[number % 2](connection, cancer)
    began = time.monotonic()
    beside = p99(front, cancer.rows[0])
    assert not any(ended(connection) for connection in connections)
    assert beside < max(2 * rest, 0.05)
    time.sleep(max(0.0, began + SECONDS_TO_CLOSE - time.monotonic()))
    assert all(ended(connection) for connection in connections)
    assert live.said == ""
