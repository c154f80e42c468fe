"""Whatever is wrong with a request, the answer is 4xx and says where; it is never 5xx."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    import httpx
    from tests.serving.conftest import Model, Service

ROWS = 10_000


class Problem(NamedTuple):
    where: list[str | int]
    kind: str


def problems(answer: httpx.Response, status: int) -> list[Problem]:
    """What a refusal names; every refusal is small, whatever was sent."""
    assert status == answer.status_code, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.content) < 100_000
    found = answer.json()["detail"]
    assert found
    assert all({"loc", "msg", "type"} == set(problem) and problem["msg"] for problem in found)
    return [Problem(problem["loc"], problem["type"]) for problem in found]


def written(row: dict[str, Any], column: str, value: str) -> str:
    """A row as JSON with the text `value` in one column, even where that is no JSON."""
    return json.dumps({**row, column: "@@"}).replace('"@@"', value)


# One value


NO_NUMBERS = {
    '"1"': "float_type",
    '""': "float_type",
    "true": "float_type",
    "false": "float_type",
    "null": "float_type",
    "{}": "float_type",
    '{"value": 1}': "float_type",
    "[]": "float_type",
    "[1]": "float_type",
    "NaN": "finite_number",
    "Infinity": "finite_number",
    "-Infinity": "finite_number",
    "1e999": "finite_number",
    "-1e999": "finite_number",
}
BEYOND_LIMITS = {
    "100.00000000000001": "less_than_equal",
    "1e308": "less_than_equal",
    "9007199254740993": "less_than_equal",
    "18446744073709551617": "less_than_equal",
    "-5e-324": "greater_than_equal",
    "-9007199254740993": "greater_than_equal",
    "-1e308": "greater_than_equal",
    # Too large for a double.
    "9" * 400: "float_type",
    "-" + "9" * 400: "float_type",
}


@pytest.mark.parametrize(
    ("value", "kind"), [*NO_NUMBERS.items(), *BEYOND_LIMITS.items()], ids=lambda text: text[:20]
)
def test_what_is_no_number_within_limits_is_refused_by_its_column(
    client: httpx.Client, cancer: Model, value: str, kind: str
) -> None:
    good = json.dumps(cancer.rows[0])
    bad = written(cancer.rows[0], "mean_texture", value)
    assert [Problem(["body", "mean_texture"], kind)] == problems(client.post("/predict", content=bad), 422)
    answer = client.post("/predict", content=f"[{good}, {good}, {bad}]")
    assert [Problem(["body", 2, "mean_texture"], kind)] == problems(answer, 422)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(value, kind) for value, kind in NO_NUMBERS.items() if value != "null"],
    ids=lambda text: text,
)
@pytest.mark.parametrize("column", ["age", "delta", "waiting"])
def test_what_is_no_number_is_refused_with_and_without_limits_and_nulls(
    mixed_client: httpx.Client, mixed: Model, column: str, value: str, kind: str
) -> None:
    answer = mixed_client.post("/predict", content=written(mixed.rows[0], column, value))
    assert [Problem(["body", column], kind)] == problems(answer, 422)


@pytest.mark.parametrize("value", ["9" * 400, "-" + "9" * 400])
def test_an_integer_that_no_double_holds_is_refused_by_its_column(
    mixed_client: httpx.Client, mixed: Model, value: str
) -> None:
    answer = mixed_client.post("/predict", content=written(mixed.rows[0], "delta", value))
    assert [Problem(["body", "delta"], "float_type")] == problems(answer, 422)


@pytest.mark.parametrize(
    "value", ["9" * 10_000, "-" + "9" * 10_000, "1" + "0" * 10_000 + ".5"], ids=("+", "-", ".")
)
def test_a_number_of_ten_thousand_digits_is_refused_by_its_place(service: Service, value: str) -> None:
    """The JSON reader gives up on it, so what is named is where in the text it stands."""
    name = service.model.settings.contract.numbers[-1]
    answer = service.client.post("/predict", content=written(service.model.rows[0], name, value))
    assert [Problem(["body"], "json_invalid")] == problems(answer, 400)
    assert "number out of range at line 1 column " in answer.text


@pytest.mark.parametrize(
    "value",
    [
        *('"gold"', '"FREE"', '"free "', '" free"', '""', '"__missing__"', '"fre\\u0000"'),
        json.dumps(unicodedata.normalize("NFD", "Zwölf Ämter 👍")),
        *("null", "0", "1", "true", "1e999", "[]", '["free"]', '{"free": 1}'),
    ],
)
def test_an_unseen_category_is_refused_by_its_column(
    mixed_client: httpx.Client, mixed: Model, value: str
) -> None:
    answer = mixed_client.post("/predict", content=written(mixed.rows[0], "plan", value))
    assert [Problem(["body", "plan"], "literal_error")] == problems(answer, 422)
    assert "'free', 'paid' or 'Zwölf Ämter 👍'" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize("value", ['"fax"', '"__missing__"', "1", "false", '"NULL"'])
def test_a_nullable_category_is_still_a_closed_list(
    mixed_client: httpx.Client, mixed: Model, value: str
) -> None:
    answer = mixed_client.post("/predict", content=written(mixed.rows[0], "channel", value))
    assert [Problem(["body", "channel"], "literal_error")] == problems(answer, 422)


def test_null_is_refused_by_its_column_wherever_the_contract_does_not_allow_it(service: Service) -> None:
    columns = service.model.settings.contract.columns
    refused = [name for name, column in columns.items() if not column.nullable]
    assert refused
    for name in refused:
        answer = service.client.post("/predict", json={**service.model.rows[0], name: None})
        assert [["body", name]] == [problem.where for problem in problems(answer, 422)]


@pytest.mark.parametrize(("first", "second"), [(1.7e308, 1.7e308), (-1.7e308, -1.7e308)])
def test_a_row_that_the_model_cannot_compute_is_refused_by_its_number(
    mixed_client: httpx.Client, mixed: Model, first: float, second: float
) -> None:
    """Columns without limits allow what overflows within the model: infinity minus infinity."""
    row = {**mixed.rows[0], "delta": first, "drift": second}
    (offline,) = mixed.offline([row])
    assert offline.probability != offline.probability
    assert [Problem(["body"], "overflow")] == problems(mixed_client.post("/predict", json=row), 422)
    answer = mixed_client.post("/predict", json=[mixed.rows[0], mixed.rows[1], row, row])
    assert [Problem(["body", 2], "overflow")] == problems(answer, 422)


# The columns of a row


def test_a_missing_column_is_refused_by_name_even_where_null_is_allowed(service: Service) -> None:
    for name in service.model.settings.contract.columns:
        row = {key: value for key, value in service.model.rows[0].items() if key != name}
        answer = service.client.post("/predict", json=row)
        assert [Problem(["body", name], "missing")] == problems(answer, 422)
        answer = service.client.post("/predict", json=[service.model.rows[0], row])
        assert [Problem(["body", 1, name], "missing")] == problems(answer, 422)


def test_all_missing_columns_are_named(service: Service) -> None:
    names = list(service.model.settings.contract.columns)
    assert [Problem(["body", name], "missing") for name in names] == problems(
        service.client.post("/predict", json={}), 422
    )


@pytest.mark.parametrize(
    "name",
    [
        *(
            "another",
            "",
            " ",
            "0",
            "Mean_Radius",
            "mean_radius ",
            "mean_radius\u0000",
            "mean.radius",
            "__class__",
        ),
        *(
            "model_config",
            "self",
            "\u2028",
            "\x7f",
            "\\",
            '"',
            "💥",
            "\u202eeman",
            "e\u0301",
            "{}",
            "%s",
            "'; --",
        ),
    ],
)
@pytest.mark.parametrize("value", [1, None, "text", [[]], {"a": {}}], ids=str)
def test_a_column_too_many_is_refused_by_name(service: Service, name: str, value: Any) -> None:
    row = {**service.model.rows[0], name: value}
    assert [Problem(["body", name], "extra_forbidden")] == problems(
        service.client.post("/predict", json=row), 422
    )
    answer = service.client.post("/predict", json=[row, service.model.rows[0]])
    assert [Problem(["body", 0, name], "extra_forbidden")] == problems(answer, 422)


def test_a_very_long_name_is_refused_by_its_beginning(service: Service) -> None:
    name = "é" * 100_000
    answer = service.client.post("/predict", json={**service.model.rows[0], name: 1})
    assert [Problem(["body", "é" * 100], "extra_forbidden")] == problems(answer, 422)


def test_every_problem_of_the_first_wrong_row_is_named(mixed_client: httpx.Client, mixed: Model) -> None:
    wrong = {**mixed.rows[0], "plan": "gold", "age": 121, "waiting": True}
    answer = mixed_client.post("/predict", json=[mixed.rows[1], wrong, {}])
    assert [
        Problem(["body", 1, "plan"], "literal_error"),
        Problem(["body", 1, "age"], "less_than_equal"),
        Problem(["body", 1, "waiting"], "float_type"),
    ] == problems(answer, 422)


def test_one_wrong_row_refuses_all(service: Service) -> None:
    answer = service.client.post("/predict", json=[*service.model.rows, {}])
    assert "predictions" not in answer.json()
    assert {len(service.model.rows)} == {problem.where[1] for problem in problems(answer, 422)}


def test_of_many_problems_a_hundred_are_listed(service: Service) -> None:
    row = {**service.model.rows[0], **{f"another_{number}": 1 for number in range(1000)}}
    assert [Problem(["body", f"another_{number}"], "extra_forbidden") for number in range(100)] == problems(
        service.client.post("/predict", json=row), 422
    )


def test_of_too_many_problems_only_the_number_is_said(service: Service) -> None:
    row = {**service.model.rows[0], **{f"{number:x}": 1 for number in range(10_001)}}
    answer = service.client.post("/predict", json=row)
    assert [Problem(["body"], "too_many_problems")] == problems(answer, 422)
    assert answer.json()["detail"][0]["msg"].startswith("10001 problems")


# The rows of a request


def test_an_empty_list_is_refused(service: Service) -> None:
    assert [Problem(["body"], "too_short")] == problems(service.client.post("/predict", json=[]), 422)


def test_the_limit_of_rows_is_inclusive(mixed_client: httpx.Client, mixed: Model) -> None:
    rows = [mixed.rows[number % len(mixed.rows)] for number in range(ROWS + 1)]
    answer = mixed_client.post("/predict", content=json.dumps(rows[:ROWS], separators=(",", ":")))
    expected = [prediction._asdict() for prediction in mixed.offline(rows[:ROWS])]
    assert expected == answer.raise_for_status().json()["predictions"]
    answer = mixed_client.post("/predict", content=json.dumps(rows, separators=(",", ":")))
    assert [Problem(["body"], "too_long")] == problems(answer, 422)
    assert f"at most {ROWS} items" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize("item", ["1", "null", "true", '"row"', "[]", "[{}]", "1e999", "NaN"])
def test_what_is_no_object_is_refused_by_its_number(service: Service, item: str) -> None:
    row = json.dumps(service.model.rows[0])
    answer = service.client.post("/predict", content=f"[{row}, {item}, {row}]")
    assert [Problem(["body", 1], "model_type")] == problems(answer, 422)
    assert answer.json()["detail"][0]["msg"] == "Input should be an object"


@pytest.mark.parametrize("body", ["1", "null", "true", '"row"', "1e999", "-Infinity", "NaN"])
def test_a_body_that_is_neither_object_nor_list_is_refused(service: Service, body: str) -> None:
    assert [Problem(["body"], "model_type")] == problems(service.client.post("/predict", content=body), 422)


# The text of a request


def malformed(row: str) -> dict[str, bytes]:
    text = row.encode()
    return {
        "empty": b"",
        "white space": b" \r\n\t ",
        "truncated": text[:-1],
        "truncated in a number": text[: text.index(b"0.") + 2],
        "truncated in a name": text[:5],
        "truncated list": b"[" + text,
        "one bracket": b"[",
        "trailing comma": text[:-1] + b",}",
        "trailing text": text + b" x",
        "two documents": text + text,
        "trailing NUL": text + b"\0",
        "single quotes": text.replace(b'"', b"'"),
        "comment": b"/* */" + text,
        "no name": text.replace(b'"', b"", 2),
        "leading zero": b"[007]",
        "plus": b"[+1]",
        "bare point": b"[1.]",
        "hexadecimal": b"[0x10]",
        "underscore": b"[1_000]",
        "byte order mark": b"\xef\xbb\xbf" + text,
        "UTF-16": row.encode("utf-16"),
        "UTF-32": row.encode("utf-32"),
        "Latin-1": '{"ä": 1}'.encode("latin-1"),
        "invalid UTF-8 in a name": text.replace(b'"', b'"\xff', 1),
        "invalid UTF-8 in a value": b'{"a": "\xc3\x28"}',
        "invalid UTF-8 outside": text + b"\xff",
        "overlong UTF-8": b'{"a": "\xc0\xaf"}',
        "surrogate as UTF-8": b'{"a": "\xed\xa0\x80"}',
        "lone surrogate in a name": text.replace(b'"', b'"\\ud800', 1),
        "lone low surrogate in a name": text.replace(b'"', b'"\\udc00', 1),
        "lone surrogate in a value": b'{"a": "\\ud83d"}',
        "surrogates in the wrong order": b'{"a": "\\udc00\\ud800"}',
        "half an escape": b'{"a": "\\u12"}',
        "unknown escape": b'{"a": "\\x41"}',
        "control character": b'{"a": "\n"}',
        "100,000 brackets": b"[" * 100_000,
        "100,000 brackets, closed": b"[" * 100_000 + b"]" * 100_000,
        "100,000 braces": b'{"a":' * 100_000,
        "100,000 braces, closed": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "brackets within a row": text[:-1] + b', "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "form": b"mean_radius=1&mean_texture=2",
        "gzip": bytes.fromhex("1f8b0800000000000003abae050043bfa6a302000000"),
        "zeros": b"\0" * 1000,
    }


@pytest.mark.parametrize("name", malformed('{"a": 0.1}'))
def test_what_is_no_json_is_refused_as_such(service: Service, name: str) -> None:
    body = malformed(json.dumps(service.model.rows[0]))[name]
    answer = service.client.post("/predict", content=body)
    assert [Problem(["body"], "json_invalid")] == problems(answer, 400)
    assert answer.json()["detail"][0]["msg"].startswith("Invalid JSON: ")


def test_nesting_that_the_reader_can_follow_is_refused_by_name(service: Service) -> None:
    name = service.model.settings.contract.numbers[0]
    deep = written(service.model.rows[0], name, "[" * 150 + "]" * 150)
    answer = service.client.post("/predict", content=deep)
    assert [Problem(["body", name], "float_type")] == problems(answer, 422)


# Everything else


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_predict_is_only_for_post(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metadata", "/metrics"])
def test_what_is_only_to_be_read_cannot_be_written(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={})
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/Predict", "/predict/v1", "/%2e%2e/etc/passwd", "/%00", "/%ff", "/a" * 2000, "/💥"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_not_found(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
