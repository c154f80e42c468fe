"""The process of one slot: its two doors, and how it comes and goes."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slipway.serving import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serving.conftest import Front, Home, Model, Slot, Start

GET_METADATA = b"GET /metadata HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def ready(home: Home, cancer: Model, start: Start) -> Slot:
    """Blue, with v1.0.0, ready and not live."""
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    return start("blue", "--lame-duck-seconds", "1").until(probe.ready)


@pytest.fixture
def live(home: Home, ready: Slot) -> Slot:
    home.make_live("blue")
    ready.signal(signal.SIGUSR1)
    return ready.until(probe.live)


def connected(port: int) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10))


def get(connection: http.client.HTTPConnection, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer, answer.read()


def silent(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    return False


def post(row: dict[str, object]) -> tuple[bytes, bytes]:
    """A request, in two halves."""
    body = json.dumps(row).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body[:100], body[100:]


def whole_answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.getheader("connection", "").encode(), answer.read()


def eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


# Coming


def test_a_slot_that_is_not_live_answers_at_its_side_door_only(ready: Slot, front: Front) -> None:
    assert probe.ask(ready.home.folder, "blue", "/readyz") == {"status": "ready", "live": False}
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.sendall(GET_METADATA)
        assert silent(connection, 0.3)


def test_a_request_that_waits_at_the_front_door_is_answered_when_it_opens(ready: Slot, front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(GET_METADATA)
        ready.home.make_live("blue")
        assert silent(connection, 0.2)
        ready.signal(signal.SIGUSR1)
        connection.settimeout(10)
        status, _, body = whole_answer(connection)
    assert (status, json.loads(body)["release"]) == (200, "v1.0.0")
    assert probe.ask(ready.home.folder, "blue", "/readyz") == {"status": "ready", "live": True}


def test_the_signal_does_not_open_a_slot_that_live_does_not_point_to(ready: Slot, front: Front) -> None:
    for pointed in (None, "green"):
        if pointed:
            ready.home.make_live(pointed)
        ready.signal(signal.SIGUSR1)
        with socket.create_connection(("127.0.0.1", front.port)) as connection:
            connection.sendall(GET_METADATA)
            assert silent(connection, 0.2)
        assert probe.ask(ready.home.folder, "blue", "/readyz") == {"status": "ready", "live": False}
    ready.signal(signal.SIGTERM)
    assert ready.ends() == 0


def test_the_signal_may_come_again(live: Slot, front: Front) -> None:
    for _ in range(20):
        live.signal(signal.SIGUSR1)
    for _ in range(5):
        with connected(front.port) as connection:
            assert get(connection, "/readyz")[0].status == 200
    assert live.said == ""


def test_a_slot_that_is_live_already_opens_its_front_door_at_once(
    home: Home, cancer: Model, start: Start, front: Front
) -> None:
    home.install("v1.0.0", cancer)
    home.point("green", "v1.0.0")
    home.make_live("green")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as connection:
        connection.sendall(GET_METADATA)
        slot = start("green")
        assert whole_answer(connection)[0] == 200
    slot.until(probe.live)


def test_the_process_says_its_id_and_port(ready: Slot) -> None:
    announced = json.loads((ready.home.folder / "run/blue.json").read_text())
    assert {"pid": ready.process.pid, "port": ready.port} == announced
    with connected(announced["port"]) as connection:
        assert get(connection, "/healthz")[0].status == 200


def test_the_side_door_is_on_loopback_only(ready: Slot) -> None:
    listening = "0A"
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    port = f"{ready.port:04X}"
    assert [f"0100007F:{port}"] == [
        fields[1] for fields in sockets if fields[1].endswith(f":{port}") and fields[3] == listening
    ]


# Going


def test_sigterm_ends_the_process_with_0_and_removes_what_it_said(live: Slot) -> None:
    assert (live.home.folder / "run/blue.json").exists()
    live.signal(signal.SIGTERM)
    assert live.ends() == 0
    assert list((live.home.folder / "run").iterdir()) == []
    assert live.said == ""


def test_sigint_ends_the_process_likewise(live: Slot) -> None:
    live.signal(signal.SIGINT)
    assert live.ends() == 0


def test_sigterm_may_come_again(live: Slot, front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.sendall(GET_METADATA)
        assert whole_answer(connection)[0] == 200
        for _ in range(5):
            live.signal(signal.SIGTERM)
            time.sleep(0.05)
        assert live.ends() == 0


def test_a_killed_process_leaves_its_announcement_and_the_next_one_replaces_it(
    live: Slot, start: Start
) -> None:
    live.signal(signal.SIGKILL)
    assert live.ends() == -signal.SIGKILL
    assert (live.home.folder / "run/blue.json").exists()
    again = start("blue")
    eventually(
        lambda: json.loads((live.home.folder / "run/blue.json").read_text())["pid"] == again.process.pid
    )
    again.until(probe.live)


def test_an_ending_process_leaves_its_successors_announcement_alone(ready: Slot, start: Start) -> None:
    successor = start("blue")
    eventually(
        lambda: json.loads((ready.home.folder / "run/blue.json").read_text())["pid"] == successor.process.pid
    )
    ready.signal(signal.SIGTERM)
    assert ready.ends() == 0
    assert successor.process.pid == json.loads((ready.home.folder / "run/blue.json").read_text())["pid"]
    probe.ready(ready.home.folder, "blue")


def test_an_idle_connection_is_kept_for_longer_than_the_servers_default(
    resting: tuple[float, http.client.HTTPConnection],
) -> None:
    """Of 5 seconds; the load balancer keeps its connections for 60."""
    since, connection = resting
    if time.monotonic() - since > 60:  # on a slow machine the tests before have taken long
        connection.close()
        assert get(connection, "/healthz")[0].status == 200
        since = time.monotonic()
    time.sleep(max(0.0, since + 6 - time.monotonic()))
    connection.auto_open = 0
    assert get(connection, "/healthz")[0].status == 200


def test_an_idle_connection_is_answered_and_ended_with_connection_close(live: Slot, front: Front) -> None:
    with connected(front.port) as connection:
        answer, _ = get(connection, "/metadata")
        assert answer.getheader("connection") is None
        live.signal(signal.SIGTERM)
        eventually(lambda: refuses(live.port))
        answer, body = get(connection, "/metadata")
        assert (
            answer.status,
            answer.getheader("connection"),
            json.loads(body)["release"],
        ) == (200, "close", "v1.0.0")
        assert live.ends() == 0


def test_an_ending_slot_is_not_ready_any_more(live: Slot) -> None:
    with connected(live.port) as connection:
        assert get(connection, "/readyz")[0].status == 200
        live.signal(signal.SIGTERM)
        eventually(lambda: refuses(live.port))
        answer, body = get(connection, "/readyz")
        assert (answer.status, json.loads(body)) == (503, {"status": "stopping", "live": False})


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_ending_slot_lets_new_connections_wait_for_the_next(
    live: Slot, front: Front, start: Start
) -> None:
    """It closes the listening socket for itself only; the service manager holds it on."""
    with socket.create_connection(
        ("127.0.0.1", front.port)
    ) as held:  # keeps the process for a lame-duck second
        held.sendall(GET_METADATA)
        assert whole_answer(held)[0] == 200
        live.signal(signal.SIGTERM)
        eventually(lambda: refuses(live.port))
        with socket.create_connection(("127.0.0.1", front.port), timeout=20) as connection:
            connection.sendall(GET_METADATA)
            assert silent(connection, 0.2)
            assert live.process.poll() is None
            start("blue")
            connection.settimeout(20)
            assert whole_answer(connection)[0] == 200
        assert live.ends() == 0


def test_hundreds_in_flight_and_idle_are_all_answered(live: Slot, front: Front, cancer: Model) -> None:
    first, second = post(cancer.rows[0])
    (expected,) = cancer.offline(cancer.rows[:1])
    with ExitStack() as stack:

        def joined() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=20))

        in_flight = [joined() for _ in range(300)]
        idle = [joined() for _ in range(100)]
        fresh = [joined() for _ in range(100)]
        for connection in in_flight:
            connection.sendall(first)
        for connection in idle:
            connection.sendall(first + second)
            assert whole_answer(connection)[:2] == (200, b"")
        live.signal(signal.SIGTERM)
        eventually(lambda: refuses(live.port))
        for connection in (*idle, *fresh):
            connection.sendall(first)
        for connection in (*in_flight, *idle, *fresh):
            connection.sendall(second)
        for connection in (*in_flight, *idle, *fresh):
            status, ending, body = whole_answer(connection)
            assert (status, ending) == (200, b"close")
            assert [expected._asdict()] == json.loads(body)["predictions"]
            assert connection.recv(1) == b""
        assert live.ends() == 0


def test_a_request_under_way_when_the_lame_duck_time_is_over_is_answered(
    live: Slot, front: Front, cancer: Model
) -> None:
    first, second = post(cancer.rows[0])
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as connection:
        connection.sendall(first)
        live.signal(signal.SIGTERM)
        time.sleep(1.5)  # of which 1 is lame-duck time
        assert live.process.poll() is None
        connection.sendall(second)
        assert whole_answer(connection)[:2] == (200, b"close")
    assert live.ends() == 0


def test_clients_that_never_finish_do_not_keep_the_process(live: Slot, front: Front, cancer: Model) -> None:
    with ExitStack() as stack:
        for sent in (b"", b"POST /predict HTTP/1.1\r\n", post(cancer.rows[0])[0]):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", front.port)))
            connection.sendall(sent)
        started = time.monotonic()
        live.signal(signal.SIGTERM)
        assert live.ends() == 0
        assert time.monotonic() - started < 8  # supervisord kills it then
    assert live.said == ""


def test_a_process_that_is_gone_has_let_go_of_the_front_door(live: Slot, front: Front) -> None:
    port = front.port
    live.signal(signal.SIGTERM)
    assert live.ends() == 0
    front.listening.close()
    assert refuses(port)
