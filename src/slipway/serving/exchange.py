"""A request to `/predict` and what came of it, for those who take note of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from prometheus_client.registry import Collector

from slipway.scorer import Prediction


class Exchange(NamedTuple):
    """A request at the front door."""

    at: float
    """Unix seconds."""
    request: str
    """Its id."""
    release: str
    body: bytes
    """As it was sent."""
    inputs: Sequence[Mapping[str, Any]]
    """The rows as they were checked; none where the request was refused."""
    predictions: Sequence[Prediction]
    """The answers to them."""


class Witness(Protocol):
    """Somebody who takes note of exchanges; whatever comes of that, the answer is on its way."""

    @property
    def metrics(self) -> Sequence[Collector]:
        """What it counts."""

    def add(self, exchange: Exchange) -> None:
        """Take note, without waiting for anything."""
