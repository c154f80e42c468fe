"""The gatekeeper first, then ever larger parts, and nobody left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.fleet.batches import Size, batches

HOSTS = [f"host-{number}" for number in range(1, 9)]
SIZES = st.lists(st.one_of(st.integers(1, 20), st.integers(0, 100).map("{}%".format)), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("hosts", "sizes", "lengths"),
    [
        (1, (1, "50%", "100%"), [1]),
        (2, (1, "50%", "100%"), [1, 1]),
        (3, (1, "50%", "100%"), [1, 1, 1]),
        (4, (1, "50%", "100%"), [1, 1, 2]),
        (8, (1, "50%", "100%"), [1, 3, 4]),
        (8, ("25%",), [8]),
        (8, (1,), [8]),
        (8, (2, 2, "100%"), [2, 6]),
        (5, ("10%", "100%"), [1, 4]),
        (0, (1, "100%"), []),
    ],
)
def test_a_size_says_how_far_a_batch_goes(hosts: int, sizes: tuple[Size, ...], lengths: list[int]) -> None:
    assert [len(batch) for batch in batches(HOSTS[:hosts], sizes)] == lengths


@given(st.integers(0, 8), SIZES)
def test_every_host_changes_once_and_in_order(hosts: int, sizes: list[Size]) -> None:
    found = batches(HOSTS[:hosts], sizes)
    assert [host for batch in found for host in batch] == HOSTS[:hosts]
    assert all(found)
