"""The service's outermost layer: the size of a request, what is counted, and what a hostile body costs."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway.scorer import Scorer
from slipway.serving import probe
from slipway.serving.app import create_app
from slipway.serving.door import Door
from slipway.serving.release import Release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving.conftest import Home, Model, Service, Slot, Start

LIMIT = 2 * 2**20
MEGABYTE = 2**20
PATHS = {"/predict", "/healthz", "/readyz", "/metadata", "/metrics", "/docs", "/openapi.json", "other"}
TOO_LARGE = [{"loc": ["body"], "msg": f"The body must not exceed {LIMIT} bytes", "type": "too_large"}]

Samples = dict[tuple[str, ...], float]


def samples(text: str, name: str, *labels: str) -> Samples:
    """The values of a metric, by the values of its labels."""
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def counted(client: httpx.Client) -> Samples:
    return samples(client.get("/metrics").text, "slipway_requests_total", "path", "status")


def increase(before: Samples, after: Samples) -> Samples:
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def answered(port: int, *sent: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes as they are; the answer's status, head and body, read until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for part in sent:
            connection.sendall(part)
        return received(connection)


def received(connection: socket.socket) -> tuple[int, bytes, bytes]:
    parts = []
    while part := connection.recv(MEGABYTE):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


# The size of a request


def test_the_limit_of_a_body_is_inclusive(service: Service) -> None:
    row = json.dumps(service.model.rows[0]).encode()
    full = row + b" " * (LIMIT - len(row))
    assert service.client.post("/predict", content=full).status_code == 200
    answer = service.client.post("/predict", content=full + b" ")
    assert (answer.status_code, answer.json()["detail"]) == (413, TOO_LARGE)


def test_the_limit_of_a_body_without_a_declared_length_is_inclusive(service: Service) -> None:
    row = json.dumps(service.model.rows[0]).encode()

    def pieces(size: int) -> Iterator[bytes]:
        yield row
        left = size - len(row)
        while left > 0:
            yield b" " * min(left, 50_000)
            left -= 50_000

    assert service.client.post("/predict", content=pieces(LIMIT)).status_code == 200
    answer = service.client.post("/predict", content=pieces(LIMIT + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, TOO_LARGE)


@pytest.mark.parametrize("path", ["/predict", "/healthz", "/nothing"])
@pytest.mark.parametrize("length", [LIMIT + 1, 50 * MEGABYTE, 2**63 - 1])
def test_a_declared_length_beyond_the_limit_is_refused_before_the_body_comes(
    served: Slot, path: str, length: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
    status, head, body = answered(served.port, head)
    assert (status, json.loads(body)["detail"]) == (413, TOO_LARGE)
    assert b"connection: close" in head


def test_who_asks_before_sending_too_much_is_not_told_to_continue(served: Slot) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"
    assert answered(served.port, head)[0] == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "", "9" * 5000, "1, 2"])
def test_a_length_that_is_none_is_refused(served: Slot, length: str) -> None:
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
    assert answered(served.port, head)[0] == 400


def test_two_ways_to_say_the_length_are_refused(served: Slot) -> None:
    """Else a proxy before us might see other requests in the same bytes."""
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert answered(served.port, head)[0] == 400


def test_the_limit_is_an_option_of_the_process(home: Home, start: Start, cancer: Model) -> None:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    slot = start("blue", "--max-body-bytes", "1000").until(probe.ready)
    body = json.dumps(cancer.rows[0])
    assert 500 < len(body) < 1000
    with httpx.Client(base_url=slot.url, trust_env=False) as client:
        assert client.post("/predict", content=body.ljust(1000)).status_code == 200
        assert client.post("/predict", content=body.ljust(1001)).status_code == 413


# What a hostile body costs


def test_a_body_of_fifty_megabytes_in_chunks_costs_no_memory(served: Slot) -> None:
    served.forget_peak()
    before = served.megabytes("VmRSS")
    chunk = b"%x\r\n" % MEGABYTE + b"[" * MEGABYTE + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(50):
                connection.sendall(chunk)
                sent += 1
        except ConnectionError:
            pass  # the service need not take it all
        status, _, body = received(connection)
    assert (status, json.loads(body)["detail"]) == (413, TOO_LARGE)
    assert 2 <= sent < 50
    assert served.megabytes("VmHWM") - before < 25


def test_a_body_of_fifty_megabytes_on_a_path_that_reads_none_costs_no_memory(served: Slot) -> None:
    served.forget_peak()
    before = served.megabytes("VmRSS")
    chunk = b"%x\r\n" % MEGABYTE + b"[" * MEGABYTE + b"\r\n"
    head = b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head)
        try:
            for _ in range(50):
                connection.sendall(chunk)
        except ConnectionError:
            pass  # as above
        assert received(connection)[0] == 404
    assert served.megabytes("VmHWM") - before < 25


HOSTILE = {
    "lists in a value": b'{"mean_radius": [' + b",".join([b"[]"] * 650_000) + b"]}",
    "objects in a value": b'{"mean_radius": [' + b",".join([b'{"":0}'] * 280_000) + b"]}",
    "unknown columns": ("{" + ",".join(f'"{number:x}":1' for number in range(200_000)) + "}").encode(),
    "one column again and again": b"{" + b",".join([b'"":0'] * 400_000) + b"}",
    "empty rows": b"[" + b",".join([b"{}"] * 10_000) + b"]",
    "rows of unknown columns": b"["
    + b",".join([b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1}'] * 10_000)
    + b"]",
    "too many rows": b"[" + b",".join([b"{}"] * 650_000) + b"]",
    "no rows": b"[" + b",".join([b"1"] * 1_000_000) + b"]",
    "a long text": b'{"mean_radius": "' + b"\\u0041" * 340_000 + b'"}',
    "a long name": b'{"' + b"\\u0041" * 340_000 + b'": 1}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_body_within_the_limit_costs_much_memory_or_time(
    served: Slot, client: httpx.Client, name: str
) -> None:
    body = HOSTILE[name]
    assert len(body) <= LIMIT
    served.forget_peak()
    before, started = served.megabytes("VmRSS"), time.monotonic()
    answer = client.post("/predict", content=body)
    assert answer.status_code == 422
    assert len(answer.content) < 20_000
    assert served.megabytes("VmHWM") - before < 100
    assert time.monotonic() - started < 3.0


# What is counted


def test_requests_are_counted_by_path_and_status(service: Service) -> None:
    client, row = service.client, service.model.rows[0]
    before = counted(client)
    for _ in range(3):
        client.post("/predict", json=row)
    client.post("/predict", json=[])
    client.post("/predict", content=b"{")
    client.post("/predict", content=b" " * (LIMIT + 1))
    client.post("/predict", content=iter([b" " * MEGABYTE] * 3))
    client.get("/predict")
    client.get("/healthz")
    client.get("/nothing")
    assert increase(before, counted(client)) == {
        ("/predict", "200"): 3.0,
        ("/predict", "422"): 1.0,
        ("/predict", "400"): 1.0,
        ("/predict", "413"): 2.0,
        ("/predict", "405"): 1.0,
        ("/healthz", "200"): 1.0,
        ("other", "404"): 1.0,
        # The look before.
        ("/metrics", "200"): 1.0,
    }


def test_rows_are_counted_by_label(service: Service) -> None:
    target = service.model.settings.contract.target

    def labels() -> Samples:
        return samples(service.client.get("/metrics").text, "slipway_predictions_total", "label")

    before = labels()
    service.client.post("/predict", json=service.model.rows)
    service.client.post("/predict", json=service.model.rows[0])
    service.client.post("/predict", json=[*service.model.rows, {}])
    answers = [answer.label for answer in service.model.offline([*service.model.rows, service.model.rows[0]])]
    assert {
        (target.positive,): float(answers.count(target.positive)),
        (target.negative,): float(answers.count(target.negative)),
    } == increase(before, labels())


def test_the_time_to_answer_is_measured_by_path(client: httpx.Client, cancer: Model) -> None:
    def measured() -> tuple[float, float]:
        text = client.get("/metrics").text
        counts = samples(text, "slipway_request_seconds_count", "path")
        sums = samples(text, "slipway_request_seconds_sum", "path")
        return counts.get(("/predict",), 0), sums.get(("/predict",), 0)

    (count, total), started = measured(), time.monotonic()
    for row in cancer.rows:
        client.post("/predict", json=row)
    elapsed = time.monotonic() - started
    count_after, total_after = measured()
    assert len(cancer.rows) == count_after - count
    assert 0 < total_after - total < elapsed


def test_unknown_paths_and_methods_make_no_new_label(client: httpx.Client) -> None:
    client.get("/nothing")
    before = counted(client)
    for number in range(50):
        client.get(f"/nothing/{number}")
        client.post(f"/predict/{number}/%ff")
        assert client.request(f"METHOD{number}", "/nothing").status_code == 400
        client.get("/nothing", params={"number": number})
    # The server itself refuses the methods, before they come to be counted.
    assert increase(before, counted(client)) == {("other", "404"): 150.0, ("/metrics", "200"): 1.0}
    assert {path for path, _ in counted(client)} <= PATHS


def test_metrics_name_the_release(service: Service) -> None:
    record = service.client.get("/metadata").json()
    labels = ("model", "release", "commit", "bundle", "runtime")
    found = samples(service.client.get("/metrics").text, "slipway_release", *labels)
    assert {tuple(record[label] for label in labels): 1.0} == found


def test_metrics_have_prometheus_content_type(client: httpx.Client) -> None:
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=")


def test_a_client_that_leaves_is_no_error_of_the_service(served: Slot, client: httpx.Client) -> None:
    before, said = counted(client), served.said
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            time.sleep(0.05)
    end = time.monotonic() + 5
    while increase(before, counted(client)).get(("/predict", "499")) != 3.0 and time.monotonic() < end:
        time.sleep(0.02)
    found = increase(before, counted(client))
    assert found.pop(("/predict", "499")) == 3.0
    assert {("/metrics", "200")} == set(found)
    assert said == served.said


def test_an_error_of_the_service_is_counted(home: Home, cancer: Model, mixed: Model) -> None:
    """Otherwise the analysis of a roll-out would see none."""
    home.install("v1.0.0", cancer)
    release = Release(home.release("v1.0.0"))
    # A model that was made for other columns.
    release.scorer = Scorer(mixed.onnx, cancer.settings.contract)
    transport = httpx.ASGITransport(create_app(release, Door()), raise_app_exceptions=False)

    async def ask() -> tuple[int, str]:
        async with httpx.AsyncClient(transport=transport, base_url="http://slot") as client:
            answer = await client.post("/predict", json=cancer.rows[0])
            return answer.status_code, (await client.get("/metrics")).text

    status, text = asyncio.run(ask())
    assert status == 500
    assert samples(text, "slipway_requests_total", "path", "status") == {("/predict", "500"): 1.0}
