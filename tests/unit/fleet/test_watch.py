"""A bake against small servers, with this machine's own shell in the place of SSH."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from tests.unit.machine import Server, listening

from slipway.fleet import watch
from slipway.fleet.analysis.bake import Bake, Limits
from slipway.fleet.analysis.verdict import Decision, Verdict
from slipway.fleet.watch import Watched

HERE = ["sh", "-c", 'eval "$0"']
LOST = ["sh", "-c", "echo 'ssh: No route to host' >&2; exit 255"]
RECORD = {"model": "wear", "release": "v1.0.0", "commit": "c", "bundle": "b", "runtime": "r"}
ROWS = [{"width": 1.0}, {"width": 2.0}]
BAKE = Bake(seconds=60, look_seconds=10, minimum_requests=1200, limits=Limits(memory=None))


@dataclass
class Service:
    """A service that counts what it is asked."""

    server: Server
    release: str
    positives: float = 0.4
    errors: float = 0.0
    """Shares of all requests."""
    requests: float = 0.0
    readable: bool = True
    counted: float = 1.0
    """Of what it is asked, the share that its metrics tell of."""
    asked: list[object] = field(default_factory=list)

    def respond(self, path: str, body: object) -> tuple[int, bytes]:
        if path == "/predict":
            self.asked.append(body)
            self.requests += self.counted
            return 200, b"{}"
        return (200, self.metrics().encode()) if self.readable else (503, b"")

    def metrics(self) -> str:
        names = ",".join(f'{key}="{value}"' for key, value in {**RECORD, "release": self.release}.items())
        path, requests = 'path="/predict"', self.requests
        answered = {200: requests * (1 - self.errors), 500: requests * self.errors}
        lines = [f"slipway_release{{{names}}} 1", "process_start_time_seconds 7"]
        lines += [
            f'slipway_requests_total{{{path},status="{code}"}} {count}' for code, count in answered.items()
        ]
        lines += [
            f'slipway_request_seconds_bucket{{{path},le="{edge}"}} {requests}' for edge in ("0.001", "+Inf")
        ]
        for name, share in {"score": self.positives, "positives": self.positives}.items():
            lines += [
                f"slipway_request_{name}_count {requests}",
                f"slipway_request_{name}_sum {requests * share}",
            ]
        return "\n".join(lines) + "\n"


class Time:
    """Passes when somebody sleeps; meanwhile the services are asked."""

    def __init__(self, services: Mapping[str, Service], per_second: float) -> None:
        self.now = 0.0
        self._services = services
        self._per_second = per_second

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for service in self._services.values():
            service.requests += seconds * self._per_second


@pytest.fixture
def services() -> Iterator[dict[str, Service]]:
    """One host with the new release, two with the old."""
    with ExitStack() as stack:
        found = {}
        for name, release in {"a": "v1.1.0", "b": "v1.0.0", "c": "v1.0.0"}.items():
            found[name] = Service(stack.enter_context(listening()), release)
            found[name].server.respond = found[name].respond
        yield found


def bake(
    services: Mapping[str, Service], per_second: float = 50, ssh: list[str] = HERE, least: int = 1200
) -> tuple[Verdict, float]:
    hosts = {name: Watched(ssh, service.server.url) for name, service in services.items()}
    time = Time(services, per_second)
    settings = BAKE.model_copy(update={"minimum_requests": least})
    new, old = {"a": hosts["a"]}, {name: hosts[name] for name in ("b", "c")}
    verdict = watch.bake(new, old, settings, ROWS, clock=lambda: time.now, sleep=time.sleep)
    return verdict, time.now


def test_a_release_that_does_as_the_old_one_goes_on_after_the_whole_bake(
    services: dict[str, Service],
) -> None:
    verdict, seconds = bake(services)
    assert (verdict.decision, seconds) == (Decision.PROMOTE, 60)
    assert [service.asked for service in services.values()] == [[], [], []]


def test_a_release_that_fails_is_stopped_before_the_bake_is_over(services: dict[str, Service]) -> None:
    services["a"].errors = 0.2
    verdict, seconds = bake(services)
    assert (verdict.decision, verdict.reasons) == (Decision.ABORT, ("errors is above its limit",))
    assert seconds < 60


def test_a_release_that_decides_otherwise_is_stopped(services: dict[str, Service]) -> None:
    services["a"].positives = 0.8
    verdict, _ = bake(services)
    assert verdict.decision is Decision.ABORT
    assert "positives is above its limit" in verdict.reasons


def test_without_traffic_all_are_asked_the_same_rows_and_that_decides(services: dict[str, Service]) -> None:
    verdict, seconds = bake(services, per_second=0)
    assert (verdict.decision, seconds) == (Decision.PROMOTE, 60)
    assert [service.asked for service in services.values()] == [ROWS * 600] * 3


@pytest.mark.parametrize(
    ("counted", "decision", "asked"),
    [(0.5, Decision.PROMOTE, 400), (0.1, Decision.INCONCLUSIVE, 600)],
    ids=["until enough has", "but not for ever"],
)
def test_where_not_all_that_was_asked_has_counted_it_is_asked_again(
    services: dict[str, Service], counted: float, decision: Decision, asked: int
) -> None:
    services["a"].counted = counted
    verdict, _ = bake(services, per_second=0, least=200)
    assert verdict.decision is decision
    assert [len(service.asked) for service in services.values()] == [asked] * 3


def test_a_suspicion_is_not_diluted_by_asking_again(services: dict[str, Service]) -> None:
    services["a"].errors = 0.009
    verdict, _ = bake(services, per_second=50)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert "errors: suspect" in verdict.reasons
    assert len(services["a"].asked) == 1200


def test_without_traffic_a_release_that_decides_otherwise_is_stopped(services: dict[str, Service]) -> None:
    services["a"].positives = 0.8
    assert bake(services, per_second=0)[0].decision is Decision.ABORT


@pytest.mark.parametrize("per_second", [0, 50])
def test_metrics_that_cannot_be_read_never_let_a_release_go_on(
    services: dict[str, Service], per_second: float
) -> None:
    services["a"].readable = False
    verdict, _ = bake(services, per_second)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("HTTP Error 503" in reason for reason in verdict.reasons)


def test_hosts_that_cannot_be_reached_never_let_a_release_go_on(services: dict[str, Service]) -> None:
    verdict, _ = bake(services, ssh=LOST)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("No route to host" in reason for reason in verdict.reasons)
