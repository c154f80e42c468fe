"""What the analysis of a bake needs of the service: scores, decisions and the process, as Prometheus reads them."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway.fleet.analysis import measure
from slipway.fleet.analysis.bake import Bake, Limits
from slipway.fleet.analysis.change import Change, difference
from slipway.fleet.analysis.measure import Histogram, Moments, Snapshot
from slipway.fleet.analysis.tally import Look
from slipway.fleet.analysis.verdict import Decision, judge
from slipway.serving import probe
from slipway.serving.app import create_app
from slipway.serving.door import Door
from slipway.serving.gate import SECONDS
from slipway.serving.release import Release

if TYPE_CHECKING:
    from tests.serving.conftest import Home, Model, Service, Start


def values(client: httpx.Client) -> dict[str, float]:
    """Samples without labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if not sample.labels and not sample.name.endswith("_created")
    }


def snapshot(client: httpx.Client) -> Snapshot:
    reading = measure.read(client.get("/metrics").text)
    assert isinstance(reading, Snapshot)
    return reading


def test_each_request_adds_the_mean_score_and_the_share_of_positives_of_its_rows(service: Service) -> None:
    rows, positive = service.model.rows, service.model.settings.contract.target.positive
    requests = [rows, rows[:1], rows[3:6]]
    before = values(service.client)
    for request in requests:
        service.client.post("/predict", json=request if len(request) > 1 else request[0])
    after = values(service.client)

    answers = [service.model.offline(request) for request in requests]
    scores = sum(sum(each.probability for each in answer) / len(answer) for answer in answers)
    positives = sum(sum(each.label == positive for each in answer) / len(answer) for answer in answers)

    def added(name: str) -> float:
        return after[name] - before[name]

    assert (added("slipway_request_score_count"), added("slipway_request_positives_count")) == (3, 3)
    assert scores == pytest.approx(added("slipway_request_score_sum"))
    assert positives == pytest.approx(added("slipway_request_positives_sum"))
    assert 0 < positives < 3


def test_a_refused_request_has_no_score(service: Service) -> None:
    before = values(service.client)
    bodies: list[Any] = [[], {}, [service.model.rows[0], {}]]
    for body in bodies:
        assert service.client.post("/predict", json=body).status_code == 422
    after = values(service.client)
    for name in ("slipway_request_score_count", "slipway_request_positives_count"):
        assert before[name] == after[name]


def test_memory_is_that_of_the_process(home: Home, start: Start, cancer: Model) -> None:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    slot = start("blue").until(probe.ready)
    with httpx.Client(base_url=slot.url, trust_env=False) as client:
        found = values(client)["process_resident_memory_bytes"] / 2**20
    assert slot.megabytes("VmRSS") == pytest.approx(found, abs=5)


def test_a_process_keeps_its_start_and_the_next_has_another(home: Home, start: Start, cancer: Model) -> None:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    starts = []
    for _ in range(2):
        slot = start("blue").until(probe.ready)
        with httpx.Client(base_url=slot.url, trust_env=False) as client:
            starts += [values(client)["process_start_time_seconds"] for _ in range(2)]
        slot.kill()
    assert starts[0] == starts[1]
    assert starts[2] == starts[3]
    assert time.time() - 60 < starts[0] < starts[2] < time.time()


def test_a_machine_without_proc_counts_all_the_same(
    home: Home, cancer: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS, where nobody has to know the memory."""
    home.install("v1.0.0", cancer)
    release, read_text = Release(home.release("v1.0.0")), Path.read_text

    def without_proc(path: Path, *options: str) -> str:
        if path.parts[:2] == ("/", "proc"):
            raise FileNotFoundError(path)
        return read_text(path, *options)

    monkeypatch.setattr(Path, "read_text", without_proc)
    transport = httpx.ASGITransport(create_app(release, Door()))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://slot") as client:
            assert (await client.post("/predict", json=cancer.rows[0])).status_code == 200
            return await client.get("/metrics")

    answer = asyncio.run(ask())
    assert answer.status_code == 200
    reading = measure.read(answer.text)
    assert isinstance(reading, Snapshot)
    assert (reading.memory, dict(reading.statuses)) == (None, {"200": 1.0})


def test_the_edges_of_times_resolve_a_quarter_from_end_to_end() -> None:
    """The analysis promises as much."""
    steps = [later / earlier for earlier, later in itertools.pairwise(SECONDS)]
    assert (SECONDS[0], SECONDS[-1]) == (0.00025, 5.0)
    assert all(1.2 < step < 1.3 for step in steps)


def test_what_the_analysis_reads_is_what_has_been_asked(service: Service) -> None:
    rows, target = service.model.rows, service.model.settings.contract.target
    before = snapshot(service.client)
    service.client.post("/predict", json=rows)
    service.client.post("/predict", json=[])
    after = snapshot(service.client)

    labels = [answer.label for answer in service.model.offline(rows)]
    added = difference(before, after)
    assert isinstance(added, Change)
    assert {target.positive, target.negative} == set(labels)
    assert {label: labels.count(label) for label in set(labels)} == added.decisions
    assert added._replace(decisions={}, seconds=Histogram(), scores=Moments(), positives=Moments()) == Change(
        requests=2, refusals=1, memory=added.memory
    )
    assert added.seconds.cumulative[-1] == 2
    assert added.scores.requests == added.positives.requests == 1
    assert added.memory is not None
    assert after.record.release == "v1.0.0"


def looks(new: Release, old: Release, rows: list[dict[str, Any]]) -> list[Look]:
    """At two services that are asked the same, before and after."""

    async def asked() -> list[Look]:
        found = []
        async with AsyncExitStack() as stack:
            clients = []
            for release in (new, old):
                transport = httpx.ASGITransport(create_app(release, Door()))
                client = httpx.AsyncClient(transport=transport, base_url="http://slot")
                clients.append(await stack.enter_async_context(client))
            for at, body in enumerate([None, *rows, None]):
                for client in clients if body else ():
                    await client.post("/predict", json=body)
                if not body:
                    texts = [(await client.get("/metrics")).text for client in clients]
                    found.append(Look(at, *({"host": measure.read(text)} for text in texts)))
        return found

    return asyncio.run(asked())


def test_the_analysis_tells_a_model_that_decides_otherwise_from_one_that_does_not(
    home: Home, cancer: Model
) -> None:
    home.install("v1.0.0", cancer)
    old, same, other = (Release(home.release("v1.0.0")) for _ in range(3))
    other.scorer.threshold = 0.0
    # Times are those of a busy machine, and memory that of one process.
    bake = Bake(seconds=300, minimum_requests=300, limits=Limits(p50=1000, p99=1000, memory=None))
    rows = [row for _ in range(3) for row in cancer.rows][:300]

    assert judge(looks(same, old, rows), bake).decision is Decision.PROMOTE
    verdict = judge(looks(other, old, rows), bake)

    assert (verdict.decision, verdict.reasons) == (Decision.ABORT, ("positives is above its limit",))
