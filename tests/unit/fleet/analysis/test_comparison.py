from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bakes import EDGES, times

from slipway.fleet.analysis import comparison, confidence
from slipway.fleet.analysis.comparison import Row, State
from slipway.fleet.analysis.measure import Histogram, Moments

ALPHA, MINIMUM = 0.001, 1000
RANK = list(State)


def share(new: tuple[float, float], old: tuple[float, float], limit: float = 0.01) -> Row:
    """(how many, of how many)."""
    return comparison.share("errors", Moments(*new[::-1]), Moments(*old[::-1]), limit, ALPHA, MINIMUM)


def shift(new: tuple[float, float], old: tuple[float, float], limit: float = 0.05) -> Row:
    return comparison.shift("score", "share", Moments(*new[::-1]), Moments(*old[::-1]), limit, ALPHA, MINIMUM)


def slower(new: Histogram, old: Histogram, quantile: float = 0.5, limit: float = 2.0) -> Row:
    return comparison.slower("p50", quantile, new, old, limit, ALPHA, MINIMUM)


def growth(new: list[float], old: list[float], limit: float = 1000.0) -> Row:
    return comparison.growth("memory", list(zip(new, old, strict=True)), limit, ALPHA, 12)


@pytest.mark.parametrize(
    ("new", "old", "state"),
    [
        ((1_000, 10_000), (10, 10_000), State.ABOVE),
        ((25, 1_000), (0, 1_000), State.SUSPECT),
        ((25, 999), (0, 10_000), State.NO_DATA),
        ((100, 10_000), (0, 999), State.NO_DATA),
        ((0, 1_000), (0, 1_000), State.QUIET),
        ((5, 1_000), (0, 1_000), State.QUIET),
        ((10, 50_000), (10, 50_000), State.BELOW),
        ((0, 100_000), (10_000, 100_000), State.BELOW),
        ((100, 100), (0, 100_000), State.ABOVE),
        ((0, 0), (0, 100_000), State.NO_DATA),
        ((50_000, 50_000), (0, 0), State.NO_DATA),
        ((0, 50_000), (0, 0), State.NO_DATA),
        ((0, 0), (0, 0), State.NO_DATA),
    ],
)
def test_a_share_stands_to_its_limit(
    new: tuple[float, float], old: tuple[float, float], state: State
) -> None:
    assert share(new, old).state is state


def test_an_effect_within_its_limit_is_never_above_however_certain() -> None:
    """Statistical significance alone aborts nothing."""
    row = share((1_080_000, 100_000_000), (100_000, 100_000_000), limit=0.01)

    assert row.bounds.lower > 0.0095
    assert row.state is not State.ABOVE


def test_more_of_what_is_good_is_no_harm() -> None:
    assert share((0, 100_000), (50_000, 100_000)).state is State.BELOW


@pytest.mark.parametrize(
    ("new", "old", "state"),
    [
        ((6_000, 10_000), (4_000, 10_000), State.ABOVE),
        ((4_000, 10_000), (6_000, 10_000), State.ABOVE),
        ((460, 1_000), (400, 1_000), State.SUSPECT),
        ((400, 1_000), (460, 1_000), State.SUSPECT),
        ((410, 1_000), (400, 1_000), State.QUIET),
        ((400, 900), (400, 10_000), State.ABOVE),
        ((400, 900), (400, 1_000), State.NO_DATA),
        ((40_100, 100_000), (40_000, 100_000), State.BELOW),
        ((0, 0), (40_000, 100_000), State.NO_DATA),
    ],
)
def test_a_shift_counts_in_both_directions(
    new: tuple[float, float], old: tuple[float, float], state: State
) -> None:
    assert shift(new, old).state is state


counts = st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)).map(lambda both: (min(both), max(both)))


@given(counts, counts)
def test_new_and_old_can_be_exchanged(new: tuple[int, int], old: tuple[int, int]) -> None:
    forth, back = shift(new, old), shift(old, new)

    assert forth.state is back.state
    assert forth.bounds == pytest.approx(back.bounds, abs=1e-8)
    assert (forth.effect is None) == (back.effect is None)
    assert forth.effect is None or back.effect is None or forth.effect == pytest.approx(-back.effect)


@given(counts, counts)
def test_the_other_label_can_be_the_positive(new: tuple[int, int], old: tuple[int, int]) -> None:
    mirrored = shift((new[1] - new[0], new[1]), (old[1] - old[0], old[1]))

    assert mirrored.bounds == pytest.approx(shift(new, old).bounds, abs=1e-8)


@given(counts, counts, st.integers(1, 100))
def test_one_more_error_is_never_better(new: tuple[int, int], old: tuple[int, int], more: int) -> None:
    failed, requests = new
    better, worse = share(new, old), share((min(failed + more, requests), requests), old)

    assert RANK.index(worse.state) <= RANK.index(better.state)


@given(counts, counts, st.integers(1, 10_000))
def test_without_enough_requests_nothing_is_quiet(
    new: tuple[int, int], old: tuple[int, int], limit: int
) -> None:
    row = share(new, old, limit / 10_000)

    if min(new[1], old[1]) < MINIMUM:
        assert row.state in (State.NO_DATA, State.ABOVE, State.BELOW)
    if min(new[1], old[1]) == 0:
        assert row.state is State.NO_DATA


