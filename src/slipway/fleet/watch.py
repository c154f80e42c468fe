"""Watches hosts that have changed beside those that have not, until the analysis can say whether to go on."""

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from slipway.fleet.analysis import measure
from slipway.fleet.analysis.bake import Bake
from slipway.fleet.analysis.comparison import State
from slipway.fleet.analysis.measure import NoData, Reading
from slipway.fleet.analysis.tally import Look
from slipway.fleet.analysis.verdict import Decision, Verdict, judge

_SECONDS = 30
_REPLAY_SECONDS = 600
"""For all replays."""
_REPLAYS = 3
"""Not all that was asked need have counted after the first: a shadow is asked later than the live slot."""
_REPLAYED = NoData("replayed")
_READ = """
import sys, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with direct.open(sys.argv[1] + "/metrics", timeout=5) as answer:
    sys.stdout.write(answer.read().decode())
"""
_REPLAY = """
import http.client, json, sys, urllib.parse, uuid
rows = [json.dumps(row) for row in json.load(sys.stdin)]
door = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[1]).netloc, timeout=10)
for number in range(int(sys.argv[2])):
    try:
        name = {"X-Request-Id": "slipway-replay-" + uuid.uuid4().hex}
        door.request("POST", "/predict", rows[number % len(rows)], name)
        door.getresponse().read()
    except (OSError, http.client.HTTPException):
        door.close()
"""
"""What fails is counted by the service that failed."""


class Watched(NamedTuple):
    """A host: how commands reach it, and where its service answers there."""

    ssh: Sequence[str]
    url: str


def bake(
    new: Mapping[str, Watched],
    old: Mapping[str, Watched],
    settings: Bake,
    rows: Sequence[Mapping[str, Any]],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Verdict:
    """Look at the hosts again and again, until one thing is proven or the time is over.

    Where that proves nothing, for want of traffic or of metrics, all hosts are asked the same rows, and that decides;
    again where not enough of it has counted yet.

    Args:
        new: Hosts with the release that is being rolled out.
        old: Hosts with the one before.
        settings: How long, how often, and what may differ.
        rows: Requests that both releases can answer, to be asked again and again.
        clock: Monotonic seconds.
        sleep: Lets seconds pass.
    """
    looks = [_look(new, old, clock)]
    while True:
        sleep(settings.look_seconds)
        looks.append(_look(new, old, clock))
        verdict = judge(looks, settings)
        if verdict.decision is Decision.ABORT:
            return verdict
        if looks[-1].at - looks[0].at >= settings.seconds:
            break
    until = clock() + _REPLAY_SECONDS
    for number in range(_REPLAYS):
        if verdict.decision is not Decision.INCONCLUSIVE or (number and not _lacks_data_only(verdict)):
            break
        replay = partial(
            _replay, rows=rows, count=settings.minimum_requests, seconds=max(1.0, until - clock())
        )
        asked = _on_all([*new.values(), *old.values()], replay)
        looks.append(_look(new, old, clock))
        verdict = judge(looks, settings)
        if asked.count(_REPLAYED) < len(asked):
            break
    return verdict


def _lacks_data_only(verdict: Verdict) -> bool:
    """Whether more of the same could help: a suspicion that came from traffic is not to be diluted."""
    states = [row.state for row in verdict.rows]
    return State.NO_DATA in states and State.SUSPECT not in states


def _look(new: Mapping[str, Watched], old: Mapping[str, Watched], clock: Callable[[], float]) -> Look:
    at, hosts = clock(), {**new, **old}
    readings = dict(zip(hosts, _on_all(list(hosts.values()), _read), strict=True))
    return Look(at, {name: readings[name] for name in new}, {name: readings[name] for name in old})


def _on_all(hosts: Sequence[Watched], act: Callable[[Watched], Reading]) -> list[Reading]:
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        return list(pool.map(act, hosts))


def _read(host: Watched) -> Reading:
    said = _run(host, _READ, [], "", _SECONDS)
    return measure.read(said) if isinstance(said, str) else said


def _replay(host: Watched, rows: Sequence[Mapping[str, Any]], count: int, seconds: float) -> Reading:
    """Ask a host `count` times; what it made of that, its own metrics tell."""
    said = _run(host, _REPLAY, [str(count)], json.dumps(list(rows)), seconds)
    return _REPLAYED if isinstance(said, str) else said


def _run(host: Watched, code: str, arguments: Sequence[str], text: str, seconds: float) -> str | NoData:
    command = shlex.join(["python3", "-c", code, host.url, *arguments])
    try:
        done = subprocess.run(
            [*host.ssh, command], input=text, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return NoData(f"did not answer in {seconds:g} s")
    if done.returncode:
        return NoData((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout
