"""Simulated bakes: hosts with stated error rates, times, scores and memory, looked at until the analysis decides."""

from collections.abc import Iterator
from functools import cache
from math import erf, inf, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipway.fleet.analysis.bake import Bake
from slipway.fleet.analysis.change import Change, total
from slipway.fleet.analysis.measure import Histogram, Moments
from slipway.fleet.analysis.tally import Side, Tally
from slipway.fleet.analysis.verdict import Verdict, decide
from slipway.serving.gate import SECONDS

Floats = npt.NDArray[np.float64]

SCORES: Floats = np.linspace(0.025, 0.975, 20)
POSITIVE: Floats = (SCORES >= 0.5).astype(np.float64)
STEP_BYTES = 2.0**20
"""In which CPython's memory grows."""


class Release(NamedTuple):
    """How a release behaves."""

    errors: float = 0.001
    refusals: float = 0.01
    median_seconds: float = 0.002
    """Of times that are log-normal; their p99 is 3.2 times that."""
    slow: float = 0.0
    """Share of the requests that take about `slow_seconds` instead."""
    slow_seconds: float = 0.032
    lean: float = 0.0
    """Share of the requests whose score is the highest instead of as ever: for a shift of scores and decisions."""
    leak: float = 0.0
    """Bytes a second."""
    warm_up: float = 0.0
    """Bytes by which a process grows in the first minute."""


class Traffic(NamedTuple):
    """What comes in."""

    new_rate: float = 67.0
    """Requests a second; 200 in all, to three hosts."""
    old_rate: float = 133.0
    swing: float = 0.0
    """Share of the requests that become sure positives and five times as slow from the bake's start to its end, on
    new and old hosts alike."""


class Run(NamedTuple):
    """How a bake ended, and after how many seconds."""

    verdict: Verdict
    seconds: float


def run(random: np.random.Generator, new: Release, old: Release, traffic: Traffic, bake: Bake) -> Run:
    """Look every `look_seconds` until the first abort or the end of the bake."""
    sides = zip(
        _looks(random, new, traffic.new_rate, traffic, bake),
        _looks(random, old, traffic.old_rate, traffic, bake),
        strict=True,
    )
    seen = Tally(0.0, Side(hosts=1), Side(hosts=1))
    for changes in sides:
        seconds = seen.seconds + bake.look_seconds
        parts = (_grown(side, change, bake) for side, change in zip(seen[1:], changes, strict=True))
        seen = Tally(seconds, *parts)
        verdict = decide(seen, bake)
        if verdict.decision == "abort":
            break
    return Run(verdict, seen.seconds)


def _grown(side: Side, change: Change, bake: Bake) -> Side:
    rate = None if change.memory is None else change.memory / bake.look_seconds
    return side._replace(change=total((side.change, change)), rates=(*side.rates, rate))


def _looks(
    random: np.random.Generator, release: Release, rate: float, traffic: Traffic, bake: Bake
) -> Iterator[Change]:
    looks = round(bake.seconds / bake.look_seconds)
    memory = _memory(random, release, looks, bake.look_seconds)
    for look in range(looks):
        swung = traffic.swing * look / looks
        requests = int(random.poisson(rate * bake.look_seconds))
        errors, refusals, answered = random.multinomial(
            requests, (release.errors, release.refusals, 1 - release.errors - release.refusals)
        )
        rows = random.multinomial(answered, _score_shares(1 - (1 - release.lean) * (1 - swung)))
        times = random.multinomial(requests, _time_shares(release, swung))
        yield Change(
            requests=float(requests),
            errors=float(errors),
            refusals=float(refusals),
            seconds=Histogram((*SECONDS, inf), tuple(np.cumsum(times).tolist())),
            scores=Moments(float(answered), float(rows @ SCORES)),
            positives=Moments(float(answered), float(rows @ POSITIVE)),
            memory=float(memory[look]),
        )


@cache
def _score_shares(sure: float) -> Floats:
    """A bimodal score, 37 % positive, of which the share `sure` is the highest instead."""
    shares = 0.63 * 0.75 ** np.arange(20) + 0.37 * 0.75 ** np.arange(20)[::-1]
    result: Floats = (1 - sure) * shares / shares.sum()
    result[-1] += sure
    return result


@cache
def _time_shares(release: Release, swung: float) -> Floats:
    median = release.median_seconds
    ordinary = 1 - release.slow
    parts = (
        (ordinary * (1 - swung), median, 0.5),
        (ordinary * swung, 5 * median, 0.5),
        (release.slow, release.slow_seconds, 0.1),
    )
    below = [
        sum(share * _normal(log(edge / middle) / sigma) for share, middle, sigma in parts) for edge in SECONDS
    ]
    shares: Floats = np.maximum(np.diff([0.0, *below, 1.0]), 0.0)
    normed: Floats = shares / shares.sum()
    return normed


def _normal(value: float) -> float:
    return (1 + erf(value / sqrt(2))) / 2


def _memory(random: np.random.Generator, release: Release, looks: int, seconds: float) -> Floats:
    """Growth between looks: leak and warm-up in whole steps, steps to and fro, and now and then a large request."""
    at = seconds * np.arange(looks + 1)
    steady = release.leak * at + release.warm_up * np.minimum(at / 60, 1) + STEP_BYTES * random.random()
    noise = STEP_BYTES * random.integers(0, 4, looks + 1)
    large = 50 * STEP_BYTES * (random.random(looks + 1) < 0.02)
    result: Floats = np.diff(np.floor(steady / STEP_BYTES) * STEP_BYTES + noise + large)
    return result
