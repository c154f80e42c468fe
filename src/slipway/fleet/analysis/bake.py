"""What an environment asks of a bake: how long, how sure, and how much worse a new release may be."""

from functools import cached_property
from itertools import count
from math import log
from typing import Self

from pydantic import Field, model_validator

from slipway.fleet.analysis.confidence import log_evidence
from slipway.params import Section


class Limits(Section):
    """The largest effect, new hosts against old, that nobody minds; only what is larger may abort a roll-out."""

    errors: float = Field(default=0.005, ge=0, le=1)
    """Share of requests answered 5xx: by how much it may be higher."""
    refusals: float = Field(default=0.02, ge=0, le=1)
    """Share of requests answered 4xx: by how much it may be higher."""
    p50: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    """Median time to answer: how many times the old."""
    p99: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    positives: float = Field(default=0.05, ge=0, le=1)
    """Share of positive decisions: by how much it may be higher or lower. Of a shadow, also the share of decisions
    that differ, request by request."""
    score: float = Field(default=0.05, ge=0, le=1)
    """Mean probability of the positive label: by how much it may be higher or lower. Of a shadow, also the mean size
    of the difference, request by request."""
    memory: float | None = Field(default=200_000.0, ge=0, allow_inf_nan=False)
    """Growth of a process in bytes a second, over that of the old; null where hosts cannot tell (macOS)."""
    restarts: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Restarts of a process a host, over those of the old. Counted and not estimated, so no share of `alpha`."""


class Bake(Section):
    """How long new hosts are watched beside old ones, and what is concluded from it.

    `alpha` bounds the probability that a release whose every effect is within its limit is aborted at any of all
    looks of one bake. It is shared out evenly to the metrics.
    """

    seconds: float = Field(default=300.0, gt=0, le=86_400)
    look_seconds: float = Field(default=10.0, gt=0)
    """From one look to the next. A process' memory grows in steps (CPython: of 1 MiB), so a window between looks in
    which a leak at its limit would not grow by one step shows no leak."""
    minimum_requests: int = Field(default=2_000, ge=1)
    """Of new and of old hosts, each: with fewer, a metric without proof is a metric without data."""
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    limits: Limits = Limits()

    @cached_property
    def alpha_of_each(self) -> float:
        """The false-abort rate of one metric: there are six, and memory."""
        return self.alpha / (6 if self.limits.memory is None else 7)

    @cached_property
    def minimum_windows(self) -> int:
        """How many windows between looks there must be before a leak in every one of them is proof."""
        return next(n for n in count(1) if log_evidence(0, n, 0.5) >= -log(self.alpha_of_each))

    @model_validator(mode="after")
    def _is_long_enough_to_show_a_leak(self) -> Self:
        windows = int(self.seconds / self.look_seconds)
        if self.limits.memory is not None and windows < self.minimum_windows:
            raise ValueError(
                f"`seconds` {self.seconds:g} hold {windows} looks `look_seconds` {self.look_seconds:g} apart; "
                f"a leak can be shown after {self.minimum_windows}"
            )
        return self
