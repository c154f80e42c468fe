"""The verdict on a bake for people: one line for each metric, and one for the whole."""

from math import inf

from slipway.fleet.analysis.comparison import Row, State
from slipway.fleet.analysis.verdict import Verdict

_SCALES = {
    "share": (100.0, " %"),
    "probability": (1.0, ""),
    "s": (1000.0, " ms"),
    "B/s": (0.001, " kB/s"),
    "a host": (1.0, " a host"),
}
"""How to show values of a unit: factor and ending. An effect in seconds is a ratio, and is shown as such."""


def lines(verdict: Verdict) -> list[str]:
    """New, old, effect, limit and evidence of each metric; then the decision and its reasons."""
    width = max(len(row.metric) for row in verdict.rows)
    table = [f"{row.metric:<{width}}  {_line(row)}" for row in verdict.rows]
    return [*table, ": ".join(filter(None, (verdict.decision, "; ".join(verdict.reasons))))]


def _line(row: Row) -> str:
    new, old = (_shown(value, row.unit) for value in (row.new, row.old))
    limit = _effect(row.limit, row.unit).removeprefix("+")
    return f"new {new}, old {old}, effect {_effect(row.effect, row.unit)}, limit {limit}: {_evidence(row)}"


def _evidence(row: Row) -> str:
    least, most = (_effect(bound, row.unit) for bound in row.bounds)
    match row.state:
        case State.ABOVE:
            return f"above, at least {least}"
        case State.BELOW:
            return f"within, at most {most}"
        case State.NO_DATA:
            return "no data"
        case State.QUIET | State.SUSPECT:
            found = "within" if row.state is State.QUIET else "above"
            return f"{found}, but not proven: between {least} and {most}"


def _shown(value: float | None, unit: str) -> str:
    factor, ending = _SCALES[unit]
    return "none" if value is None else f"{value * factor:.3g}{ending}"


def _effect(value: float | None, unit: str) -> str:
    if value is None:
        return "none"
    if abs(value) == inf:
        return "anything"
    factor, ending = (1.0, " times") if unit == "s" else _SCALES[unit]
    sign = "" if unit == "s" else "+"
    return f"{value * factor:{sign}.3g}{ending}"
