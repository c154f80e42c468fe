"""Adds up what the looks at a fleet show: one change for the new hosts, one for the old, and memory by window."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from slipway.fleet.analysis.change import Change, difference, total
from slipway.fleet.analysis.measure import NoData, Reading, Snapshot


class Look(NamedTuple):
    """What the hosts' metrics said at one moment."""

    at: float
    """Seconds, by the controller's monotonic clock."""
    new: Mapping[str, Reading]
    """Readings of the hosts with the new release, by host."""
    old: Mapping[str, Reading]


class Side(NamedTuple):
    """What happened on some hosts between the first look and the last."""

    change: Change = Change()
    hosts: int = 0
    """Of how many something is known."""
    silent: Mapping[str, str] = {}
    """Of which hosts the newest is not known, and why."""
    rates: tuple[float | None, ...] = ()
    """Growth of a process in bytes a second, the mean of hosts, for each look but the first."""


class Tally(NamedTuple):
    """What the analysis is about."""

    seconds: float
    """From the first look to the last."""
    new: Side
    old: Side

    @property
    def windows(self) -> list[tuple[float, float]]:
        """Growth in bytes a second, (new, old), for each time between looks in which both are known."""
        pairs = zip(self.new.rates, self.old.rates, strict=True)
        return [(new, old) for new, old in pairs if new is not None and old is not None]


class _Host(NamedTuple):
    changes: list[Change]
    rates: list[float | None]
    silence: str | None


def tally(looks: Sequence[Look]) -> Tally:
    """Add up looks, in the order of time.

    A reading that failed loses nothing if a later one succeeds: counters go on counting.
    """
    seconds = looks[-1].at - looks[0].at if looks else 0.0
    new = _side([(look.at, look.new) for look in looks])
    return Tally(seconds, new, _side([(look.at, look.old) for look in looks]))


def _side(looks: Sequence[tuple[float, Mapping[str, Reading]]]) -> Side:
    names = dict.fromkeys(name for _, readings in looks for name in readings)
    hosts = {
        name: _followed([(at, readings.get(name, NoData("was not asked"))) for at, readings in looks])
        for name in names
    }
    return Side(
        change=total(change for host in hosts.values() for change in host.changes),
        hosts=sum(bool(host.changes) for host in hosts.values()),
        silent={name: host.silence for name, host in hosts.items() if host.silence is not None},
        rates=tuple(_mean(host.rates[window] for host in hosts.values()) for window in range(len(looks) - 1)),
    )


def _followed(readings: Sequence[tuple[float, Reading]]) -> _Host:
    """One host from look to look; what is compared is always the last reading that succeeded."""
    host = _Host([], [], "was asked only once")
    before, since = readings[0][1], readings[0][0]
    for at, reading in readings[1:]:
        change = difference(before, reading)
        if isinstance(change, Change):
            rate = None if change.memory is None or at <= since else change.memory / (at - since)
            host = _Host([*host.changes, change], [*host.rates, rate], None)
        else:
            host = _Host(host.changes, [*host.rates, None], change.reason)
        if isinstance(reading, Snapshot):
            before, since = reading, at
    return host


def _mean(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return fmean(known) if known else None
