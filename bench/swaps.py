"""Swaps of a fleet, Slipway's beside two that are common: `python -m bench swaps`, as root on Linux.

Three hosts of a lab of its own serve the same model behind the same HAProxy, under the same load: one part of it through the
balancer, which asks another host where one fails, one part at each host, which shows what the balancer hides.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from lab.command import HOSTS
from lab.plan import Process
from lab.play import play, reached
from tests.lab.fleet import PORT, controls
from tests.lab.yard import ENVIRONMENT, Yard
from tests.local.load import Load, Request
from tests.local.workplace import REPOSITORY, clone, overlay, until

from bench import growth
from bench.rivals import Rival
from bench.verbs import does
from lab import lab as labs
from slipway import params
from slipway.pipeline import stage

BALANCER = "balancer-1"
DOOR = 9080
"""Of the balancer, which has one port for each way in turn."""
_REST_SECONDS = 10
_SETTLE_SECONDS = 3
"""After a command: who was slow, or not there yet, is counted with it."""
OLD, NEW = "v1.0.0", "v1.1.0"


class Way(NamedTuple):
    """A way to change a fleet: how it goes to the new release, and back."""

    name: str
    port: int
    swap: Callable[[], object]
    back: Callable[[], object]


class Seen(NamedTuple):
    """What clients saw, and how long it took."""

    seconds: float
    through: Sequence[Request]
    """By the balancer."""
    direct: Sequence[Request]
    """At the hosts themselves."""


class Result(NamedTuple):
    way: str
    rest: Seen
    swaps: Sequence[Seen]
    backs: Sequence[Seen]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench swaps", description=__doc__)
    parser.add_argument("--cycles", type=int, default=3, help="swaps and roll-backs of each way")
    parser.add_argument("--alone", action="store_true", help="Slipway only, as for a thousand cycles")
    parser.add_argument("--growth", action="store_true", help="how a deploy's time grows with the hosts, too")
    given = parser.parse_args(arguments)
    names = [*HOSTS, *growth.MORE_HOSTS] if given.growth else HOSTS
    name = f"b{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        try:
            site = Site(Path(folder), labs.up(name, names, Process.current()))
            results = site.compare(given.cycles, 1 if given.alone else None)
            grown = growth.measure(site.yard) if given.growth else []
        finally:
            labs.down(name)
    _print(results)
    growth.show(grown)
    return 0


class Site:
    """The lab, a working repository with two releases, and the balancer."""

    def __init__(self, folder: Path, lab: labs.Lab) -> None:
        self._folder = folder
        self._lab = lab
        self.yard = _yard(folder, lab)
        settings = params.load(self.yard.root / "params.yaml")
        found = pd.read_parquet(self.yard.root / "data" / "validation.parquet")
        self._rows = stage.rows(found, settings.contract)

    def compare(self, cycles: int, ways: int | None = None) -> list[Result]:
        """Each way in its turn, or the first so many: at rest, then to and fro."""
        # So that runtime and both releases are there, as they are later.
        does(self.yard, "deploy", ENVIRONMENT, NEW)
        does(self.yard, "deploy", ENVIRONMENT, OLD)
        with controls(self._folder) as folder:
            return [self._measure(way, cycles) for way in islice(self._ways(folder), ways)]

    def _ways(self, folder: Path) -> Iterator[Way]:
        yard = self.yard
        yield Way(
            "Slipway",
            PORT,
            lambda: does(yard, "deploy", ENVIRONMENT, NEW),
            lambda: does(yard, "rollback", ENVIRONMENT),
        )
        tars = {release: folder / f"{release}.tar" for release in (OLD, NEW)}
        for number, kind in enumerate(("plain", "symlink"), 1):
            rival = Rival(kind, PORT + number, folder, yard, tars)
            rival.set_up(OLD)
            yield Way(rival.title, rival.port, rival.swap(NEW), rival.back(OLD))
            rival.stop()

    def _measure(self, way: Way, cycles: int) -> Result:
        self._balance(way.port)
        rest = self._seen(way, lambda: time.sleep(_REST_SECONDS))
        swaps, backs = [], []
        for _ in range(cycles):
            swaps.append(self._seen(way, way.swap))
            backs.append(self._seen(way, way.back))
            said = f"{way.name}: swap {swaps[-1].seconds:.1f} s, rollback {backs[-1].seconds:.1f} s"
            print(said, file=sys.stderr, flush=True)
        return Result(way.name, rest, swaps, backs)

    def _seen(self, way: Way, act: Callable[[], object]) -> Seen:
        balancer = str(self._lab.hosts[BALANCER].address)
        with ExitStack() as stack:
            through = stack.enter_context(Load(DOOR, self._rows, balancer))
            direct = [
                stack.enter_context(Load(way.port, self._rows, str(host.address), threads=2))
                for host in self.yard.hosts.values()
            ]
            began = time.monotonic()
            act()
            seconds = time.monotonic() - began
            time.sleep(_SETTLE_SECONDS)
        return Seen(seconds, through.requests, [request for load in direct for request in load.requests])

    def _balance(self, port: int) -> None:
        """Point the balancer to the hosts' port of a way; the role `load_balancer` does it."""
        servers = {
            name: {"address": str(host.address), "port": port} for name, host in self.yard.hosts.items()
        }
        doors = [{"port": DOOR, "sources": [str(self._lab.plan.controller.network)]}]
        variables: dict[str, Any] = {
            **reached(self._lab),
            "host_baseline_doors": doors,
            "load_balancer_port": DOOR,
            "load_balancer_servers": servers,
        }
        hosts = {BALANCER: {"ansible_host": str(self._lab.hosts[BALANCER].address)}}
        groups: dict[str, Any] = {"load_balancers": {"hosts": {BALANCER: {}}}}
        played = play(
            self._folder, {"all": {"hosts": hosts, "vars": variables, "children": groups}}, "provision"
        )
        if played.code:
            raise RuntimeError(f"the balancer cannot be set up: {played.failed}")
        with Load(DOOR, self._rows, str(self._lab.hosts[BALANCER].address)) as load:
            until(lambda: load.requests and not load.requests[-1].error, "the balancer has found its hosts")


