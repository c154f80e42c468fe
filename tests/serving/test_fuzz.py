"""Whatever is sent, the answer is JSON, and its status is not 5xx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    import httpx
    from tests.serving.conftest import Model, Service

UNHURRIED = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    # Nothing in the fixtures changes from one example to the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

NAMES = ["mean_radius", "worst_area", "plan", "age", "delta", "channel", "drift", "waiting", "another"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(st.characters()),  # lone surrogates among them
    st.sampled_from(["free", "paid", "mail", "1", "__missing__"]),
)
JSONISH = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6)
    ),
    max_leaves=20,
)


def holds(answer: httpx.Response) -> None:
    assert answer.status_code in {200, 400, 413, 422}, answer.text
    found = answer.json()
    if answer.status_code == 200:
        assert all(0 <= prediction["probability"] <= 1 for prediction in found["predictions"])
    else:
        assert all(problem["loc"][0] == "body" and problem["msg"] for problem in found["detail"])


@UNHURRIED
@given(st.binary(max_size=300))
@example(b"\x00")
@example(b"\xed\xa0\x80")
def test_arbitrary_bytes_are_refused(service: Service, body: bytes) -> None:
    holds(service.client.post("/predict", content=body))


@UNHURRIED
@given(JSONISH)
@example({"mean_radius": "\ud800"})
@example({"\udfff": 1})
@example([{"delta": 1.7976931348623157e308, "drift": -1.7976931348623157e308}])
def test_arbitrary_json_is_answered_or_refused(service: Service, body: Any) -> None:
    holds(service.client.post("/predict", content=json.dumps(body)))


@UNHURRIED
@given(st.data())
def test_a_row_with_arbitrary_values_is_answered_or_refused(service: Service, data: st.DataObject) -> None:
    model: Model = service.model
    row = dict(data.draw(st.sampled_from(model.rows)))
    row.update(data.draw(st.dictionaries(st.sampled_from(list(row)), SCALARS, min_size=1)))
    holds(service.client.post("/predict", content=json.dumps(row)))


@UNHURRIED
@given(st.data())
def test_a_row_with_damaged_bytes_is_answered_or_refused(service: Service, data: st.DataObject) -> None:
    body = bytearray(json.dumps(data.draw(st.sampled_from(service.model.rows))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["change", "insert", "cut", "repeat"])):
            case "change":
                body[place] = data.draw(st.integers(0, 255))
            case "insert":
                body[place:place] = data.draw(
                    st.binary(min_size=1, max_size=4) | st.sampled_from([b"9" * 400, b"[", b"e"])
                )
            case "cut":
                del body[place : place + data.draw(st.integers(1, 20))]
            case _:
                body += body[place : place + 50]
        body = body or bytearray(b" ")
    holds(service.client.post("/predict", content=bytes(body)))


@UNHURRIED
@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"]),
    st.text(max_size=30) | st.sampled_from(["predict", "healthz", "predict/"]),
    st.text(max_size=20),
    st.lists(st.sampled_from([*range(0x21, 0x7F), *range(0x80, 0x100)]), max_size=20).map(bytes),
)
def test_arbitrary_paths_queries_and_headers_are_no_error(
    client: httpx.Client, method: str, path: str, query: str, header: bytes
) -> None:
    where = "/{}?{}".format(
        *(quote(part.encode("utf-8", "surrogatepass"), safe="") for part in (path, query))
    )
    answer = client.request(method, where, headers={b"x-any": header})
    assert answer.status_code in {200, 307, 400, 404, 405}
