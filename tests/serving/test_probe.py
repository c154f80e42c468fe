"""The probe's four checks hold when their docstrings say so, and only then."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from slipway.errors import Refused
from slipway.serving import probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving.conftest import Home, Model, Slot, Start


@pytest.fixture
def ready(home: Home, cancer: Model, start: Start) -> Slot:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    return start("blue", "--lame-duck-seconds", "1").until(probe.ready)


@pytest.fixture
def held(ready: Slot) -> Iterator[Slot]:
    """The slot with an idle connection, which keeps its process for the lame-duck time."""
    with closing(http.client.HTTPConnection("127.0.0.1", ready.port, timeout=10)) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        yield ready


Stranger = Callable[[bytes], None]


@pytest.fixture
def stranger(home: Home, cancer: Model) -> Iterator[Stranger]:
    """Let somebody else answer where a slot's process, which was killed, had its side door."""
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    with ExitStack() as stack:

        def answering(answer: bytes) -> None:
            class Handler(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    self.request.recv(10_000)
                    self.request.sendall(answer)

            server = stack.enter_context(socketserver.TCPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
            stack.callback(server.shutdown)
            (home.folder / "run").mkdir()
            announced = {"pid": 1, "port": server.server_address[1]}
            (home.folder / "run/blue.json").write_text(json.dumps(announced))

        yield answering


def run(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slipway.serving.probe", "--home", str(home.folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_slot_without_a_process_is_gone_and_nothing_else(home: Home, cancer: Model) -> None:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    probe.gone(home.folder, "blue")
    for check in (probe.ready, probe.live, probe.golden):
        with pytest.raises(OSError, match=r"blue\.json"):
            check(home.folder, "blue")


def test_a_slot_that_is_not_live_is_ready_and_golden_and_neither_live_nor_gone(ready: Slot) -> None:
    folder = ready.home.folder
    probe.ready(folder, "blue")
    probe.golden(folder, "blue")
    with pytest.raises(OSError, match="blue is ready, but does not answer at the front door"):
        probe.live(folder, "blue")
    with pytest.raises(OSError, match="blue has not stopped"):
        probe.gone(folder, "blue")
    probe.gone(folder, "green")
    ready.home.make_live("blue")
    with pytest.raises(OSError, match="does not answer at the front door"):
        probe.live(folder, "blue")
    ready.signal(signal.SIGUSR1)
    ready.until(probe.live)
    probe.golden(folder, "blue")


def reason(check: Callable[[Path, str], None], slot: Slot) -> str:
    try:
        check(slot.home.folder, slot.name)
    except OSError as error:
        return str(error)
    return ""


def test_an_ending_slot_is_neither_ready_nor_gone_before_its_process_is(held: Slot) -> None:
    began = time.monotonic()
    held.signal(signal.SIGTERM)
    while not reason(probe.ready, held):
        assert time.monotonic() < began + 10
    assert reason(probe.gone, held) == "blue has not stopped"
    while why := reason(probe.gone, held):
        assert why == "blue has not stopped"
        assert time.monotonic() < began + 10
    # The idle connection kept it for the lame-duck time.
    assert time.monotonic() > began + 1
    assert held.ends() == 0


def test_a_killed_slot_is_gone_though_its_announcement_is_there(ready: Slot) -> None:
    ready.signal(signal.SIGKILL)
    ready.ends()
    assert (ready.home.folder / "run/blue.json").exists()
    probe.gone(ready.home.folder, "blue")
    with pytest.raises(OSError, match="refused"):
        probe.ready(ready.home.folder, "blue")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 500 No\r\n\r\n",
    ],
    ids=["nothing", "no HTTP", "no JSON", "500"],
)
def test_a_stranger_at_a_killed_slots_port_is_not_taken_for_it(
    home: Home, stranger: Stranger, answer: bytes
) -> None:
    stranger(answer)
    for check in (probe.ready, probe.live, probe.golden):
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the stranger
            check(home.folder, "blue")
    probe.gone(home.folder, "blue")


def test_another_service_at_a_killed_slots_port_is_refused_as_not_the_release(
    home: Home, stranger: Stranger
) -> None:
    stranger(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}')
    with pytest.raises(Refused, match=r"blue should serve v1\.0\.0"):
        probe.golden(home.folder, "blue")


def test_golden_refuses_a_slot_whose_link_names_another_release(ready: Slot, other_cancer: Model) -> None:
    home = ready.home
    home.install("v2.0.0", other_cancer)
    home.point("blue", "v2.0.0")
    with pytest.raises(Refused, match=r"blue should serve v2\.0\.0, but says .*'release': 'v1\.0\.0'"):
        probe.golden(home.folder, "blue")
    home.point("blue", "v1.0.0")
    probe.golden(home.folder, "blue")


@pytest.mark.parametrize("field", ["model", "release", "commit", "bundle", "runtime"])
def test_golden_refuses_a_slot_that_differs_from_the_record_in_one_field(
    served: Slot, tmp_path: Path, field: str
) -> None:
    home = tmp_path
    (home / "run").symlink_to(served.home.folder / "run")
    (home / "slots/blue").mkdir(parents=True)
    (home / "slots/blue/bundle").symlink_to(served.home.release("v1.0.0") / "bundle")
    record = json.loads((served.home.release("v1.0.0") / "release.json").read_text())
    (home / "slots/blue/release.json").write_text(json.dumps(record))
    probe.golden(home, "blue")
    (home / "slots/blue/release.json").write_text(json.dumps({**record, field: "another"}))
    with pytest.raises(Refused, match=f"but says {{'{field}': '{record[field]}'}}"):
        probe.golden(home, "blue")


@pytest.mark.parametrize("wrong", [("malignant", 1.8e-8), ("benign", 0.00002)], ids=["label", "probability"])
def test_golden_refuses_a_slot_that_answers_otherwise(
    served: Slot, tmp_path: Path, wrong: tuple[str, float]
) -> None:
    """As a process does that was started with other bytes than lie there now."""
    (tmp_path / "run").symlink_to(served.home.folder / "run")
    (tmp_path / "slots/blue/bundle").mkdir(parents=True)
    release = served.home.release("v1.0.0")
    (tmp_path / "slots/blue/release.json").write_text((release / "release.json").read_text())
    golden = json.loads((release / "bundle/golden.json").read_text())
    copy = tmp_path / "slots/blue/bundle/golden.json"
    copy.write_text(json.dumps(golden))
    probe.golden(tmp_path, "blue")
    golden["expected"][0] = wrong
    copy.write_text(json.dumps(golden))
    with pytest.raises(Refused, match=f"blue fails its golden rows: golden row 0: expected {wrong[0]}"):
        probe.golden(tmp_path, "blue")


def test_a_proxy_that_the_host_is_told_to_use_is_not_asked(
    served: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nowhere:
        port = nowhere.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    probe.live(served.home.folder, "blue")


def test_the_program_exits_with_0_when_the_check_holds(served: Slot) -> None:
    for check in ("ready", "live", "golden"):
        ended = run(served.home, check, "--slot", "blue")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_program_says_in_one_line_why_the_check_does_not_hold(served: Slot) -> None:
    ended = run(served.home, "gone", "--slot", "blue")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "blue: blue has not stopped\n")
    ended = run(served.home, "golden", "--slot", "green")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("green: ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_program_waits_as_long_as_it_is_told_to(home: Home, cancer: Model, start: Start) -> None:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    start("blue")
    ended = run(home, "ready", "--slot", "blue", "--seconds", "20")
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = run(home, "live", "--slot", "blue", "--seconds", "0.2")
    assert (
        ended.returncode,
        ended.stderr,
    ) == (1, "blue: blue is ready, but does not answer at the front door\n")
