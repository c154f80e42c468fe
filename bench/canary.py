"""Prints how often the analysis of a bake aborts and promotes what: `python -m bench.canary [--runs N]`.

The figures of docs/decisions/0010. Every run is a whole simulated bake with a look every `look_seconds`.
"""

import argparse
from statistics import median
from typing import NamedTuple

import numpy as np

from bench.simulated import Release, Run, Traffic, run
from slipway.fleet.analysis.bake import Bake, Limits
from slipway.fleet.analysis.verdict import Decision

SEED = 20261121
SAME = Release()
NO_LIMITS = Limits(errors=0, refusals=0, p50=1, p99=1, positives=0, score=0, memory=0)
"""Any proven difference aborts: this shows the rate of the test itself, which limits would hide."""


class Scenario(NamedTuple):
    """A new release beside the old, and what should come of it."""

    name: str
    expected: Decision
    new: Release = SAME
    traffic: Traffic = Traffic()
    bake: Bake = Bake()
    power: float = 0.95
    """Where an abort is expected: in at least this share of the runs."""


A_A = (
    Scenario("the same release", Decision.PROMOTE, Release(warm_up=20e6)),
    Scenario("the same, while traffic changes", Decision.PROMOTE, traffic=Traffic(swing=0.5)),
    Scenario(
        "effects at their limits",
        Decision.INCONCLUSIVE,
        # A lean of 8 % adds 0.05 to the share of positives, and 0.045 to the mean score.
        Release(errors=0.006, refusals=0.03, median_seconds=0.004, lean=0.0795, leak=200_000),
    ),
    Scenario("the same, every limit 0", Decision.INCONCLUSIVE, bake=Bake(limits=NO_LIMITS)),
    Scenario(
        "the same, every limit 0, alpha 0.2", Decision.INCONCLUSIVE, bake=Bake(limits=NO_LIMITS, alpha=0.2)
    ),
)
"""Here an abort is a false one."""

WORSE = (
    Scenario("errors 0.1 % -> 1 %, twice the limit", Decision.INCONCLUSIVE, Release(errors=0.01)),
    Scenario("errors 0.1 % -> 2 %", Decision.ABORT, Release(errors=0.02)),
    Scenario("refusals 1 % -> 10 %", Decision.ABORT, Release(refusals=0.10)),
    Scenario("p99 x5 by 2 % of the requests", Decision.ABORT, Release(slow=0.02)),
    Scenario("all times x5", Decision.ABORT, Release(median_seconds=0.010)),
    Scenario("all times x4", Decision.ABORT, Release(median_seconds=0.008)),
    Scenario("all times x3, which the buckets blur", Decision.INCONCLUSIVE, Release(median_seconds=0.006)),
    Scenario("decisions +0.10, score +0.09", Decision.ABORT, Release(lean=0.159)),
    Scenario("decisions +0.20, score +0.18", Decision.ABORT, Release(lean=0.318)),
    Scenario("leak of 0.5 MB/s", Decision.ABORT, Release(leak=0.5e6), power=0.6),
    Scenario("leak of 1 MB/s", Decision.ABORT, Release(leak=1e6)),
)

POOR = (
    Scenario("no requests", Decision.INCONCLUSIVE, traffic=Traffic(0.0, 0.0)),
    Scenario("1 request/s to new hosts", Decision.INCONCLUSIVE, traffic=Traffic(1.0, 2.0)),
    Scenario("no requests to new hosts", Decision.INCONCLUSIVE, traffic=Traffic(new_rate=0.0)),
)


def simulate(scenario: Scenario, runs: int, seed: int = SEED) -> list[Run]:
    """That many bakes of a scenario."""
    random = np.random.default_rng(seed)
    return [run(random, scenario.new, SAME, scenario.traffic, scenario.bake) for _ in range(runs)]


def share(runs: list[Run], decision: Decision) -> float:
    return sum(each.verdict.decision is decision for each in runs) / len(runs)


def _row(scenario: Scenario, runs: list[Run]) -> str:
    aborted = [each.seconds for each in runs if each.verdict.decision is Decision.ABORT]
    shares = " | ".join(f"{share(runs, decision):.1%}" for decision in Decision)
    when = f"{median(aborted):.0f} s" if aborted else "-"
    return f"| {scenario.name} | {shares} | {when} | {scenario.expected} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="bakes for each line")
    runs = parser.parse_args().runs
    print(f"| new release | {' | '.join(Decision)} | median time to abort | expected |")
    print("|---|---|---|---|---|---|")
    for scenario in (*A_A, *WORSE, *POOR):
        print(_row(scenario, simulate(scenario, runs)), flush=True)


if __name__ == "__main__":
    main()
