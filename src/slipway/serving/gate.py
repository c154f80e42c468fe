"""The outermost layer of the service: bounds a request's size, counts it, and ends connections when stopping."""

import time
from collections import Counter as Tally
from collections.abc import Sequence

from fastapi import HTTPException
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.serving.door import Door
from slipway.serving.release import ReleaseRecord

_PATHS = frozenset({"/predict", "/healthz", "/readyz", "/metadata", "/metrics", "/docs", "/openapi.json"})
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """What the service counts about itself."""

    def __init__(self, registry: CollectorRegistry, record: ReleaseRecord) -> None:
        self.requests = Counter(
            "slipway_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "slipway_request_seconds", "Time to answer.", ["path"], buckets=_BUCKETS, registry=registry
        )
        self.predictions = Counter("slipway_predictions", "Rows predicted.", ["label"], registry=registry)
        info = Gauge("slipway_release", "Always 1.", list(ReleaseRecord.model_fields), registry=registry)
        info.labels(**record.model_dump()).set(1)

    def count(self, labels: Sequence[str]) -> None:
        for label, rows in Tally(labels).items():
            self.predictions.labels(label).inc(rows)


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
                if self._door.stopping:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        if _declared_length(scope) > self._limit:
            refusal = JSONResponse({"detail": [_too_large(self._limit)]}, 413, {"connection": "close"})
            await refusal(scope, receive, counted)
        else:
            await self._app(scope, bounded, counted)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _too_large(limit: int) -> dict[str, object]:
    return {"loc": ["body"], "msg": f"The body must not exceed {limit} bytes", "type": "too_large"}
