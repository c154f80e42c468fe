from collections.abc import Mapping
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bakes import EDGES, snapshot, times

from slipway.fleet.analysis.bake import Bake, Limits
from slipway.fleet.analysis.change import Change
from slipway.fleet.analysis.comparison import State
from slipway.fleet.analysis.measure import Histogram, Moments, NoData, Reading, Snapshot
from slipway.fleet.analysis.tally import Look, Side, Tally
from slipway.fleet.analysis.verdict import Decision, Verdict, decide, judge

GONE = NoData("refused the connection")
BAKE = Bake()
LOOKS = 31
SEVERITY = (Decision.PROMOTE, Decision.INCONCLUSIVE, Decision.ABORT)


def after(look: int, rate: float = 1000.0, leak: float = 0.0, **other: float) -> Snapshot:
    """A sound host after so many looks; `rate` is in requests a look, `leak` in bytes a second."""
    requests = look * rate
    errors, refusals = (requests * other.get(name, 0.0) for name in ("errors", "refusals"))
    answered = requests - errors - refusals
    slow = answered * other.get("slow", 0.0)
    return snapshot(
        statuses={"200": answered, "500": errors, "422": refusals},
        decisions={"worn": answered / 4, "sound": answered * 3 / 4},
        seconds=times(0, requests - slow, 0, 0, 0, slow),
        scores=Moments(answered, answered * other.get("score", 0.25)),
        positives=Moments(answered, answered * other.get("positives", 0.25)),
        memory=100e6 + leak * look * BAKE.look_seconds,
    )


def looks(count: int = LOOKS, **new: float) -> list[Look]:
    """At a sound old host, and at a new one that is sound but for what is said."""
    return [
        Look(1000 + number * BAKE.look_seconds, {"new": after(number, **new)}, {"old": after(number)})
        for number in range(count)
    ]


def with_readings(look: Look, side: str, readings: Mapping[str, Reading]) -> Look:
    return look._replace(new=readings) if side == "new" else look._replace(old=readings)


def states(verdict: Verdict) -> dict[str, State]:
    return {row.metric: row.state for row in verdict.rows}


def test_a_release_as_good_as_the_old_is_promoted() -> None:
    verdict = judge(looks(), BAKE)

    assert (verdict.decision, verdict.reasons) == (Decision.PROMOTE, ())
    assert states(verdict) == dict.fromkeys(
        ("errors", "refusals", "p50", "p99", "positives", "score", "restarts", "memory"), State.BELOW
    )


@pytest.mark.parametrize(
    ("metric", "worse"),
    [
        ("errors", {"errors": 0.02}),
        ("refusals", {"refusals": 0.1}),
        ("p99", {"slow": 0.02}),
        ("p50", {"slow": 0.6}),
        ("positives", {"positives": 0.4}),
        ("positives", {"positives": 0.1}),
        ("score", {"score": 0.4}),
        ("score", {"score": 0.1}),
        ("memory", {"leak": 1e6}),
    ],
)
def test_a_worse_release_is_aborted_before_the_end_of_the_bake(metric: str, worse: dict[str, float]) -> None:
    verdict = judge(looks(LOOKS - 10, **worse), BAKE)

    assert verdict.decision is Decision.ABORT
    assert f"{metric} is above its limit" in verdict.reasons


def test_a_better_release_is_promoted() -> None:
    good = [
        Look(each.at, each.old, {"old": after(n, errors=0.5, slow=0.9)}) for n, each in enumerate(looks())
    ]

    assert judge(good, BAKE).decision is Decision.PROMOTE


def test_before_the_end_of_the_bake_nothing_is_promoted() -> None:
    verdict = judge(looks(LOOKS - 1), BAKE)

    assert (verdict.decision, verdict.reasons) == (Decision.INCONCLUSIVE, ("290 s of 300 s have passed",))


def test_a_process_that_restarts_again_and_again_is_aborted() -> None:
    crashing = [
        Look(each.at, {"new": after(1)._replace(started=1000.0 + min(number, 2))}, each.old)
        for number, each in enumerate(looks())
    ]

    assert judge(crashing[:2], BAKE).decision is Decision.INCONCLUSIVE
    assert judge(crashing[:3], BAKE).reasons == ("restarts is above its limit",)


