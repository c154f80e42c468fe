"""The REST API of one release, typed from its contract. It never answers 5xx to what a caller can send."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from slipway.serving.answer import MAX_ROWS, Answered, Answerer, Problems
from slipway.serving.door import FRONT, Door
from slipway.serving.exchange import Exchange, Witness
from slipway.serving.gate import REQUEST_ID, Gate, Metrics
from slipway.serving.release import Release, ReleaseRecord

MAX_BODY_BYTES = 2 * 2**20
_CLIENT_LEFT = 499
"""For the metrics; nobody is there to read it. The number is nginx's."""


class Answer(BaseModel):
    """The prediction for one row."""

    label: str
    probability: float = Field(description="Of the positive label.")


class Answers(BaseModel):
    """The predictions for a request's rows, in their order, and the release that made them."""

    model: str
    release: str
    predictions: list[Answer]


class Status(BaseModel):
    status: Literal["ok", "ready", "stopping"]
    live: bool = Field(description="Whether this process answers at the front door.")


class Metadata(ReleaseRecord):
    contract: str = Field(description="Digest of the contract.")
    decision_threshold: float


def create_app(
    release: Release, door: Door, witnesses: Sequence[Witness] = (), max_body_bytes: int = MAX_BODY_BYTES
) -> Gate:
    """The application that serves `release`.

    Args:
        release: What it answers with.
        door: Says whether this process is the live one.
        witnesses: Who is told of what was asked and answered at the front door.
        max_body_bytes: Largest body that it reads.
    """
    record = release.record
    registry = _registry(witnesses)
    metrics = Metrics(registry, record, release.contract.target.positive)
    app = FastAPIOffline(
        title=record.model,
        version=record.release,
        description=_described(release),
        redoc_url=None,
        swagger_ui_parameters={
            "validatorUrl": None
        },  # or the page sends the schema's address to a site of Swagger's
    )
    answerer = Answerer(release)

    @app.post(
        "/predict",
        response_model=Answers,
        responses={code: {"model": Problems} for code in (400, 413, 422)},
        openapi_extra={"requestBody": _request_body(answerer.row, release.bundle.golden.rows[0])},
        summary="Predict one row, or a list of rows",
        description=_PREDICT,
    )
    async def predict(request: Request) -> Response:
        body = await request.body()
        answered = answerer.answer(body)
        if answered.predictions:
            metrics.count(answered.predictions)
        _tell(witnesses, request, record.release, body, answered)
        return answered.response

    @app.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Status:
        return Status(status="ok", live=door.open)

    @app.get("/readyz", responses={503: {"model": Status}}, summary="May it be sent requests?")
    async def readyz() -> JSONResponse:
        status = Status(status="stopping" if door.stopping else "ready", live=door.open)
        return JSONResponse(status.model_dump(), 503 if door.stopping else 200)

    @app.get("/metadata", summary="Which release is this?")
    async def metadata() -> Metadata:
        threshold = release.scorer.threshold
        digest = release.contract.digest
        return Metadata(**record.model_dump(), contract=digest, decision_threshold=threshold)

    @app.get("/metrics", response_class=Response, summary="Counters for Prometheus")
    async def prometheus() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(ClientDisconnect)
    async def left(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=_CLIENT_LEFT)

    return Gate(app, door, metrics, max_body_bytes)


_PREDICT = """\
Every row is checked against the contract. The answer is for all rows or for none: a row that is not as it should be
refuses the request, and the problems of the first such row are named.

A number is an IEEE double, as in JavaScript: an integer beyond 2^53 is rounded to the nearest. Of a key that is
given twice, the last value counts.
"""


def _registry(witnesses: Sequence[Witness]) -> CollectorRegistry:
    registry = CollectorRegistry()
    for metric in [metric for witness in witnesses for metric in witness.metrics]:
        registry.register(metric)
    return registry


def _tell(
    witnesses: Sequence[Witness], request: Request, release: str, body: bytes, answered: Answered
) -> None:
    """Tell of what came through the front door; the side door is for those who look after the service."""
    state = request.scope["state"]
    if FRONT in state:
        exchange = Exchange(
            time.time(), state[REQUEST_ID], release, body, answered.inputs, answered.predictions
        )
        for witness in witnesses:
            witness.add(exchange)


def _described(release: Release) -> str:
    target = release.contract.target
    return (
        f"Says for each row whether it is `{target.positive}` or `{target.negative}`, with the probability of "
        f"`{target.positive}`. Release `{release.record.release}`, commit `{release.record.commit}`."
    )


def _request_body(row: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    schema = row.model_json_schema()
    many = {"type": "array", "items": schema, "minItems": 1, "maxItems": MAX_ROWS, "title": "Rows"}
    content = {"schema": {"anyOf": [schema, many]}, "example": example}
    return {"required": True, "content": {"application/json": content}}
