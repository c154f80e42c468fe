"""What a host of `local` says of itself: the folder's links and log, and the process behind the front door."""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pydantic import ValidationError

from slipway.bundle import Bundle
from slipway.errors import Refused
from slipway.fleet import door
from slipway.serving.release import BUNDLE, RECORD, ReleaseRecord
from slipway.serving.server import LIVE

LOG = "releases.jsonl"
_ASK_SECONDS = 3.0


class Entry(NamedTuple):
    """A line of the host's release log."""

    at: str
    action: str
    by: str
    record: ReleaseRecord
    desired: int = 0
    """Number of the desired state that it was brought to; 0 for a candidate, of which git knows nothing."""


class Report(NamedTuple):
    """What a host says of itself."""

    slot: str
    """The live one, by the host's links; empty before the first roll-out."""
    live: ReleaseRecord | None
    installed: dict[str, ReleaseRecord]
    """By label; what is there but not whole is left out."""
    log: list[Entry]
    answers: ReleaseRecord | None
    """By the live slot's own process."""
    damaged: tuple[str, ...] = ()
    """Labels of what is there but not whole."""
    faults: tuple[str, ...] = ()
    """What is not as a roll-out left it, a sentence each."""
    baseline: str = ""
    """Digest of the baseline that `provision` brought it to last; empty where it never has."""


def report(home: Path, answers: ReleaseRecord | None = None) -> Report:
    """What this machine says of itself, by its folder."""
    slot, found = live(home) or ("", None)
    return Report(slot, found, installed(home), log(home), answers)


def told(found: Mapping[str, Any]) -> Report:
    """What another machine says of itself: what the module `model_server_facts` returns as `report`."""
    records = {label: record(each) for label, each in found["installed"].items()}
    return Report(
        found["slot"],
        record(found["live"]),
        {label: each for label, each in records.items() if each},
        entries(found["log"]),
        record(found["answers"]),
        tuple(found["damaged"]),
        tuple(found["faults"]),
        found["baseline"],
    )


def record(found: Mapping[str, Any] | None) -> ReleaseRecord | None:
    """The identity in what a file or a process says, which may say more; None where there is none."""
    try:
        return ReleaseRecord(**{key: (found or {})[key] for key in ReleaseRecord.model_fields})
    except (KeyError, ValidationError):
        return None


def log(home: Path) -> list[Entry]:
    """The release log, the oldest entry first; a line that a crash cut short does not count."""
    file = home / LOG
    return entries(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else []


def entries(text: str) -> list[Entry]:
    """The entries of a release log, the oldest first."""
    read = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
            at, action, by = found.pop("at"), found.pop("action"), found.pop("by")
            number = int(found.pop("desired", 0))
            read.append(Entry(at, action, by, ReleaseRecord(**found), number))
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
    return read


def installed(home: Path) -> dict[str, ReleaseRecord]:
    """The releases that are on the host, by label; one that is there but not whole, byte for byte, is left out."""
    found = {}
    for folder in sorted((home / "releases").glob("*")):
        try:
            record = ReleaseRecord.model_validate_json((folder / RECORD).read_bytes())
            Bundle(folder / BUNDLE)
        except (OSError, ValueError, Refused):
            continue
        if record.release == folder.name:
            found[folder.name] = record
    return found


def longest(reports: Mapping[str, Report]) -> list[Entry]:
    """The log of the host that remembers most: one that came later knows less."""
    return max((report.log for report in reports.values()), key=len, default=[])


def newest_state(reports: Mapping[str, Report], model: str) -> int:
    """The highest number of a desired state that a host has been brought to; 0 where none has."""
    entries = (entry for report in reports.values() for entry in report.log)
    return max((entry.desired for entry in entries if entry.record.model == model), default=0)


def is_candidate(label: str) -> bool:
    """Whether a label on a host is a candidate's, which git does not know, and no release's."""
    return "-candidate+" in label


def live(home: Path) -> tuple[str, ReleaseRecord] | None:
    """The live slot and its release, by the links; None before the first roll-out."""
    link = home / LIVE
    try:
        record = ReleaseRecord.model_validate_json((link.resolve() / RECORD).read_bytes())
        return link.readlink().name, record
    except (OSError, ValueError):
        return None


def asked(url: str, path: str) -> dict[str, Any] | None:
    """What the front door answers, or None where it does not."""
    try:
        with door.client(url, _ASK_SECONDS) as client:
            answer = client.get(path)
            answer.raise_for_status()
            found = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def before(log: Iterable[Entry], barred: Collection[str] = ()) -> ReleaseRecord | None:
    """The release to go back to: the one that was live before the current one was first deployed.

    A roll-back removes what it leaves, so that going back twice goes back two releases and not to and fro.

    Args:
        log: The oldest entry first.
        barred: Labels of releases that nobody goes back to: then it is the one before those.
    """
    stack: list[ReleaseRecord] = []
    for entry in log:
        if entry.action != "deploy" and entry.record in stack:
            while stack[-1] != entry.record:
                stack.pop()
        elif not stack or stack[-1] != entry.record:
            stack.append(entry.record)
    return next((record for record in reversed(stack[:-1]) if record.release not in barred), None)