@pytest.mark.parametrize("count", [0, 1])
def test_without_two_looks_there_is_no_conclusion(count: int) -> None:
    assert (
        judge(looks(count), Bake(seconds=1e-9, limits=Limits(memory=None))).decision is Decision.INCONCLUSIVE
    )


def test_without_traffic_there_is_no_conclusion() -> None:
    verdict = judge(looks(rate=0.0), BAKE)

    assert verdict.decision is Decision.INCONCLUSIVE
    assert "errors: no data" in verdict.reasons


@pytest.mark.parametrize("side", ["new", "old"])
def test_without_traffic_on_one_side_there_is_no_conclusion(side: str) -> None:
    assert (
        judge([with_readings(each, side, {"host": after(0)}) for each in looks()], BAKE).decision
        is Decision.INCONCLUSIVE
    )


@pytest.mark.parametrize("side", ["new", "old"])
@pytest.mark.parametrize("readings", [{}, {"host": GONE}])
def test_without_readable_metrics_there_is_no_conclusion(side: str, readings: dict[str, Reading]) -> None:
    assert (
        judge([with_readings(each, side, readings) for each in looks()], BAKE).decision
        is Decision.INCONCLUSIVE
    )


def test_a_new_host_that_cannot_be_read_at_the_end_is_not_promoted_for_the_others() -> None:
    lost = [
        each._replace(new={**each.new, "new-2": GONE if each.at > 1200 else each.new["new"]})
        for each in looks()
    ]

    verdict = judge(lost, BAKE)

    assert (verdict.decision, verdict.reasons) == (
        Decision.INCONCLUSIVE,
        ("new-2 refused the connection",),
    )


def test_an_old_host_that_cannot_be_read_is_no_obstacle() -> None:
    lost = [each._replace(old={**each.old, "old-2": GONE}) for each in looks()]

    assert judge(lost, BAKE).decision is Decision.PROMOTE


def test_a_suspicion_is_no_promotion_and_no_abort() -> None:
    verdict = judge(looks(rate=200.0, errors=0.007), BAKE)

    assert (verdict.decision, verdict.reasons) == (Decision.INCONCLUSIVE, ("errors: suspect",))


def test_an_abort_goes_before_every_want_of_data() -> None:
    seen = [Look(each.at, {**each.new, "new-2": GONE}, each.old) for each in looks(10, errors=0.5)]

    assert judge(seen, BAKE).decision is Decision.ABORT


def test_memory_without_a_limit_is_not_asked_for() -> None:
    unknown = [
        Look(each.at, {"new": after(n)._replace(memory=None)}, {"old": after(n)._replace(memory=None)})
        for n, each in enumerate(looks())
    ]

    assert judge(unknown, BAKE).reasons == ("memory: no data",)
    assert judge(unknown, Bake(limits=Limits(memory=None))).decision is Decision.PROMOTE


numbers = st.integers(0, 30_000)
histograms = st.lists(numbers, min_size=len(EDGES), max_size=len(EDGES)).map(lambda found: times(*found))
changes = st.builds(
    lambda ok, errors, refusals, seconds, score, positive, restarts: Change(
        requests=float(ok + errors + refusals),
        errors=float(errors),
        refusals=float(refusals),
        seconds=seconds,
        scores=Moments(ok, ok * score),
        positives=Moments(ok, ok * positive),
        restarts=restarts,
    ),
    numbers,
    st.integers(0, 300),
    st.integers(0, 300),
    histograms,
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 3),
)
sides = st.builds(
    lambda change, hosts, rates: Side(change, hosts, {}, tuple(rates)),
    changes,
    st.integers(0, 3),
    st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=30),
)
tallies = st.builds(Tally, st.sampled_from([100.0, 300.0]), sides, sides)


def sound(hosts: int, requests: float) -> Side:
    change = Change(
        requests=requests,
        seconds=times(0, requests),
        scores=Moments(requests, requests / 4),
        positives=Moments(requests, requests / 4),
    )
    return Side(change, hosts, {}, (0.0,) * 30)


PROMOTED = Tally(300.0, sound(1, 20_000), sound(2, 40_000))


def test_the_sound_side_is_promoted() -> None:
    """Else the properties below would begin at nothing."""
    assert decide(PROMOTED, BAKE).decision is Decision.PROMOTE


@given(st.one_of(tallies, st.just(PROMOTED)), st.integers(0, 500), st.integers(0, 3))
def test_more_errors_or_restarts_are_never_better(seen: Tally, errors: int, restarts: int) -> None:
    change = seen.new.change
    more = change._replace(
        errors=min(change.errors + errors, change.requests - change.refusals),
        restarts=change.restarts + restarts,
    )
    worse = seen._replace(new=seen.new._replace(change=more))

    better, found = (decide(each, BAKE).decision for each in (seen, worse))

    assert SEVERITY.index(found) >= SEVERITY.index(better)


@given(st.one_of(tallies, st.just(PROMOTED)), st.integers(0, 30), st.floats(0, 1e7))
def test_more_growth_of_memory_is_never_better(seen: Tally, windows: int, more: float) -> None:
    rates = [rate for rate in seen.new.rates if rate is not None]
    worse = seen._replace(
        new=seen.new._replace(rates=(*(rate + more for rate in rates[:windows]), *rates[windows:]))
    )

    better, found = (decide(each, BAKE).decision for each in (seen, worse))

    assert SEVERITY.index(found) >= SEVERITY.index(better)


NOTHING = {
    "requests": lambda side: side._replace(
        change=side.change._replace(requests=0.0, errors=0.0, refusals=0.0)
    ),
    "seconds": lambda side: side._replace(change=side.change._replace(seconds=Histogram())),
    "scores": lambda side: side._replace(change=side.change._replace(scores=Moments())),
    "positives": lambda side: side._replace(change=side.change._replace(positives=Moments())),
    "memory": lambda side: side._replace(rates=(None,) * 30),
    "hosts": lambda side: side._replace(hosts=0),
}


@given(
    st.one_of(tallies, st.just(PROMOTED)),
    st.sampled_from(sorted(NOTHING)),
    st.sampled_from(["new", "old"]),
    st.floats(1e-6, 0.4),
)
def test_without_data_of_whatever_nothing_is_promoted(
    seen: Tally, lacking: str, side: str, alpha: float
) -> None:
    poorer = seen._replace(**{side: NOTHING[lacking](getattr(seen, side))})
    everything_goes = Limits(
        errors=1, refusals=1, p50=1e9, p99=1e9, positives=1, score=1, memory=1e12, restarts=1e9
    )

    for limits in (Limits(), everything_goes):
        found = decide(poorer, Bake(alpha=alpha, limits=limits, seconds=290, minimum_requests=1))

        assert found.decision is not Decision.PROMOTE


@given(tallies)
def test_every_verdict_has_a_reason_unless_it_is_a_promotion(seen: Tally) -> None:
    verdict = decide(seen, BAKE)

    assert bool(verdict.reasons) == (verdict.decision is not Decision.PROMOTE)
    assert all(-inf <= row.bounds.lower <= row.bounds.upper <= inf for row in verdict.rows)


def shadowed(differing: float, difference: float) -> list[Look]:
    """As `looks`, the old host having asked a shadow whatever it was asked itself."""
    return [
        look._replace(
            old={
                name: found._replace(
                    differing=Moments(1000.0 * number, 1000.0 * number * differing),
                    difference=Moments(1000.0 * number, 1000.0 * number * difference),
                )
                for name, found in look.old.items()
                if isinstance(found, Snapshot)
            }
        )
        for number, look in enumerate(looks())
    ]


def test_a_shadow_that_answers_the_same_is_promoted() -> None:
    verdict = judge(shadowed(0.01, 0.01), BAKE)

    assert verdict.decision is Decision.PROMOTE
    assert list(states(verdict))[:2] == ["decisions", "gap"]


@pytest.mark.parametrize(
    ("differing", "difference", "metric"), [(0.1, 0.01, "decisions"), (0.01, 0.1, "gap")]
)
def test_a_shadow_that_answers_otherwise_is_aborted_though_its_means_are_the_same(
    differing: float, difference: float, metric: str
) -> None:
    verdict = judge(shadowed(differing, difference), BAKE)

    assert (verdict.decision, verdict.reasons) == (Decision.ABORT, (f"{metric} is above its limit",))
