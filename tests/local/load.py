"""A small load through the front door: half of it over connections that are kept, half over a new one each time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slipway.scorer import Scorer

THREADS = 4
PER_SECOND = 35
"""Requests of each thread."""
LAME_DUCK_SECONDS = 5.5
"""So long may a release that was replaced still answer: over connections that it has."""


class Request(NamedTuple):
    started: float
    ended: float
    row: int
    release: str
    label: str
    probability: float
    error: str


class Load:
    """At least 100 requests a second for as long as the context lasts; every answer is recorded."""

    def __init__(
        self,
        port: int,
        rows: Sequence[Mapping[str, Any]],
        address: str = "127.0.0.1",
        threads: int = THREADS,
    ) -> None:
        self.requests: list[Request] = []
        self._port = port
        self._address = address
        self._bodies = [json.dumps(row).encode() for row in rows]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.3)
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        self.seconds = time.monotonic() - self._began

    @property
    def per_second(self) -> float:
        return len(self.requests) / self.seconds

    @property
    def failed(self) -> list[Request]:
        return [request for request in self.requests if request.error]

    @property
    def releases(self) -> list[str]:
        """The releases that answered, in the order of their first answers."""
        return list(dict.fromkeys(request.release for request in self.requests if not request.error))

    def wrong(self, models: Mapping[str, Scorer], rows: Sequence[Mapping[str, Any]]) -> list[Request]:
        """Answers that are not the offline prediction of the release that they name."""
        offline = {release: [model.predict([row])[0] for row in rows] for release, model in models.items()}
        return [
            request
            for request in self.requests
            if not request.error
            and (request.label, request.probability) != tuple(offline[request.release][request.row])
        ]

    @staticmethod
    def illegal(requests: Sequence[Request], old: str, new: str, began: float, ended: float) -> list[Request]:
        """Those around a swap whose release was not live: `new` before it began, `old` when it had long ended."""
        return [
            request
            for request in requests
            if request.release not in {old, new}
            or (request.release == new and request.ended < began)
            or (request.release == old and request.started > ended + LAME_DUCK_SECONDS)
        ]

    def _ask(self, number: int) -> None:
        keep = number % 2 == 0
        connection = http.client.HTTPConnection(self._address, self._port, timeout=20)
        count = 0
        while not self._over.is_set():
            count += 1
            # By the clock: who is late catches up.
            self._over.wait(max(0.0, self._began + count / PER_SECOND - time.monotonic()))
            request = self._one(connection, (number + THREADS * count) % len(self._bodies))
            self.requests.append(request)
            if request.error or not keep:
                connection.close()
        connection.close()

    def _one(self, connection: http.client.HTTPConnection, row: int) -> Request:
        started = time.monotonic()
        try:
            connection.request("POST", "/predict", self._bodies[row])
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.HTTPStatus.OK:
                return Request(started, time.monotonic(), row, "", "", 0.0, f"{answer.status} {body!r}")
            found = json.loads(body)
            (prediction,) = found["predictions"]
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            return Request(started, time.monotonic(), row, "", "", 0.0, repr(error))
        label, probability = prediction["label"], prediction["probability"]
        return Request(started, time.monotonic(), row, found["release"], label, probability, "")
