"""Simulated bakes: how often the analysis aborts a release that is no worse, and finds one that is.

The seeds are fixed. docs/decisions/0010 has the figures of more runs: `python -m bench.canary`.
"""

import pytest
from bench.canary import A_A, POOR, WORSE, Scenario, share, simulate

from slipway.fleet.analysis.verdict import Decision


def named(scenario: Scenario) -> str:
    return scenario.name


@pytest.mark.parametrize("scenario", A_A, ids=named)
def test_a_release_that_is_no_worse_is_aborted_no_more_often_than_declared(scenario: Scenario) -> None:
    runs = simulate(scenario, 60)

    assert share(runs, Decision.ABORT) <= scenario.bake.alpha
    if scenario.expected is Decision.PROMOTE:
        assert share(runs, Decision.PROMOTE) >= 0.9


@pytest.mark.parametrize("scenario", WORSE, ids=named)
def test_a_worse_release_is_never_promoted_and_found_where_the_record_says_so(scenario: Scenario) -> None:
    runs = simulate(scenario, 25)

    assert share(runs, Decision.PROMOTE) == 0
    if scenario.expected is Decision.ABORT:
        assert share(runs, Decision.ABORT) >= scenario.power


@pytest.mark.parametrize("scenario", POOR, ids=named)
def test_a_bake_without_traffic_is_inconclusive(scenario: Scenario) -> None:
    assert share(simulate(scenario, 10), Decision.INCONCLUSIVE) == 1
