"""What the lab's cloud makes of the answers of AWS; nothing here needs a host."""

from __future__ import annotations

import pytest
from lab.cloud import Target, in_proportion


@pytest.mark.parametrize(
    ("shares", "weights"),
    [
        ({"a": 840, "b": 840, "c": 840}, {"a": 100, "b": 100, "c": 100}),
        ({"a": 8400, "b": 84}, {"a": 100, "b": 1}),
        ({"a": 840, "b": 0}, {"a": 100, "b": 0}),
        ({"a": 100_000, "b": 1}, {"a": 100, "b": 1}),
        ({"a": 0, "b": 0}, {"a": 0, "b": 0}),
        ({}, {}),
    ],
    ids=["equal", "a hundredth", "drained", "small, but not nothing", "all drained", "none"],
)
def test_shares_of_traffic_keep_their_proportions(shares: dict[str, int], weights: dict[str, int]) -> None:
    found = in_proportion({name: Target("10.0.0.1", 80, share) for name, share in shares.items()})
    assert {name: target.weight for name, target in found.items()} == weights
