"""Releases that failed by their own fault: tags that say why, and tags that lift what they say.

`quarantine/<model>/v1.2.0/<N>`: N decides, never a clock. No tag is ever removed, so all that was decided stays. GTO,
whose tags have an `@` or a single `#`, takes these for none of its own.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from slipway.errors import InputError, Refused
from slipway.release.create import releases
from slipway.release.git import OriginError, Repository, Tag, TagExistsError
from slipway.release.names import ReleaseName

_PREFIX = "quarantine"
_TITLE_LENGTH = 200


class Quarantine(NamedTuple):
    """A release that is not rolled out, and why."""

    release: ReleaseName
    reason: str
    at: datetime
    by: str

    def __str__(self) -> str:
        return f"{self.release.label} is in quarantine since {self.at:%Y-%m-%d %H:%M}, by {self.by}: {self.reason}"


def current(repository: Repository, model: str) -> dict[str, Quarantine]:
    """The releases that are in quarantine, by label."""
    newest: dict[ReleaseName, tuple[int, Tag]] = {}
    for tag in repository.tags(f"{_PREFIX}/{model}/*/*"):
        found = _parsed(tag.name, model)
        if found and found[1] > newest.get(found[0], (0, tag))[0]:
            newest[found[0]] = (found[1], tag)
    return {
        name.label: Quarantine(name, _reason(tag.message), tag.at, tag.by)
        for name, (_, tag) in sorted(newest.items())
        if _action(tag.message) == "quarantine"
    }


def refuse(repository: Repository, name: ReleaseName) -> None:
    """Raise Refused where a release is in quarantine."""
    if found := current(repository, name.model).get(name.label):
        raise Refused(
            str(found), next_command=f"slipway release --unquarantine {name.label}, once that is mended"
        )


def declare(
    repository: Repository,
    name: ReleaseName,
    environment: str,
    reason: str,
    now: datetime,
    *,
    shared: bool = False,
) -> Quarantine:
    """Write down that a release failed by its own fault; nothing is written where it is in quarantine already.

    Args:
        repository: Where.
        name: Of the release.
        environment: Where it failed.
        reason: How.
        now: Of the tag.
        shared: Whether the origin is told.

    Raises:
        OriginError: The origin cannot be told; it is in quarantine for this clone.
        GitError: Git cannot make the tag.
    """
    found = current(repository, name.model).get(name.label)
    if found is None:
        _bar(repository, name, environment, reason, now)
    if shared:
        share(repository, name.model)
        # Others may have barred it, and let it go again, before it failed here.
        if name.label not in current(repository, name.model):
            return declare(repository, name, environment, reason, now, shared=True)
    return current(repository, name.model)[name.label]


def _bar(repository: Repository, name: ReleaseName, environment: str, reason: str, now: datetime) -> None:
    said = " ".join(reason.split())
    title = said if len(said) <= _TITLE_LENGTH else f"{said[:_TITLE_LENGTH]}..."
    body = f"Action: quarantine\nRelease: {name.label}\nEnvironment: {environment}\n\n{reason}"
    # Somebody else may have seen it fail at the same time.
    with suppress(TagExistsError):
        _write(repository, name, f"{title}\n\n{body}", now)


def lift(repository: Repository, name: ReleaseName, now: datetime, *, shared: bool = False) -> Quarantine:
    """Let a release be rolled out again, by a tag beside the one that barred it; returns what is lifted.

    Args:
        repository: Where.
        name: Of the release.
        now: Of the tag.
        shared: Whether the origin is asked first, and told.

    Raises:
        InputError: There is no such release, or it is not in quarantine.
        OriginError: The origin cannot be asked, or told; then nothing is lifted here either.
        GitError: Git cannot make the tag.
    """
    if shared:
        repository.fetch_tags()
    barred = current(repository, name.model)
    found = barred.get(name.label)
    if found is None:
        there = ", ".join(barred) or "none"
        raise InputError(
            f"{name.label} is not in quarantine; there are: {there}",
            next_command=f"git tag --list '{_PREFIX}/*'",
        )
    message = f"Lift the quarantine of {name.label}\n\nAction: lift\nRelease: {name.label}\n\nIt was: {found.reason}"
    tag = _write(repository, name, message, now)
    if shared:
        try:
            share(repository, name.model)
        except OriginError:
            repository.remove_tag(tag)
            raise
    return found


def share(repository: Repository, model: str) -> None:
    """Tell the origin what is in quarantine, and what no longer is; where it has been told the same by others, theirs stays.

    Raises:
        GitError: It cannot be told.
    """
    try:
        _publish(repository, model)
    except TagExistsError:
        # A number that stands for two tags would bar this clone from all that the origin learns later.
        repository.take_over(f"{_PREFIX}/{model}/*")
        _publish(repository, model)


def _publish(repository: Repository, model: str) -> None:
    if names := [tag.name for tag in repository.tags(f"{_PREFIX}/{model}/*/*")]:
        repository.publish(names)


def _write(repository: Repository, name: ReleaseName, message: str, now: datetime) -> str:
    numbered = [
        (found[1], tag)
        for tag in repository.tags(f"{_PREFIX}/{name.model}/{name.label}/*")
        if (found := _parsed(tag.name, name.model))
    ]
    number, newest = max(numbered, key=lambda each: each[0], default=(0, None))
    commit = _commit(repository, name, releases(repository, name.model))
    tag = f"{_PREFIX}/{name.model}/{name.label}/{number + 1}"
    repository.tag(tag, commit, message, now, newest.at if newest else None)
    return tag


def _commit(repository: Repository, name: ReleaseName, known: Mapping[ReleaseName, Tag]) -> str:
    return known[name].commit if name in known else repository.head()


def _parsed(tag: str, model: str) -> tuple[ReleaseName, int] | None:
    """The release and the number of a tag, or None where it is none of these."""
    match = re.fullmatch(rf"{_PREFIX}/{re.escape(model)}/(v[0-9.]+)/([1-9][0-9]*)", tag)
    name = ReleaseName.from_tag(f"{model}@{match[1]}", model) if match else None
    return (name, int(match[2])) if match and name else None


def _action(message: str) -> str:
    said = re.search(r"^Action: (\w+)$", message, re.MULTILINE)
    return said[1] if said else "quarantine"


def _reason(message: str) -> str:
    return message.splitlines()[0] if message else "nobody says why"
