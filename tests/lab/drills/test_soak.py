"""`make drills SOAK=N`: N faults at random, with deploys and roll-backs between them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.lab.drills import soak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.drills.site import Site
    from tests.lab.drills.soak import Step


@pytest.mark.timeout(0)
@pytest.mark.soak
def test_whatever_happens_the_fleet_comes_to_one_release(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    count = int(request.config.getoption("--soak", default=0))
    seed = int(request.config.getoption("--soak-seed") or random.randrange(10**6))  # noqa: S311 - no secret
    site: Site = request.getfixturevalue("site")
    steps = soak.planned(seed, count)
    with capsys.disabled():
        print(f"\nseed {seed}:", *steps, sep="\n  ")  # noqa: T201 - for the person who waits
    found = soak.problem(site, steps)
    if found:
        short = soak.shortest(steps, lambda fewer: bool(soak.problem(site, fewer)))
        pytest.fail(f"seed {seed}: {found}\nthe shortest sequence that fails: {short}", pytrace=False)


def test_a_failing_sequence_is_made_as_short_as_it_can_be() -> None:
    steps = soak.planned(7, 8)
    needed = {steps[2], steps[5]}

    def fails(sequence: Sequence[Step]) -> bool:
        return needed <= set(sequence)

    assert soak.shortest(steps, fails, tries=100) == [steps[2], steps[5]]
    assert soak.planned(7, 3) == steps[:3]
