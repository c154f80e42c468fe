"""The outermost layer of the service: names a request, bounds its size, counts it, ends connections when stopping."""

import math
import re
import resource
import time
import uuid
from collections import Counter as Tally
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from fastapi import HTTPException
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.scorer import Prediction
from slipway.serving.door import Door
from slipway.serving.release import ReleaseRecord

_PATHS = frozenset({"/predict", "/healthz", "/readyz", "/metadata", "/metrics", "/docs", "/openapi.json"})
_TENTHS_OF_A_DECADE = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
SECONDS = tuple(float(f"{step}e{decade}") for decade in (-4, -3, -2, -1, 0) for step in _TENTHS_OF_A_DECADE)[
    4:-2
]
"""Edges of the buckets of time, 0.25 ms to 5 s: the preferred numbers R10 (ISO 3), each 1.26 times the one before.
The analysis of a bake cannot tell two quantiles apart that lie closer than these."""


REQUEST_ID = "request_id"
"""The key of the scope's state under which the application finds the request's id."""
_REQUEST_ID_HEADER = b"x-request-id"
_SANE_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")


class Metrics:
    """What the service counts about itself.

    The summaries are of requests and not of rows: requests are what a balancer deals out, so they, and not the
    rows that come together in one, are what a comparison of hosts may take for independent.
    """

    def __init__(self, registry: CollectorRegistry, record: ReleaseRecord, positive: str) -> None:
        self._positive = positive
        self.requests = Counter(
            "slipway_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "slipway_request_seconds", "Time to answer.", ["path"], buckets=SECONDS, registry=registry
        )
        self.predictions = Counter("slipway_predictions", "Rows predicted.", ["label"], registry=registry)
        self.scores = Summary(
            "slipway_request_score",
            "Probability of the positive label, the mean of a request's rows.",
            registry=registry,
        )
        self.positives = Summary(
            "slipway_request_positives", "Share of a request's rows that are positive.", registry=registry
        )
        info = Gauge("slipway_release", "Always 1.", list(ReleaseRecord.model_fields), registry=registry)
        info.labels(**record.model_dump()).set(1)
        _watch_process(registry)

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count the rows of one request; there is at least one."""
        labels = Tally(prediction.label for prediction in predictions)
        for label, rows in labels.items():
            self.predictions.labels(label).inc(rows)
        self.scores.observe(fmean(prediction.probability for prediction in predictions))
        self.positives.observe(labels[self._positive] / len(predictions))


def _watch_process(registry: CollectorRegistry) -> None:
    """Export start and memory under the names of every Prometheus client.

    The client's own collector reads /proc/stat, which a unit with `ProcSubset=pid` does not see, and then exports
    nothing.
    """
    started = Gauge("process_start_time_seconds", "Start of the process, Unix time.", registry=registry)
    started.set_to_current_time()
    memory = Gauge("process_resident_memory_bytes", "NaN where there is no /proc: macOS.", registry=registry)
    memory.set_function(_resident_bytes)


def _resident_bytes() -> float:
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return math.nan


class Gate:
    """ASGI middleware; raw, because a wrapped request and response would cost more than the prediction."""

    def __init__(self, app: ASGIApp, door: Door, metrics: Metrics, max_body_bytes: int) -> None:
        self._app = app
        self._door = door
        self._metrics = metrics
        self._limit = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        path = scope["path"] if scope["path"] in _PATHS else "other"
        taken = 0
        request_id = _request_id(scope)
        scope.setdefault("state", {})[REQUEST_ID] = request_id.decode()

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise HTTPException(413, [_too_large(self._limit)], {"connection": "close"})
            return message

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(path, str(message["status"])).inc()
                self._metrics.seconds.labels(path).observe(time.perf_counter() - started)
                added = [(b"connection", b"close")] if self._door.stopping else []
                message["headers"] = [*message["headers"], (_REQUEST_ID_HEADER, request_id), *added]
            await send(message)

        if _declared_length(scope) > self._limit:
            refusal = JSONResponse({"detail": [_too_large(self._limit)]}, 413, {"connection": "close"})
            await refusal(scope, receive, counted)
        else:
            await self._app(scope, bounded, counted)


def _request_id(scope: Scope) -> bytes:
    """The id that the caller has given, where it is fit to be repeated and written down; or else a new one."""
    for name, value in scope["headers"]:
        if name == _REQUEST_ID_HEADER and _SANE_ID.fullmatch(value):
            return bytes(value)
    return uuid.uuid4().hex.encode()


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _too_large(limit: int) -> dict[str, object]:
    return {"loc": ["body"], "msg": f"The body must not exceed {limit} bytes", "type": "too_large"}