def _yard(folder: Path, lab: labs.Lab) -> Yard:
    """A working repository whose environment is the first three hosts, and two releases of it."""
    root = folder / "slipway"
    seed = folder / "seed"
    clone(REPOSITORY, seed, None)
    overlay(seed)
    clone(seed, root, folder / "cache")
    yard = Yard(root, lab)
    yard.hosts = {name: host for name, host in yard.hosts.items() if name in HOSTS}
    yard.build()
    for release, c in ((OLD, 1.0), (NEW, 0.03)):
        yard.set("train.hyperparameters", f"{{C: {c}, class_weight: balanced}}")
        yard.run("dvc", "repro", "--quiet")
        yard.commit(f"Make {release}")
        made = yard.release()
        if made != release:
            raise RuntimeError(f"the release is {made}, not {release}")
        shutil.copy(root / "artifacts" / "bundle.tar", folder / f"{release}.tar")
    return yard


def _print(results: Sequence[Result]) -> None:
    ours = results[0]
    print(
        "| way | change | failed through the balancer | failed at the hosts | slowest answer | p99 at rest | ",
        end="",
    )
    print("slowest / p99 | wall time | / Slipway's |")
    print("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        for change, seen, own in (
            ("swap", result.swaps, ours.swaps),
            ("rollback", result.backs, ours.backs),
        ):
            print(_line(result, change, seen, own))


def _line(result: Result, change: str, seen: Sequence[Seen], own: Sequence[Seen]) -> str:
    through = [request for each in seen for request in each.through]
    direct = [request for each in seen for request in each.direct]
    rest = p99(result.rest.through)
    slowest = max(request.ended - request.started for request in through)
    wall, ours = (statistics.median(each.seconds for each in side) for side in (seen, own))
    cells = [
        result.way,
        change,
        _failed(through),
        _failed(direct),
        f"{1000 * slowest:.0f} ms",
        f"{1000 * rest:.1f} ms",
        f"{slowest / rest:.1f}",
        f"{wall:.1f} s",
        f"{wall / ours:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _failed(requests: Sequence[Request]) -> str:
    return f"{sum(bool(request.error) for request in requests)} of {len(requests)}"


def p99(requests: Sequence[Request]) -> float:
    return statistics.quantiles((request.ended - request.started for request in requests), n=100)[98]
