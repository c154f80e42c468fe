from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bakes import EDGES, record, snapshot, times

from slipway.fleet.analysis.change import Change, difference, total
from slipway.fleet.analysis.measure import Histogram, Moments, NoData, Snapshot


def changed(before: Snapshot, after: Snapshot) -> Change:
    change = difference(before, after)
    assert isinstance(change, Change), change
    return change


def test_what_was_counted_before_does_not_count() -> None:
    assert changed(snapshot(1000), snapshot(1400, memory=103e6)) == Change(
        requests=400,
        decisions={"worn": 100, "sound": 300},
        seconds=times(0, 400),
        scores=Moments(400, 100),
        positives=Moments(400, 100),
        memory=3e6,
    )


def test_the_first_request_counts() -> None:
    assert changed(snapshot(), snapshot(3)).requests == 3
    assert changed(snapshot(), snapshot(3)).seconds == times(0, 3)


def test_errors_refusals_and_clients_that_left_are_told_apart() -> None:
    before = snapshot(statuses={"200": 10.0, "500": 1.0, "422": 5.0, "499": 1.0})
    after = snapshot(statuses={"200": 20.0, "500": 2.0, "503": 2.0, "422": 9.0, "413": 1.0, "499": 8.0})

    change = changed(before, after)

    assert (change.requests, change.errors, change.refusals) == (25, 3, 5)


@pytest.mark.parametrize(
    "after",
    [
        snapshot(1200, started=2000.0),
        snapshot(900),
        snapshot(1200, statuses={"201": 1200.0}),
        snapshot(1200, decisions={"worn": 1200.0, "sound": 100.0}),
        snapshot(1200, scores=Moments(1200, 10)),
        snapshot(1200, positives=Moments(3, 3)),
        snapshot(1200, seconds=times(200, 900)),
        snapshot(1200, seconds=Histogram()),
        snapshot(1200, seconds=Histogram((1.0, inf), (1200.0, 1200.0))),
    ],
    ids=["start", "requests", "status", "label", "scores", "positives", "bucket", "no times", "other edges"],
)
def test_after_a_restart_all_that_the_new_process_counts_is_new(after: Snapshot) -> None:
    change = changed(snapshot(1000), after)

    assert change.restarts == 1
    assert change.memory is None
    assert (change.requests, change.seconds, change.scores) == (
        sum(after.statuses.values()),
        after.seconds,
        after.scores,
    )


def test_a_restart_is_noticed_where_the_start_is_unknown() -> None:
    assert changed(snapshot(1000, started=None), snapshot(1000, started=None)).restarts == 0
    assert changed(snapshot(1000, started=None), snapshot(999, started=None)).restarts == 1


def test_what_cannot_be_read_tells_nothing() -> None:
    gone = NoData("refused the connection")

    assert difference(gone, snapshot(1)) == difference(snapshot(1), gone) == gone


def test_another_release_tells_nothing() -> None:
    assert difference(snapshot(5), snapshot(9, record=record("v2.0.0"))) == NoData(
        "serves v2.0.0, and served v1.0.0"
    )


def test_memory_that_one_of_both_does_not_tell_is_not_known() -> None:
    assert changed(snapshot(1, memory=None), snapshot(2)).memory is None
    assert changed(snapshot(1), snapshot(2, memory=None)).memory is None


counts = st.integers(0, 1000)
buckets = st.lists(counts, min_size=len(EDGES), max_size=len(EDGES))
snapshots = st.builds(
    lambda ok, failed, slow, score, started: snapshot(
        ok,
        statuses={"200": float(ok), "500": float(failed)},
        seconds=times(*slow),
        scores=Moments(ok, ok * score),
        started=started,
    ),
    counts,
    counts,
    buckets,
    st.floats(0, 1),
    st.sampled_from([None, 1.0, 2.0]),
)


@given(snapshots, snapshots)
def test_nothing_is_ever_negative(before: Snapshot, after: Snapshot) -> None:
    change = changed(before, after)

    assert min(change.requests, change.errors, change.refusals, *change.scores, *change.positives) >= 0
    assert all(count >= 0 for count in change.decisions.values())
    assert list(change.seconds.cumulative) == sorted(change.seconds.cumulative)
    assert all(count >= 0 for count in change.seconds.cumulative)


def test_changes_add_up() -> None:
    one = changed(snapshot(), snapshot(100, statuses={"200": 90.0, "500": 8.0, "422": 2.0}))
    other = changed(snapshot(50), snapshot(10, decisions={"odd": 10.0}))

    assert total([one, other]) == Change(
        requests=110,
        errors=8,
        refusals=2,
        decisions={"worn": 25, "sound": 75, "odd": 10},
        seconds=times(0, 110),
        scores=Moments(110, 27.5),
        positives=Moments(110, 27.5),
        memory=None,
        restarts=1,
    )
    assert total([]) == Change()


def test_times_of_other_edges_add_up_where_both_have_one() -> None:
    """Hosts of one release may not, but runtimes of different ages do differ."""
    one = Change(seconds=Histogram((1.0, 2.0, 3.0, inf), (1.0, 2.0, 3.0, 4.0)))
    other = Change(seconds=Histogram((1.0, 2.5, 3.0, inf), (10.0, 20.0, 30.0, 40.0)))

    assert total([one, other]).seconds == Histogram((1.0, 3.0, inf), (11.0, 33.0, 44.0))
    assert total([Change(), one]).seconds == total([one, Change()]).seconds == one.seconds
