"""Reads what one host's service counts of itself: the text of `/metrics` as a typed snapshot.

Metrics that cannot be read or make no sense are `NoData` with the reason, so that a caller has to say what that means.
"""

from collections.abc import Iterable, Mapping
from math import inf, isfinite, isnan
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pydantic import ValidationError

from slipway.serving.release import ReleaseRecord

_PATH = "/predict"


class NoData(NamedTuple):
    """Nothing is known, and why."""

    reason: str


class Moments(NamedTuple):
    """Values in [0, 1], one a request, and their sum."""

    requests: float = 0.0
    total: float = 0.0


class Histogram(NamedTuple):
    """Seconds to answer; empty before the first request."""

    edges: tuple[float, ...] = ()
    """Upper edges of the buckets, inclusive and ascending; the last is infinite."""
    cumulative: tuple[float, ...] = ()
    """Requests that took at most so long."""


class Snapshot(NamedTuple):
    """A process's counters at one moment; requests are those of `/predict`."""

    record: ReleaseRecord
    started: float | None
    """Unix seconds by the host's clock: tells processes apart, and is no time to reckon with."""
    statuses: Mapping[str, float]
    """Requests answered, by HTTP status."""
    decisions: Mapping[str, float]
    """Rows predicted, by label."""
    seconds: Histogram
    scores: Moments
    """Of each request, its rows' mean probability of the positive label."""
    positives: Moments
    """Of each request, the share of its rows that were positive."""
    memory: float | None
    """Resident bytes; None where the host cannot tell (macOS)."""
    differing: Moments = Moments()
    """Of each request that a shadow was asked too, the share of rows that this decides otherwise."""
    difference: Moments = Moments()
    """Likewise, the mean difference of probabilities."""


Reading = Snapshot | NoData


class _NonsenseError(ValueError):
    """The metrics parse, but are not a service's."""


def read(text: str) -> Reading:
    """A snapshot from the text of `/metrics`, in Prometheus' text format.

    That text has no end mark: the caller must have made sure that the answer came whole (status 200, all of its
    content length).
    """
    try:
        families = list(text_string_to_metric_families(text))
    except Exception as error:  # noqa: BLE001 - the parser raises whatever its string handling runs into
        return NoData(f"not in Prometheus' text format: {error!r}")
    samples: dict[str, list[Sample]] = {}
    for sample in (sample for family in families for sample in family.samples):
        samples.setdefault(sample.name, []).append(sample)
    try:
        return _snapshot(samples)
    except _NonsenseError as error:
        return NoData(str(error))


def _snapshot(samples: Mapping[str, list[Sample]]) -> Snapshot:
    predict = {
        name: [sample for sample in of_name if sample.labels.get("path") == _PATH]
        for name, of_name in samples.items()
    }
    memory = _gauge(samples, "process_resident_memory_bytes")
    return Snapshot(
        record=_record(samples.get("slipway_release", [])),
        started=_gauge(samples, "process_start_time_seconds"),
        statuses=_by(predict.get("slipway_requests_total", []), "status"),
        decisions=_by(samples.get("slipway_predictions_total", []), "label"),
        seconds=_histogram(predict.get("slipway_request_seconds_bucket", [])),
        scores=_moments(samples, "slipway_request_score"),
        positives=_moments(samples, "slipway_request_positives"),
        memory=memory,
        differing=_moments(samples, "slipway_shadow_differing"),
        difference=_moments(samples, "slipway_shadow_difference"),
    )


def _record(samples: list[Sample]) -> ReleaseRecord:
    if len(samples) != 1:
        raise _NonsenseError(f"slipway_release is there {len(samples)} times, not once")
    try:
        return ReleaseRecord(**samples[0].labels)
    except ValidationError as error:
        raise _NonsenseError(
            f"slipway_release does not name a release: {error.errors()[0]['loc']}"
        ) from error


def _by(samples: Iterable[Sample], label: str) -> dict[str, float]:
    return {sample.labels.get(label, ""): _counted(sample) for sample in samples}


def _counted(sample: Sample) -> float:
    if not isfinite(sample.value) or sample.value < 0:
        raise _NonsenseError(f"{sample.name} is {sample.value}, which is no count")
    return sample.value


def _gauge(samples: Mapping[str, list[Sample]], name: str) -> float | None:
    found = samples.get(name, [])
    return None if len(found) != 1 or isnan(found[0].value) else _counted(found[0])


def _moments(samples: Mapping[str, list[Sample]], name: str) -> Moments:
    count, total = (_by(samples.get(f"{name}_{part}", []), "").get("", 0.0) for part in ("count", "sum"))
    if total > count * (1 + 1e-6):
        raise _NonsenseError(f"{name} has a mean of {total / count if count else inf:g}, which is above 1")
    return Moments(count, total)


def _histogram(samples: Iterable[Sample]) -> Histogram:
    try:
        found = sorted((float(sample.labels["le"]), _counted(sample)) for sample in samples)
    except (KeyError, ValueError) as error:
        raise _NonsenseError(f"slipway_request_seconds is no histogram: {error!r}") from error
    histogram = Histogram(tuple(edge for edge, _ in found), tuple(count for _, count in found))
    if found and (histogram.edges[-1] != inf or list(histogram.cumulative) != sorted(histogram.cumulative)):
        raise _NonsenseError("slipway_request_seconds is no histogram: its counts do not add up")
    return histogram
