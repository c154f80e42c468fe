"""The REST API of one release, typed from its contract. It never answers 5xx to what a caller can send."""

import time
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from slipway.scorer import Prediction
from slipway.serving.door import FRONT, Door
from slipway.serving.gate import REQUEST_ID, Gate, Metrics
from slipway.serving.predictions import Entry, PredictionLog
from slipway.serving.release import Release, ReleaseRecord

MAX_BODY_BYTES = 2 * 2**20
MAX_ROWS = 10_000
_MAX_PROBLEMS = 100
_MAX_FOUND = 10_000
"""Beyond so many, problems are only counted: to build a list of them would take seconds."""
_MAX_NAME = 100
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


class Problem(BaseModel):
    """One thing wrong with a request: where, what, and a code for programs."""

    loc: list[str | int]
    msg: str
    type: str


class Problems(BaseModel):
    detail: list[Problem]


class Metadata(ReleaseRecord):
    contract: str = Field(description="Digest of the contract.")
    decision_threshold: float


def create_app(
    release: Release, door: Door, log: PredictionLog | None = None, max_body_bytes: int = MAX_BODY_BYTES
) -> Gate:
    """The application that serves `release`.

    Args:
        release: What it answers with.
        door: Says whether this process is the live one.
        log: Where it writes down what it has answered at the front door.
        max_body_bytes: Largest body that it reads.
    """
    record = release.record
    registry = _registry(log)
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
    row = release.contract.row_model()
    rows_type = Annotated[list[row], Field(min_length=1, max_length=MAX_ROWS), FailFast()]  # type: ignore[valid-type]
    one, many = TypeAdapter(row), TypeAdapter[Any](rows_type)

    @app.post(
        "/predict",
        response_model=Answers,
        responses={code: {"model": Problems} for code in (400, 413, 422)},
        openapi_extra={"requestBody": _request_body(row, release.bundle.golden.rows[0])},
        summary="Predict one row, or a list of rows",
        description=_PREDICT,
    )
    async def predict(request: Request) -> Response:
        try:
            # Not `validate_json`: a hostile body becomes a tree of a thousand times its size in there.
            sent = from_json(await request.body())
            rows = many.validate_python(sent) if isinstance(sent, list) else [one.validate_python(sent)]
        except ValidationError as error:
            return _refusal(422, _problems(error))
        except ValueError as error:
            return _refusal(400, [_problem((), f"Invalid JSON: {error}", "json_invalid")])
        inputs = [item.model_dump() for item in rows]
        predictions = release.scorer.predict(inputs)
        if unanswered := [i for i, answer in enumerate(predictions) if not isfinite(answer.probability)]:
            where = unanswered[:1] if isinstance(sent, list) else ()
            return _refusal(
                422, [_problem(where, "The row is beyond what the model can compute", "overflow")]
            )
        metrics.count(predictions)
        _write_down(log, request, record.release, inputs, predictions)
        answers = [prediction._asdict() for prediction in predictions]
        return JSONResponse({"model": record.model, "release": record.release, "predictions": answers})

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


def _registry(log: PredictionLog | None) -> CollectorRegistry:
    registry = CollectorRegistry()
    if log:
        registry.register(log.dropped)
    return registry


def _write_down(
    log: PredictionLog | None,
    request: Request,
    release: str,
    inputs: Sequence[Mapping[str, Any]],
    predictions: Sequence[Prediction],
) -> None:
    """Log what came through the front door; the side door is for those who look after the service."""
    state = request.scope["state"]
    if log and FRONT in state:
        log.add(Entry(time.time(), state[REQUEST_ID], release, inputs, predictions))


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


def _problems(error: ValidationError) -> list[Problem]:
    """Name the fields, without the input: it may not be JSON (NaN), nor fit to be repeated."""
    if (count := error.error_count()) > _MAX_FOUND:
        return [_problem((), f"{count} problems, too many to list", "too_many_problems")]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_problem(item["loc"], item["msg"], item["type"]) for item in found[:_MAX_PROBLEMS]]


def _problem(where: Sequence[str | int], message: str, kind: str) -> Problem:
    if kind == "model_type":
        message = "Input should be an object"  # the library's own message speaks of Python
    names = [part if isinstance(part, int) else part[:_MAX_NAME] for part in where]
    return Problem(loc=["body", *names], msg=message[: 4 * _MAX_NAME], type=kind)


def _refusal(status: int, problems: list[Problem]) -> JSONResponse:
    return JSONResponse(Problems(detail=problems).model_dump(), status)