@pytest.mark.parametrize(
    ("new", "old", "state"),
    [
        (times(0, 0, 0, 0, 9_000), times(0, 9_000), State.ABOVE),
        (times(0, 9_000), times(0, 9_000), State.BELOW),
        (times(0, 0, 9_000), times(0, 9_000), State.QUIET),
        (times(0, 0, 0, 9_000), times(0, 9_000), State.SUSPECT),
        (times(9_000), times(9_000), State.BELOW),
        (times(0, 0, 999), times(0, 9_000), State.NO_DATA),
        (times(0, 0, 9_000), times(0, 999), State.NO_DATA),
        (times(), times(0, 9_000), State.NO_DATA),
        (times(0, 9_000), times(), State.NO_DATA),
        (Histogram((inf,), (9_000.0,)), times(0, 9_000), State.NO_DATA),
        (times(0, 9_000), times(0, 0, 0, 0, 9_000), State.BELOW),
        (times(0, 0, 0, 0, 0, 0, 9_000), times(0, 9_000), State.ABOVE),
        (times(0, 0, 0, 0, 0, 0, 9_000), times(0, 0, 0, 0, 0, 0, 9_000), State.QUIET),
    ],
)
def test_times_stand_to_their_limit(new: Histogram, old: Histogram, state: State) -> None:
    assert slower(new, old).state is state


def test_a_slow_tail_is_seen_by_the_quantile_of_the_tail_only() -> None:
    new, old = times(0, 9_700, 0, 0, 300), times(0, 9_990, 10)

    assert slower(new, old, 0.5).state is State.BELOW
    assert slower(new, old, 0.99).state is State.ABOVE


def test_a_quantile_is_interpolated_in_its_bucket_and_its_bounds_are_edges() -> None:
    row = slower(times(0, 0, 1_000, 3_000), times(0, 1_000))

    assert row.new == pytest.approx(0.004 + 0.004 / 3)
    assert row.old == pytest.approx(0.0015)
    assert row.effect == pytest.approx((0.004 + 0.004 / 3) / 0.0015)
    assert row.bounds.lower == pytest.approx(0.004 / 0.002)
    assert row.bounds.upper == pytest.approx(0.008 / 0.001)


def test_a_quantile_beyond_the_last_edge_is_shown_as_that_edge_and_not_bounded() -> None:
    row = slower(times(0, 0, 0, 0, 0, 0, 9_000), times(0, 9_000))

    assert (row.new, row.bounds.upper) == (EDGES[-2], inf)


def test_times_in_the_first_bucket_are_all_alike() -> None:
    assert slower(times(9_000), times(9_000)).bounds == (1, 1)


@given(
    st.lists(st.integers(0, 3_000), min_size=7, max_size=7),
    st.lists(st.integers(0, 3_000), min_size=7, max_size=7),
    st.integers(0, 5),
    st.sampled_from([0.5, 0.99]),
)
def test_slower_answers_are_never_better(
    new: list[int], old: list[int], bucket: int, quantile: float
) -> None:
    moved = [*new]
    moved[bucket], moved[bucket + 1] = 0, new[bucket] + new[bucket + 1]
    better, worse = (slower(times(*side), times(*old), quantile) for side in (new, moved))

    assert worse.bounds.lower >= better.bounds.lower - 1e-8
    assert worse.bounds.upper >= better.bounds.upper - 1e-8
    assert RANK.index(worse.state) <= RANK.index(better.state)


@pytest.mark.parametrize(
    ("new", "old", "state"),
    [
        ([5_000.0] * 20, [0.0] * 20, State.ABOVE),
        ([5_000.0] * 20, [4_500.0] * 20, State.BELOW),
        ([5_000.0] * 12, [0.0] * 12, State.SUSPECT),
        ([5_000.0] * 11, [0.0] * 11, State.NO_DATA),
        ([500.0] * 12, [0.0] * 12, State.QUIET),
        ([500.0] * 20, [0.0] * 20, State.BELOW),
        ([-9_000.0] * 20, [0.0] * 20, State.BELOW),
        # What a process needs once, and gives back or not.
        ([9e8, *[0.0] * 29], [0.0] * 30, State.BELOW),
        ([9e8, *[0.0] * 28, -9e8], [0.0] * 30, State.BELOW),
        ([9e6] * 4 + [0.0] * 26, [0.0] * 30, State.BELOW),
        # A leak that a large request interrupts.
        ([5_000.0] * 14 + [9e8, -9e8] + [5_000.0] * 14, [0.0] * 30, State.ABOVE),
        ([], [], State.NO_DATA),
    ],
)
def test_memory_stands_to_its_limit(new: list[float], old: list[float], state: State) -> None:
    assert growth(new, old).state is state


@pytest.mark.parametrize(
    ("new", "old", "state"),
    [
        (2.0, 0.0, State.ABOVE),
        (1.0, 0.0, State.BELOW),
        (3.0, 2.5, State.BELOW),
        (None, 0.0, State.NO_DATA),
        (2.0, None, State.NO_DATA),
    ],
)
def test_what_is_counted_is_exact(new: float | None, old: float | None, state: State) -> None:
    assert comparison.count("restarts", new, old, 1.0).state is state


def test_new_and_old_have_half_of_alpha_each() -> None:
    """So that both hold at once as often as declared."""
    fresh, former = (confidence.of_mean(total, 10_000, ALPHA / 2) for total in (500, 100))
    row = share((500, 10_000), (100, 10_000))
    assert row.bounds == (fresh.lower - former.upper, fresh.upper - former.lower)

    tail = times(0, 2_000 - 3, 3)
    assert confidence.of_quantile(*tail, 0.99, ALPHA).upper == 0.002
    assert confidence.of_quantile(*tail, 0.99, ALPHA / 2).upper == 0.004
    assert slower(tail, tail, 0.99).bounds.upper == pytest.approx(0.004 / 0.001)
