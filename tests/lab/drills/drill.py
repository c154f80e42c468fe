"""One drill: commands and faults under a load, and the invariants that must hold at its end."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.lab.drills.checks import Timeline, refused, unfamiliar, unlogged, untrue
from tests.lab.drills.site import FIRST, SECOND
from tests.lab.fleet import PORT
from tests.lab.yard import ENVIRONMENT
from tests.local.load import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.drills.site import Site
    from tests.local.workplace import Said

THREADS = 6
PER_SECOND_MINIMUM = 200


class Drill:
    """A fleet on one release, `old`, with `new` to be rolled out; what happens to it, and what that cost."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.old = site.settle()
        self.new = SECOND if self.old == FIRST else FIRST
        self.ended = False
        self.loads: list[Load] = []
        self._began = self._last = time.monotonic()
        self._timeline = Timeline(self.old)
        self._repeats = site.repeats()

    @contextlib.contextmanager
    def load(self, *, forgiving: bool = False) -> Iterator[Load]:
        """Ask at the front door meanwhile.

        Args:
            forgiving: Ask once more what failed, as callers must when a host is killed in the middle of an answer.
        """
        load = Load(PORT, self.site.rows, str(self.site.balancer.address), THREADS, 2 if forgiving else 1)
        self.loads.append(load)
        with load:
            yield load

    def brings(self, release: str) -> None:
        """From now on, hosts may serve a release."""
        self._timeline.begins(release, time.monotonic())

    def noted(self) -> None:
        """A command has ended that was given without this drill."""
        self._last = time.monotonic()

    def tells(self, verb: str, *arguments: str) -> Said:
        """Run a command on the environment."""
        said = self.site.slipway(verb, ENVIRONMENT, *arguments)
        self._last = time.monotonic()
        return said

    def insists(self, *command: str) -> str:
        """Give a command until no other one is in its way; what it printed."""
        out = self.site.insists(*command)
        self._last = time.monotonic()
        return out

    def does(self, verb: str, *arguments: str) -> str:
        """Run a command, which must succeed; what it printed."""
        said = self.tells(verb, *arguments)
        assert said.code == 0, said.out + said.err + self.site.journal()
        return said.out

    def deploys(self, release: str) -> str:
        """Roll a release out, which must succeed."""
        self.brings(release)
        return self.does("deploy", release)

    def refuses(self, code: int, *words: str, by: tuple[str, ...]) -> Said:
        """Run a command that ends with a code; it says words, and at last the next command."""
        said = self.tells(*by)
        assert said.code == code, said.out + said.err
        assert [word for word in words if word not in said.err] == [], said.err
        assert said.err.splitlines()[-1].startswith("  next: "), said.err
        return said

    def ends_on(self, release: str, *, kills: int = 0, logged: bool = True) -> None:
        """Check all invariants.

        Args:
            release: What the fleet runs now.
            kills: How often something that answers was killed: so often requests may have to be asked twice.
            logged: Whether the log of predictions must be whole.
        """
        self._timeline.settles(release, self._last)
        self.site.in_order(release)
        found = Counter(self.site.logged()) if logged else Counter[str]()
        repeats = self.site.repeats() - self._repeats
        problems = [
            problem
            for load in self.loads
            for problem in (
                *refused(load, kills, THREADS),
                *untrue(load, self._timeline, self.site.models, self.site.rows),
                *unfamiliar(load),
                *(unlogged(load, found, kills, repeats) if logged else []),
            )
        ]
        assert problems == [], f"{len(problems)} problems, the first ones: {problems[:5]}"
        assert all(load.per_second >= PER_SECOND_MINIMUM for load in self.loads)
        self.ended = True

    @property
    def figures(self) -> dict[str, float]:
        requests = [request for load in self.loads for request in load.requests]
        slowest = max((request.ended - request.started for request in requests), default=0.0)
        return {
            "requests": len(requests),
            "failed": sum(bool(request.error) for request in requests),
            "repeated": sum(bool(request.first_error) for request in requests),
            "slowest": slowest,
            "seconds": time.monotonic() - self._began,
        }
