import pytest
from tests.unit.bakes import record, snapshot

from slipway.fleet.analysis.measure import NoData, Reading
from slipway.fleet.analysis.tally import Look, Tally, tally

GONE = NoData("refused the connection")


def looks(new: list[dict[str, Reading]], old: list[dict[str, Reading]]) -> list[Look]:
    """Ten seconds apart."""
    return [Look(100 + 10 * n, *both) for n, both in enumerate(zip(new, old, strict=True))]


def one(*readings: Reading) -> list[dict[str, Reading]]:
    return [{"host": reading} for reading in readings]


def of_new(*readings: Reading) -> Tally:
    return tally(looks(one(*readings), one(*[snapshot(0)] * len(readings))))


def test_no_look_and_one_look_show_nothing() -> None:
    for seen in (tally([]), of_new(snapshot(50))):
        assert seen.seconds == 0
        assert seen.new.hosts == seen.old.hosts == seen.new.change.requests == 0
        assert seen.windows == []
    assert of_new(snapshot(50)).new.silent == {"host": "was asked only once"}


def test_looks_and_hosts_add_up() -> None:
    new: list[dict[str, Reading]] = [
        {"host-1": snapshot(100), "host-2": snapshot(1000)},
        {"host-1": snapshot(110), "host-2": snapshot(1020)},
        {"host-1": snapshot(140), "host-2": snapshot(1050)},
    ]
    old: list[dict[str, Reading]] = [{"host-3": snapshot(n)} for n in (7, 8, 9)]

    seen = tally(looks(new, old))

    assert seen.seconds == 20
    assert (seen.new.change.requests, seen.new.hosts, seen.new.silent) == (90, 2, {})
    assert (seen.old.change.requests, seen.old.hosts) == (2, 1)


def test_a_failed_reading_loses_nothing_once_the_next_succeeds() -> None:
    seen = of_new(snapshot(100), GONE, GONE, snapshot(400))

    assert (seen.new.change.requests, seen.new.silent) == (300, {})


def test_a_failed_first_reading_leaves_the_rest() -> None:
    assert of_new(GONE, snapshot(100), snapshot(400)).new.change.requests == 300


@pytest.mark.parametrize("last", [[GONE], [GONE, GONE]])
def test_a_host_whose_newest_reading_failed_is_silent(last: list[Reading]) -> None:
    seen = of_new(snapshot(100), snapshot(400), *last)

    assert seen.new.change.requests == 300
    assert seen.new.silent == {"host": "refused the connection"}


def test_a_host_that_is_not_asked_any_more_is_silent() -> None:
    seen = tally(looks([*one(snapshot(1), snapshot(2)), {}], one(*[snapshot(0)] * 3)))

    assert seen.new.silent == {"host": "was not asked"}


def test_a_host_on_another_release_is_silent_and_what_that_does_does_not_count() -> None:
    seen = of_new(snapshot(100), snapshot(150), snapshot(9000, record=record("v2.0.0")))

    assert seen.new.change.requests == 50
    assert seen.new.silent == {"host": "serves v2.0.0, and served v1.0.0"}


def test_memory_is_a_rate_for_each_window_the_mean_of_hosts() -> None:
    new: list[dict[str, Reading]] = [
        {"host-1": snapshot(memory=100.0), "host-2": snapshot(memory=500.0)},
        {"host-1": snapshot(memory=200.0), "host-2": snapshot(memory=500.0)},
        {"host-1": snapshot(memory=200.0), "host-2": GONE},
    ]

    seen = tally(looks(new, one(*(snapshot(memory=value) for value in (10.0, 40.0, 20.0)))))

    assert seen.windows == [(5.0, 3.0), (0.0, -2.0)]


def test_a_window_in_which_a_process_restarted_shows_no_memory() -> None:
    seen = of_new(snapshot(), snapshot(memory=300e6, started=2000.0), snapshot(memory=310e6, started=2000.0))

    assert seen.new.change.restarts == 1
    assert seen.windows == [(1e6, 0.0)]


def test_memory_after_a_failed_reading_is_over_the_whole_gap() -> None:
    seen = of_new(snapshot(memory=100.0), GONE, snapshot(memory=300.0))

    assert seen.windows == [(10.0, 0.0)]


def test_time_that_stands_still_shows_no_memory() -> None:
    """The same look twice must not divide by zero."""
    at = [Look(5.0, {"new": snapshot()}, {"old": snapshot()})] * 3

    assert tally(at).windows == []
