"""In which order the hosts of a fleet change: the gatekeeper first, then ever larger parts."""

import math
from collections.abc import Sequence

Size = int | str
"""How far a batch goes: so many hosts of the fleet, or such a part of it, as `"50%"`."""


def batches(hosts: Sequence[str], sizes: Sequence[Size]) -> list[list[str]]:
    """Divide the hosts, each batch going as far as its size says, counted from the first host.

    Args:
        hosts: Names, in the order in which they change; the first one is the gatekeeper.
        sizes: As `[1, "50%", "100%"]`: one host; then up to half of them; then all. What is left at the end
            changes with the last batch.

    Returns:
        The hosts of each batch that is not empty.
    """
    ends = [min(len(hosts), _end(size, len(hosts))) for size in sizes]
    ends = [*ends[:-1], len(hosts)]
    found, start = [], 0
    for end in ends:
        if end > start:
            found.append(list(hosts[start:end]))
            start = end
    return found


def _end(size: Size, hosts: int) -> int:
    return size if isinstance(size, int) else math.ceil(hosts * float(size.rstrip("% ")) / 100)
