"""The OpenAPI document: valid, typed from the contract, and true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi.openapi.models import OpenAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving.conftest import Service

    from slipway.contract import Column

OPERATIONS = {
    ("/predict", "post"): {"200", "400", "413", "422"},
    ("/healthz", "get"): {"200"},
    ("/readyz", "get"): {"200", "503"},
    ("/metadata", "get"): {"200"},
    ("/metrics", "get"): {"200"},
}


@pytest.fixture
def document(service: Service) -> Any:
    return service.client.get("/openapi.json").raise_for_status().json()


def request_body(document: Any) -> Any:
    return document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]


def valid_by(document: Any, schema: Any) -> Draft202012Validator:
    """OpenAPI 3.1 describes values by JSON Schema 2020-12."""
    return Draft202012Validator({**schema, "components": document["components"]})


def schemas(node: Any) -> Iterator[Any]:
    """Every schema of the document; those inside of others are looked at with them."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "schema")
        yield from (found for value in node.values() for found in schemas(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in schemas(value))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        yield from (found for value in node.values() for found in references(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in references(value))


def test_the_document_is_valid(document: Any) -> None:
    OpenAPI.model_validate(document)
    assert document["openapi"].startswith("3.1.")
    found = [*schemas(document["paths"]), *document["components"]["schemas"].values()]
    assert len(found) > 10
    for schema in found:
        Draft202012Validator.check_schema(schema)


def test_every_reference_has_its_target(document: Any) -> None:
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert names == set(references(document))


def test_every_operation_and_its_statuses_are_there(document: Any) -> None:
    assert {
        (path, method): set(operation["responses"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    } == OPERATIONS
    names = [
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(names) == len(set(names))


def test_it_is_titled_by_model_and_release(service: Service, document: Any) -> None:
    target = service.model.settings.contract.target
    assert (service.model.settings.model.name, "v1.0.0") == (
        document["info"]["title"],
        document["info"]["version"],
    )
    assert f"whether it is `{target.positive}` or `{target.negative}`" in document["info"]["description"]


def test_it_says_what_becomes_of_large_integers_and_repeated_keys(document: Any) -> None:
    description = " ".join(document["paths"]["/predict"]["post"]["description"].split())
    assert "an integer beyond 2^53 is rounded to the nearest" in description
    assert "Of a key that is given twice, the last value counts" in description


def typed(column: Column) -> dict[str, Any]:
    """The schema that a column of the contract must have."""
    schema: dict[str, Any] = {"type": "number"} if column.type == "number" else {"type": "string"}
    if column.categories:
        schema["enum"] = list(column.categories)
    if column.minimum is not None:
        schema["minimum"] = column.minimum
    if column.maximum is not None:
        schema["maximum"] = column.maximum
    if column.nullable:
        schema = {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "description": column.description} if column.description else schema


def test_a_row_is_typed_by_the_contract(service: Service, document: Any) -> None:
    columns = service.model.settings.contract.columns
    one, many = request_body(document)["schema"]["anyOf"]
    for schema in one["properties"].values():
        schema.pop("title")
    assert {name: typed(column) for name, column in columns.items()} == one["properties"]
    assert list(columns) == one["required"]
    assert one["additionalProperties"] is False
    assert (many["type"], many["minItems"], many["maxItems"]) == ("array", 1, 10_000)


def test_rows_of_a_list_are_typed_as_a_row_alone(document: Any) -> None:
    one, many = request_body(document)["schema"]["anyOf"]
    assert one == many["items"]


def test_the_example_can_be_sent_as_it_is(service: Service, document: Any) -> None:
    content = request_body(document)
    valid_by(document, content["schema"]).validate(content["example"])
    answer = service.client.post("/predict", json=content["example"]).raise_for_status()
    (expected,) = service.model.offline([content["example"]])
    assert [expected._asdict()] == answer.json()["predictions"]


def test_answers_are_as_documented(service: Service, document: Any) -> None:
    row = service.model.rows[0]
    sent = [
        ("/predict", "post", 200, service.client.post("/predict", json=row)),
        ("/predict", "post", 200, service.client.post("/predict", json=[row, row])),
        ("/predict", "post", 400, service.client.post("/predict", content=b"{")),
        ("/predict", "post", 413, service.client.post("/predict", content=b" " * (2 * 2**20 + 1))),
        ("/predict", "post", 413, service.client.post("/predict", content=iter([b" " * 2**20] * 3))),
        ("/predict", "post", 422, service.client.post("/predict", json={"no such": 1})),
        ("/predict", "post", 422, service.client.post("/predict", json=[])),
        ("/healthz", "get", 200, service.client.get("/healthz")),
        ("/metadata", "get", 200, service.client.get("/metadata")),
    ]
    for path, method, status, answer in sent:
        assert status == answer.status_code, answer.text
        documented = document["paths"][path][method]["responses"][str(status)]
        schema = documented["content"]["application/json"]["schema"]
        assert "$ref" in schema
        valid_by(document, schema).validate(answer.json())


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6),
    st.floats(0, 1),
    st.sampled_from(
        ["free", "paid", "mail", "phone", "1", "null", "Zwölf Ämter 👍", "__missing__", "", "0.5"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.floats(0, 1), max_size=2),
)


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    # Nothing in the fixtures changes from one example to the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_the_service_accepts_what_the_document_allows_and_nothing_else(
    service: Service, document: Any, data: st.DataObject
) -> None:
    columns = list(service.model.settings.contract.columns)
    row = dict(data.draw(st.sampled_from(service.model.rows)))
    row.update(data.draw(st.dictionaries(st.sampled_from(columns), VALUES, max_size=2)))
    for name in data.draw(st.lists(st.sampled_from(columns), max_size=1)):
        if data.draw(st.integers(0, 3)) == 0:
            row.pop(name)
    if data.draw(st.integers(0, 9)) == 0:
        row["another"] = data.draw(VALUES)
    body = row if data.draw(st.booleans()) else [service.model.rows[0], row]
    allowed = valid_by(document, request_body(document)["schema"]).is_valid(body)
    assert (200 if allowed else 422) == service.client.post("/predict", json=body).status_code
