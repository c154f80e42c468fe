"""What was live at a moment: since when, until when, by whom, why, and with which data."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from slipway.errors import InputError
from slipway.fleet import report
from slipway.fleet.context import Context
from slipway.fleet.host import Entry, is_candidate
from slipway.release import pins, quarantine
from slipway.release.create import releases
from slipway.serving.release import ReleaseRecord

_SOON = timedelta(minutes=10)
"""A release that is taken back is barred when the hosts have gone back."""


class Moment(NamedTuple):
    """What was live then."""

    record: ReleaseRecord
    since: str
    """ISO 8601, UTC, as the hosts' release log has it."""
    until: str | None
    """When the next one went live; None where it still is."""
    action: str
    by: str
    why: str
    data: str | None
    """Digest of the data it was made of; None where git does not know the commit, or the bundle is not the commit's."""


def instant(text: str) -> datetime:
    """A time as people write it, in UTC where they name no offset.

    Raises:
        InputError: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is no time; expected 2026-03-03T14:00, which is in UTC, or 2026-03-03T14:00+01:00"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def at(context: Context, when: datetime) -> Moment | None:
    """What was live on an environment at a moment, by the host that remembers most; None before the first release.

    Raises:
        MachineError: No host can be reached.
    """
    entries = report.history(context)  # the latest first
    index = next((number for number, entry in enumerate(entries) if _time(entry) <= when), None)
    if index is None:
        return None
    entry = entries[index]
    return Moment(
        entry.record,
        entry.at,
        entries[index - 1].at if index else None,
        entry.action,
        entry.by,
        _why(context, entries[index:]),
        _data(context, entry.record),
    )


def _time(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.at)


def _why(context: Context, entries: Sequence[Entry]) -> str:
    """For a deploy, what the release says of itself; for another action, what was wrong with the one before."""
    entry, before = entries[0], next(iter(entries[1:]), None)
    repository, model = context.environment.repository, entry.record.model
    if is_candidate(entry.record.release):
        return "a candidate, of a work tree"
    if entry.action == "deploy":
        tags = {name.label: tag for name, tag in releases(repository, model).items()}
        tag = tags.get(entry.record.release)
        return tag.message.partition("\n")[0] if tag else "git has no such release any more"
    sealed = context.environment.is_sealed
    barred = before and quarantine.current(repository, model, sealed=sealed).get(before.record.release)
    # One that came later is no reason of this.
    if before and barred and barred.at <= _time(entry) + _SOON:
        return f"back from {before.record.release}: {barred.reason}"
    return f"back from {before.record.release}" if before else entry.action


def _data(context: Context, record: ReleaseRecord) -> str | None:
    try:
        found = pins.at(context.environment.repository, record.commit, record.model)
    except InputError:
        return None
    return found.data if found.bundle.sha256 == record.bundle else None
