"""What must hold over all that a load saw: invariants (a) and (b) of docs/drills.md, and who may answer when."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.local.load import LAME_DUCK_SECONDS

if TYPE_CHECKING:
    from collections import Counter as Tally
    from collections.abc import Mapping, Sequence

    from tests.local.load import Load, Request

    from slipway.scorer import Scorer


class _Window(NamedTuple):
    release: str
    began: float
    ended: float


class Timeline:
    """Which releases are legally live, and when, in monotonic seconds."""

    def __init__(self, release: str) -> None:
        self._windows = [_Window(release, -math.inf, math.inf)]

    def begins(self, release: str, at: float) -> None:
        """A command begins to bring a release: from now on hosts may serve it."""
        self._windows.append(_Window(release, at, math.inf))

    def settles(self, release: str, at: float) -> None:
        """The fleet runs one release; what another has begun to answer it may still end."""
        over = at + LAME_DUCK_SECONDS
        self._windows = [
            window if window.release == release else window._replace(ended=min(window.ended, over))
            for window in self._windows
        ]

    def allows(self, request: Request) -> bool:
        return any(
            window.release == request.release
            and window.began <= request.ended
            and request.started <= window.ended
            for window in self._windows
        )


def refused(load: Load, kills: int, threads: int) -> list[str]:
    """(a) What nobody answered; and more that had to be asked twice than hard kills can account for."""
    problems = [f"failed: {request}" for request in load.failed]
    if len(load.repeated) > kills * threads:
        problems.append(f"{len(load.repeated)} asked twice, after {kills} kills: {load.repeated[0]}")
    return problems


def untrue(
    load: Load,
    timeline: Timeline,
    models: Mapping[str, Scorer],
    rows: Sequence[Mapping[str, Any]],
) -> list[str]:
    """(b) Answers of a release that was not live then, or that its model does not give offline."""
    answered = [request for request in load.requests if not request.error]
    illegal = [f"not live then: {request}" for request in answered if not timeline.allows(request)]
    known = {name: models[name] for name in load.releases if name in models}
    if len(known) < len(load.releases):
        return [*illegal, f"unknown releases among {load.releases}"]
    return [*illegal, *(f"not the offline prediction: {request}" for request in load.wrong(known, rows))]


def unlogged(load: Load, found: Tally[str], kills: int) -> list[str]:
    """(c) Answered requests that are not in the prediction logs exactly once.

    A process that is killed loses what it had not written yet; and what it had answered to a balancer that was not told any more,
    another host answers again.
    """
    if kills:
        return []
    counts = {request.id: found[request.id] for request in load.requests if not request.error}
    return [f"{name} is logged {count} times" for name, count in counts.items() if count != 1]


def unfamiliar(load: Load) -> list[str]:
    """Requests that share an id, which nobody could find again."""
    names = {request.id for request in load.requests}
    return [] if len(names) == len(load.requests) else [f"{len(load.requests)} requests, {len(names)} ids"]
