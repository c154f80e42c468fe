from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from slipway.fleet.analysis import measure
from slipway.fleet.analysis.measure import Histogram, Moments, NoData, Snapshot
from slipway.scorer import Prediction
from slipway.serving.gate import SECONDS, Metrics
from slipway.serving.release import ReleaseRecord

RECORD = ReleaseRecord(model="wear", release="v1.2.0", commit="c" * 40, bundle="b" * 64, runtime="r" * 64)


class Service:
    """The counters of a process, without the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, RECORD, "worn")

    def answer(self, path: str, status: int, seconds: float = 0.002) -> None:
        self.metrics.requests.labels(path, str(status)).inc()
        self.metrics.seconds.labels(path).observe(seconds)

    @property
    def text(self) -> str:
        return generate_latest(self.registry).decode()


@pytest.fixture
def service() -> Service:
    return Service()


def understood(text: str) -> Snapshot:
    reading = measure.read(text)
    assert isinstance(reading, Snapshot), reading
    return reading


def refused(text: str) -> str:
    reading = measure.read(text)
    assert isinstance(reading, NoData)
    return reading.reason


def test_a_process_that_has_answered_nothing_has_counted_nothing(service: Service) -> None:
    found = understood(service.text)

    assert found._replace(started=None, memory=None) == Snapshot(
        RECORD, None, {}, {}, Histogram(), Moments(), Moments(), None
    )


def test_only_requests_for_predictions_count(service: Service) -> None:
    for status in (200, 200, 422, 500):
        service.answer("/predict", status)
    for path in ("/healthz", "/metrics", "other"):
        service.answer(path, 500)

    found = understood(service.text)

    assert found.statuses == {"200": 2, "422": 1, "500": 1}
    assert found.seconds.cumulative[-1] == 4


def test_times_are_counted_up_to_each_edge(service: Service) -> None:
    for seconds in (0.0001, 0.00025, 0.0003, 0.9, 7.0):
        service.answer("/predict", 200, seconds)

    found = understood(service.text).seconds

    assert found.edges == (*SECONDS, inf)
    counts = dict(zip(*found, strict=True))
    assert {edge: counts[edge] for edge in (0.00025, 0.000315, 0.8, 1.0, 5.0, inf)} == {
        0.00025: 2,
        0.000315: 3,
        0.8: 3,
        1.0: 4,
        5.0: 4,
        inf: 5,
    }


def test_decisions_are_of_rows_and_scores_of_requests(service: Service) -> None:
    service.metrics.count([Prediction("worn", 0.75), Prediction("sound", 0.25), Prediction("sound", 0.5)])
    service.metrics.count([Prediction("worn", 1.0)])

    found = understood(service.text)

    assert found.decisions == {"worn": 2, "sound": 2}
    assert found.scores == Moments(2, 1.5)
    assert found.positives.requests == 2
    assert found.positives.total == pytest.approx(4 / 3)


def test_the_process_is_told_by_its_start(service: Service) -> None:
    assert understood(service.text).started == understood(service.text).started
    assert understood(service.text).started != understood(Service().text).started


@pytest.mark.parametrize("name", ["process_start_time_seconds", "process_resident_memory_bytes"])
@pytest.mark.parametrize("said", ["NaN", None])
def test_what_a_machine_does_not_say_of_a_process_is_not_known(
    service: Service, name: str, said: str | None
) -> None:
    kept = [line for line in service.text.splitlines() if not line.startswith(name)]
    text = "\n".join([*kept, f"{name} {said}" if said else "", ""])

    found = understood(text)

    assert {"process_start_time_seconds": found.started, "process_resident_memory_bytes": found.memory}[
        name
    ] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "<html><body>502 Bad Gateway</body></html>",
        '{"detail": "Not Found"}',
        "slipway_release 1",
        'slipway_release{model="wear"} 1',
        "slipway_requests_total{",
        "\x00\xff",
        "# TYPE slipway_release gauge\n",
    ],
)
def test_what_is_no_service_s_metrics_is_no_data(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    ("written", "instead", "why"),
    [
        ('status="200"} 2.0', 'status="200"} NaN', "no count"),
        ('status="200"} 2.0', 'status="200"} +Inf', "no count"),
        ('status="200"} 2.0', 'status="200"} -1', "no count"),
        ('status="200"} 2.0', 'status="200"} two', "not in Prometheus' text format"),
        ("slipway_request_score_sum 0.5", "slipway_request_score_sum 3", "above 1"),
        ("slipway_request_score_sum 0.5", "slipway_request_score_sum -0.5", "no count"),
        ('le="+Inf",path="/predict"} 2.0', 'le="6.0",path="/predict"} 2.0', "do not add up"),
        ('le="+Inf",path="/predict"} 2.0', 'le="+Inf",path="/predict"} 1.0', "do not add up"),
        ('le="+Inf",path="/predict"} 2.0', 'le="most",path="/predict"} 2.0', "no histogram"),
        ('release="v1.2.0"', 'version="v1.2.0"', "does not name a release"),
    ],
)
def test_metrics_that_make_no_sense_are_no_data(
    service: Service, written: str, instead: str, why: str
) -> None:
    for _ in range(2):
        service.answer("/predict", 200)
    service.metrics.count([Prediction("worn", 0.5)])
    assert written in service.text

    assert why in refused(service.text.replace(written, instead))


def test_metrics_of_two_releases_at_once_are_no_data(service: Service) -> None:
    line = next(line for line in service.text.splitlines() if line.startswith("slipway_release{"))

    assert "2 times" in refused(service.text + line.replace("v1.2.0", "v1.3.0") + "\n")


@given(st.text())
def test_no_text_is_an_exception(text: str) -> None:
    assert isinstance(measure.read(text), NoData)


def _lines() -> st.SearchStrategy[str]:
    lines = Service().text.splitlines()
    damage = [
        lambda line: line.upper(),
        lambda line: line[:-4],
        lambda line: line[4:],
        lambda line: line.replace(" ", "", 1),
        lambda line: line + " 1 1 1",
        lambda line: line.replace('"', "", 1),
        lambda line: line.replace("1", "-", 1),
    ]
    return st.lists(st.tuples(st.sampled_from(lines), st.sampled_from(damage)), max_size=20).map(
        lambda damaged: "\n".join(break_(line) for line, break_ in damaged)
    )


@given(_lines())
def test_no_damaged_metrics_are_an_exception(text: str) -> None:
    assert isinstance(measure.read(text), NoData | Snapshot)
