from math import inf

import pytest

from slipway.fleet.analysis.comparison import Row, State
from slipway.fleet.analysis.confidence import Interval
from slipway.fleet.analysis.lines import lines
from slipway.fleet.analysis.verdict import Decision, Verdict

ROWS = (
    Row("errors", "share", 0.02, 0.001, 0.019, 0.005, Interval(0.0071, 0.03), State.ABOVE),
    Row("p99", "s", 0.025, 0.005, 5.0, 2.0, Interval(1.58, inf), State.SUSPECT),
    Row("score", "probability", 0.31, 0.33, -0.02, 0.05, Interval(0.0, 0.043), State.BELOW),
    Row("memory", "B/s", 12e3, 2e3, 10e3, 2e5, Interval(-inf, inf), State.QUIET),
    Row("restarts", "a host", None, 0.0, None, 1.0, Interval(-inf, inf), State.NO_DATA),
)


def test_a_verdict_is_one_line_for_each_metric_and_one_for_the_whole() -> None:
    shown = """\
errors    new 2 %, old 0.1 %, effect +1.9 %, limit 0.5 %: above, at least +0.71 %
p99       new 25 ms, old 5 ms, effect 5 times, limit 2 times: above, but not proven: between 1.58 times and anything
score     new 0.31, old 0.33, effect -0.02, limit 0.05: within, at most +0.043
memory    new 12 kB/s, old 2 kB/s, effect +10 kB/s, limit 200 kB/s: within, but not proven: between anything and anything
restarts  new none, old 0 a host, effect none, limit 1 a host: no data
abort: errors is above its limit; and more"""

    verdict = Verdict(Decision.ABORT, ROWS, ("errors is above its limit", "and more"))

    assert lines(verdict) == shown.splitlines()


def test_a_promotion_needs_no_reason() -> None:
    assert lines(Verdict(Decision.PROMOTE, ROWS, ()))[-1] == "promote"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("unit", ["share", "probability", "s", "B/s", "a host"])
def test_every_state_of_every_unit_has_a_line(state: State, unit: str) -> None:
    row = Row("it", unit, 1.0, 2.0, -1.0, 3.0, Interval(-2.0, 0.5), state)

    assert len(lines(Verdict(Decision.INCONCLUSIVE, (row,), ("because",)))) == 2
