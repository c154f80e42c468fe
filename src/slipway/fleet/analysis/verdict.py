"""Says of a bake whether the new release may go on: promote, abort, or inconclusive.

A sequential test: it may be asked at every look, and the first abort stands. The probability that a release whose
effects are all within their limits is aborted at any look is at most `Bake.alpha`, for requests that are
independent and of one kind throughout (docs/decisions/0010). Nothing here reads, waits or draws at random.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from slipway.fleet.analysis import comparison
from slipway.fleet.analysis.bake import Bake
from slipway.fleet.analysis.change import Change
from slipway.fleet.analysis.comparison import Row, State
from slipway.fleet.analysis.measure import Moments
from slipway.fleet.analysis.tally import Look, Side, Tally, tally

SAME_DECISIONS = "decisions"
"""The metric of decisions on the same requests; it is there only where a shadow was asked."""


class Decision(StrEnum):
    PROMOTE = "promote"
    ABORT = "abort"
    INCONCLUSIVE = "inconclusive"
    """Before the end of the bake: go on. After it: ask both releases the golden or recorded requests, and judge
    again with the looks of that."""


class Verdict(NamedTuple):
    """What the analysis says, and why."""

    decision: Decision
    rows: tuple[Row, ...]
    reasons: tuple[str, ...]
    """For an abort or for want of a conclusion; none for a promotion."""


def judge(looks: Sequence[Look], bake: Bake) -> Verdict:
    """Compare new hosts with old over looks, in the order of time.

    The first look must come after the last golden row and before the first request that counts.
    """
    return decide(tally(looks), bake)


def decide(seen: Tally, bake: Bake) -> Verdict:
    """The verdict on what has been added up.

    - abort: of some metric, the effect is proven to be above its limit.
    - promote: the bake is over, every new host can be read, and every metric has either proof that its effect is
      within the limit, or enough data and an effect that is.
    - inconclusive: everything else; so no data, of whatever, is never a promotion.
    """
    rows = compare(seen, bake)
    if above := [row for row in rows if row.state is State.ABOVE]:
        reasons = tuple(f"{row.metric} is above its limit" for row in above)
        return Verdict(Decision.ABORT, rows, reasons)
    open_ = [f"{host} {why}" for host, why in seen.new.silent.items()]
    open_ += [f"{row.metric}: {row.state}" for row in rows if row.state in (State.SUSPECT, State.NO_DATA)]
    if seen.seconds < bake.seconds:
        open_.append(f"{seen.seconds:g} s of {bake.seconds:g} s have passed")
    return Verdict(Decision.INCONCLUSIVE if open_ else Decision.PROMOTE, rows, tuple(open_))


def compare(seen: Tally, bake: Bake) -> tuple[Row, ...]:
    """One row for each metric; memory only where it has a limit, answers to the same requests only of a shadow."""
    limits, alpha, least = bake.limits, bake.alpha_of_each, bake.minimum_requests
    new, old = seen.new.change, seen.old.change
    rows: tuple[Row, ...] = (
        comparison.share("errors", _errors(new), _errors(old), limits.errors, alpha, least),
        comparison.share("refusals", _refusals(new), _refusals(old), limits.refusals, alpha, least),
        comparison.slower("p50", 0.50, new.seconds, old.seconds, limits.p50, alpha, least),
        comparison.slower("p99", 0.99, new.seconds, old.seconds, limits.p99, alpha, least),
        comparison.shift("positives", "share", new.positives, old.positives, limits.positives, alpha, least),
        comparison.shift("score", "probability", new.scores, old.scores, limits.score, alpha, least),
        comparison.count("restarts", _restarts(seen.new), _restarts(seen.old), limits.restarts),
    )
    if shadowed := old.differing.requests:
        none = Moments(shadowed, 0.0)
        rows = (
            comparison.share(SAME_DECISIONS, old.differing, none, limits.positives, alpha, least),
            comparison.share("gap", old.difference, none, limits.score, alpha, least),
            *rows,
        )
    if limits.memory is None:
        return rows
    return (*rows, comparison.growth("memory", seen.windows, limits.memory, alpha, bake.minimum_windows))


def _errors(change: Change) -> Moments:
    return Moments(change.requests, change.errors)


def _refusals(change: Change) -> Moments:
    return Moments(change.requests, change.refusals)


def _restarts(side: Side) -> float | None:
    return side.change.restarts / side.hosts if side.hosts else None
