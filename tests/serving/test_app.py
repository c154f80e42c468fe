"""The service as a caller sees it: its answers, and what it says about itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from slipway.scorer import Prediction

if TYPE_CHECKING:
    import httpx
    from tests.serving.conftest import Model, Service, Slot


def predictions(answer: httpx.Response) -> list[Prediction]:
    assert answer.status_code == 200, answer.text
    return [Prediction(**prediction) for prediction in answer.json()["predictions"]]


def test_one_row_is_answered_exactly_as_offline(service: Service) -> None:
    for row in service.model.rows:
        assert service.model.offline([row]) == predictions(service.client.post("/predict", json=row))


def test_many_rows_are_answered_exactly_as_offline_and_in_their_order(service: Service) -> None:
    forward, backward = service.model.rows, service.model.rows[::-1]
    assert len(forward) > 100
    assert service.model.offline(forward) == predictions(service.client.post("/predict", json=forward))
    assert service.model.offline(backward) == predictions(service.client.post("/predict", json=backward))
    assert service.model.offline(forward) != service.model.offline(backward)


def test_a_list_of_one_row_is_answered_as_the_row(service: Service) -> None:
    row = service.model.rows[0]
    assert service.model.offline([row]) == predictions(service.client.post("/predict", json=[row]))


def test_the_order_of_a_rows_keys_does_not_matter(service: Service) -> None:
    row = service.model.rows[0]
    turned = dict(reversed(row.items()))
    assert service.model.offline([row]) == predictions(service.client.post("/predict", json=turned))


def test_every_answer_names_its_model_and_release(service: Service) -> None:
    for body in (service.model.rows[0], service.model.rows[:3]):
        answer = service.client.post("/predict", json=body).json()
        assert (service.model.settings.model.name, "v1.0.0") == (answer["model"], answer["release"])


@pytest.mark.parametrize("column", ["age", "channel", "waiting"])
def test_a_null_where_the_contract_allows_it_is_answered_as_offline(
    mixed_client: httpx.Client, mixed: Model, column: str
) -> None:
    known = next(row for row in mixed.rows if None not in row.values())
    row = {**known, column: None}
    assert mixed.offline([row]) == predictions(mixed_client.post("/predict", json=row))
    assert mixed.offline([row]) != mixed.offline([known])


def test_the_text_null_is_a_category_and_not_a_null(mixed_client: httpx.Client, mixed: Model) -> None:
    rows = [{**mixed.rows[0], "channel": value} for value in ("null", None)]
    offline = mixed.offline(rows)
    assert offline == predictions(mixed_client.post("/predict", json=rows))
    assert offline[0] != offline[1]


def test_limits_are_inclusive(client: httpx.Client, cancer: Model) -> None:
    columns = cancer.settings.contract.columns.items()
    rows = [
        {name: column.minimum for name, column in columns},
        {name: column.maximum for name, column in columns},
    ]
    assert cancer.offline(rows) == predictions(client.post("/predict", json=rows))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("3", 3.0),
        ("-0", -0.0),
        ("0.3e1", 3.0),
        ("1e-999", 0.0),
        ("0.1000000000000000055511151231257827021181583404541015625", 0.1),
        ("0." + "1" * 10_000, 0.1111111111111111),
        ("9007199254740993", 9007199254740992.0),  # 2^53 + 1; the description of /predict says so
        ("-9007199254740993", -9007199254740992.0),
        ("18446744073709551617", 18446744073709551616.0),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_number_is_read_as_the_nearest_double(
    mixed_client: httpx.Client, mixed: Model, written: str, meant: float
) -> None:
    row = mixed.rows[0]
    body = json.dumps({**row, "delta": "@"}).replace('"@"', written)
    assert mixed.offline([{**row, "delta": meant}]) == predictions(
        mixed_client.post("/predict", content=body)
    )


def test_a_row_is_positive_from_the_releases_own_threshold_on(service: Service) -> None:
    target, threshold = (
        service.model.settings.contract.target,
        service.model.settings.train.decision_threshold,
    )
    answers = predictions(service.client.post("/predict", json=service.model.rows))
    assert {target.positive, target.negative} == {answer.label for answer in answers}
    for answer in answers:
        assert (target.positive if answer.probability >= threshold else target.negative) == answer.label


def test_of_a_key_given_twice_the_last_value_counts(service: Service) -> None:
    """Documented in the description of /predict."""
    row = service.model.rows[0]
    name, value = next(iter(row.items()))
    twice = f'{{"{name}": "wrong", {json.dumps(row)[1:-1]}, "{name}": {json.dumps(value)}}}'
    assert service.model.offline([row]) == predictions(service.client.post("/predict", content=twice))
    wrong_last = f'{{{json.dumps(row)[1:-1]}, "{name}": []}}'
    assert service.client.post("/predict", content=wrong_last).status_code == 422


@pytest.mark.parametrize(
    "kind", [None, "application/json", "text/plain", "application/x-www-form-urlencoded", "\xff"]
)
def test_the_content_type_does_not_matter(client: httpx.Client, cancer: Model, kind: str | None) -> None:
    headers = {} if kind is None else {b"content-type": kind.encode("latin-1")}
    body = json.dumps(cancer.rows[0]).encode()
    assert cancer.offline(cancer.rows[:1]) == predictions(
        client.post("/predict", content=body, headers=headers)
    )


def test_white_space_around_the_body_does_not_matter(client: httpx.Client, cancer: Model) -> None:
    for body in (cancer.rows[0], cancer.rows[:1]):
        padded = f" \t\r\n{json.dumps(body, indent=3)}\n\n"
        assert cancer.offline(cancer.rows[:1]) == predictions(client.post("/predict", content=padded))


def test_a_live_process_is_healthy_and_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").raise_for_status().json() == {"status": "ok", "live": True}
    assert client.get("/readyz").raise_for_status().json() == {"status": "ready", "live": True}


def test_metadata_are_the_record_with_contract_and_threshold(service: Service) -> None:
    record = {
        "model": service.model.settings.model.name,
        "release": "v1.0.0",
        "contract": service.model.settings.contract.digest,
        "decision_threshold": service.model.settings.train.decision_threshold,
    }
    metadata = service.client.get("/metadata").raise_for_status().json()
    assert record == {name: metadata[name] for name in record}


def test_metadata_repeat_the_record_on_the_disk(client: httpx.Client, served: Slot) -> None:
    record = json.loads((served.home.release("v1.0.0") / "release.json").read_text())
    assert {"model", "release", "commit", "bundle", "runtime"} == set(record)
    metadata = client.get("/metadata").json()
    assert record == {name: metadata[name] for name in record}


def test_there_are_docs_for_people(client: httpx.Client) -> None:
    page = client.get("/docs").raise_for_status()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/openapi.json" in page.text


def test_the_docs_need_nothing_from_elsewhere(client: httpx.Client) -> None:
    """A production network lets no browser out to a CDN."""
    page = client.get("/docs").text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any(name.endswith("swagger-ui-bundle.js") for name in wanted)
    assert "://" not in page
    for name in wanted:
        assert client.get(name).raise_for_status().content


def test_every_answer_says_its_length(service: Service) -> None:
    """Without it, a connection that the ending process closes could not be told from one that broke."""
    paths = ("/healthz", "/readyz", "/metadata", "/metrics", "/docs", "/openapi.json", "/nothing")
    answers = [service.client.get(path) for path in paths]
    bodies: list[Any] = [service.model.rows[0], {}, []]
    answers += [service.client.post("/predict", json=body) for body in bodies]
    for answer in answers:
        assert str(len(answer.content)) == answer.headers["content-length"], answer.url
