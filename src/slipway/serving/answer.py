"""From the body of a request to its answer: checked against the contract, predicted, or refused with the reason."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, NamedTuple

from fastapi.responses import JSONResponse
from pydantic import BaseModel, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from slipway.scorer import Prediction
from slipway.serving.release import Release

MAX_ROWS = 10_000
_MAX_PROBLEMS = 100
_MAX_FOUND = 10_000
"""Beyond so many, problems are only counted: to build a list of them would take seconds."""
_MAX_NAME = 100


class Problem(BaseModel):
    """One thing wrong with a request: where, what, and a code for programs."""

    loc: list[str | int]
    msg: str
    type: str


class Problems(BaseModel):
    detail: list[Problem]


class Answered(NamedTuple):
    """The answer to a request, and what it is about."""

    response: JSONResponse
    inputs: Sequence[Mapping[str, Any]] = ()
    """The rows; none where the request was refused."""
    predictions: Sequence[Prediction] = ()


class Answerer:
    """Answers with one release."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self.row = release.contract.row_model()
        rows_type = Annotated[list[self.row], Field(min_length=1, max_length=MAX_ROWS), FailFast()]  # type: ignore[name-defined]
        self._one, self._many = TypeAdapter(self.row), TypeAdapter[Any](rows_type)

    def answer(self, body: bytes) -> Answered:
        """The answer to a request with one row, or a list of rows."""
        try:
            # Not `validate_json`: a hostile body becomes a tree of a thousand times its size in there.
            sent = from_json(body)
            many = isinstance(sent, list)
            rows = self._many.validate_python(sent) if many else [self._one.validate_python(sent)]
        except ValidationError as error:
            return _refusal(422, _problems(error))
        except ValueError as error:
            return _refusal(400, [_problem((), f"Invalid JSON: {error}", "json_invalid")])
        inputs = [item.model_dump() for item in rows]
        predictions = self._release.scorer.predict(inputs)
        if unanswered := [i for i, answer in enumerate(predictions) if not isfinite(answer.probability)]:
            where = unanswered[:1] if many else ()
            return _refusal(
                422, [_problem(where, "The row is beyond what the model can compute", "overflow")]
            )
        record, answers = self._release.record, [prediction._asdict() for prediction in predictions]
        content = {"model": record.model, "release": record.release, "predictions": answers}
        return Answered(JSONResponse(content), inputs, predictions)


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


def _refusal(status: int, problems: list[Problem]) -> Answered:
    return Answered(JSONResponse(Problems(detail=problems).model_dump(), status))
