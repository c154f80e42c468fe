"""The hitless swap: two slots, one socket, load through the front door, and nothing lost."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from slipway.scorer import Prediction
from slipway.serving import probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.serving.conftest import Front, Home, Model, Slot, Start

PER_SECOND = 70
"""Requests of each thread."""


class Request(NamedTuple):
    started: float
    ended: float
    row: int
    release: str
    answer: Prediction | None
    kept: bool
    """Over a connection that this client keeps."""
    closed: bool
    """With `Connection: close`."""
    error: str


class Load:
    """Four threads that ask the front door: two over connections that they keep, two with a new one each time."""

    def __init__(self, port: int, bodies: list[bytes]) -> None:
        self.requests: list[Request] = []
        self._port = port
        self._bodies = bodies
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number, number % 2 == 0)) for number in range(4)
        ]

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)
        self.seconds = time.monotonic() - self._began

    def _ask(self, number: int, keep: bool) -> None:  # noqa: FBT001
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        count = 0
        while not self._over.is_set():
            count += 1
            # By the clock: who is late catches up.
            self._over.wait(max(0.0, self._began + count / PER_SECOND - time.monotonic()))
            self.requests.append(self._one(connection, (number + 4 * count) % len(self._bodies), keep=keep))
            if not keep or self.requests[-1].error:
                connection.close()
        connection.close()

    def _one(self, connection: http.client.HTTPConnection, row: int, *, keep: bool) -> Request:
        started = time.monotonic()

        def done(release: str = "", answer: Prediction | None = None, error: str = "", **of: bool) -> Request:
            closed = of.get("closed", False)
            return Request(started, time.monotonic(), row, release, answer, keep, closed, error)

        try:
            connection.request("POST", "/predict", self._bodies[row])
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                return done(error=f"{response.status} {body!r}")
            found = json.loads(body)
            (prediction,) = found["predictions"]
        except (OSError, http.client.HTTPException, ValueError) as error:
            return done(error=repr(error))
        closed = response.getheader("connection") == "close"
        return done(found["release"], Prediction(**prediction), closed=closed)


class Legal(NamedTuple):
    """From a moment on, the releases that may answer."""

    since: float
    releases: frozenset[str]


def legal_during(history: list[Legal], request: Request) -> frozenset[str]:
    until = [*(later.since for later in history[1:]), float("inf")]
    return frozenset().union(
        *(
            entry.releases
            for entry, end in zip(history, until, strict=True)
            if entry.since <= request.ended and request.started <= end
        )
    )


def swap(
    home: Home, start: Start, old: Slot, name: str, releases: Mapping[str, str], history: list[Legal]
) -> Slot:
    """What the role `model_server` does on a host."""
    new = start(name).until(probe.ready)
    probe.golden(home.folder, name)
    history.append(Legal(time.monotonic(), frozenset(releases.values())))
    home.make_live(name)
    new.signal(signal.SIGUSR1)
    new.until(probe.live)
    old.signal(signal.SIGTERM)
    assert old.ends() == 0
    probe.gone(home.folder, old.name)
    history.append(Legal(time.monotonic(), frozenset({releases[name]})))
    time.sleep(0.3)
    return new


def test_swaps_under_load_lose_no_request_and_mix_no_release(
    home: Home, front: Front, start: Start, cancer: Model, other_cancer: Model
) -> None:
    models = {"v1.0.0": cancer, "v2.0.0": other_cancer}
    releases = {"blue": "v1.0.0", "green": "v2.0.0"}
    for slot, release in releases.items():
        home.install(release, models[release])
        home.point(slot, release)
    home.make_live("blue")
    live = start("blue").until(probe.live)
    history = [Legal(time.monotonic(), frozenset({"v1.0.0"}))]
    with Load(front.port, [json.dumps(row).encode() for row in cancer.rows]) as load:
        time.sleep(0.3)
        for name in ("green", "blue", "green"):
            live = swap(home, start, live, name, releases, history)

    offline = {name: [model.offline([row])[0] for row in cancer.rows] for name, model in models.items()}
    requests = load.requests
    assert [request.error for request in requests if request.error] == []
    assert all(request.answer == offline[request.release][request.row] for request in requests)
    assert [request for request in requests if request.release not in legal_during(history, request)] == []

    # That it was a test at all: enough load, of both kinds, on both releases, in every phase.
    assert len(requests) / load.seconds >= 200
    assert not any(one == other for one, other in zip(*offline.values(), strict=True))
    ends = [*(later.since for later in history[1:]), float("inf")]
    for entry, end in zip(history, ends, strict=True):
        assert any(entry.since < request.started and request.ended < end for request in requests)
    kept = [request for request in requests if request.kept]
    assert 0.4 < len(kept) / len(requests) < 0.6
    # Both connections that were kept, at each of three swaps.
    assert 6 <= sum(request.closed for request in kept) <= 12
