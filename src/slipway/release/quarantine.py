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
from slipway.release import chain
from slipway.release.create import releases
from slipway.release.git import OriginError, Repository, Tag, TagExistsError
from slipway.release.names import ReleaseName, count, following

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


def current(repository: Repository, model: str, *, sealed: bool = False) -> dict[str, Quarantine]:
    """The releases that are in quarantine, by label.

    Args:
        repository: Where.
        model: Whose releases.
        sealed: Whether only tags count that are signed by somebody who may, where the repository says who.
    """
    return _barred(repository, f"{_PREFIX}/{model}/*/*", model, sealed=sealed)


def refuse(repository: Repository, name: ReleaseName, *, sealed: bool = False) -> None:
    """Raise Refused where a release is in quarantine."""
    barred = _barred(repository, f"{_PREFIX}/{name.model}/{name.label}/*", name.model, sealed=sealed)
    if found := barred.get(name.label):
        raise Refused(
            str(found), next_command=f"slipway release --unquarantine {name.label}, once that is mended"
        )


def _barred(repository: Repository, pattern: str, model: str, *, sealed: bool) -> dict[str, Quarantine]:
    """What the newest tags of each release say, of those that count."""
    newest: dict[ReleaseName, Tag] = {}
    numbered = [(*found, tag) for tag in repository.tags(pattern) if (found := _parsed(tag.name, model))]
    for name, _, tag in sorted(numbered, key=lambda each: each[:2], reverse=True):
        if name not in newest and not (sealed and chain.is_forged(repository, tag.name)):
            newest[name] = tag
    return {
        name.label: Quarantine(name, _reason(tag.message), tag.at, tag.by)
        for name, tag in sorted(newest.items())
        if _action(tag.message) == "quarantine"
    }


def declare(
    repository: Repository,
    name: ReleaseName,
    environment: str,
    reason: str,
    now: datetime,
    *,
    shared: bool = False,
    sealed: bool = False,
) -> Quarantine:
    """Write down that a release failed by its own fault; nothing is written where it is in quarantine already.

    Args:
        repository: Where.
        name: Of the release.
        environment: Where it failed.
        reason: How.
        now: Of the tag.
        shared: Whether the origin is told.
        sealed: Whether the tag must be signed by somebody who may, where the repository says who.

    Raises:
        OriginError: The origin cannot be told; it is in quarantine for this clone.
        Refused: Nobody who may has signed it.
        GitError: Git cannot make the tag.
    """
    found = current(repository, name.model, sealed=sealed).get(name.label)
    if found is None:
        _bar(repository, name, environment, reason, now, sealed=sealed)
    if shared:
        share(repository, name.model)
        # Others may have barred it, and let it go again, before it failed here.
        if name.label not in current(repository, name.model, sealed=sealed):
            return declare(repository, name, environment, reason, now, shared=True, sealed=sealed)
    return current(repository, name.model, sealed=sealed)[name.label]


def _bar(
    repository: Repository, name: ReleaseName, environment: str, reason: str, now: datetime, *, sealed: bool
) -> None:
    said = " ".join(reason.split())
    title = said if len(said) <= _TITLE_LENGTH else f"{said[:_TITLE_LENGTH]}..."
    body = f"Action: quarantine\nRelease: {name.label}\nEnvironment: {environment}\n\n{reason}"
    # Somebody else may have seen it fail at the same time.
    with suppress(TagExistsError):
        _write(repository, name, f"{title}\n\n{body}", now, sealed=sealed)


def lift(repository: Repository, name: ReleaseName, now: datetime, *, shared: bool = False) -> Quarantine:
    """Let a release be rolled out again, by a tag beside the one that barred it; returns what is lifted.

    What bars it everywhere is lifted by a tag that counts everywhere; what only `local` knows of, by any.

    Args:
        repository: Where.
        name: Of the release.
        now: Of the tag.
        shared: Whether the origin is asked first, and told.

    Raises:
        InputError: There is no such release, or it is not in quarantine.
        Refused: Nobody who may has signed it; then nothing is lifted.
        OriginError: The origin cannot be asked, or told; then nothing is lifted here either.
        GitError: Git cannot make the tag.
    """
    if shared:
        repository.fetch_tags()
    counting = current(repository, name.model, sealed=True)
    barred = current(repository, name.model) | counting
    found = barred.get(name.label)
    if found is None:
        there = ", ".join(barred) or "none"
        raise InputError(
            f"{name.label} is not in quarantine; there are: {there}",
            next_command=f"git tag --list '{_PREFIX}/*'",
        )
    message = f"Lift the quarantine of {name.label}\n\nAction: lift\nRelease: {name.label}\n\nIt was: {found.reason}"
    tag = _write(repository, name, message, now, sealed=name.label in counting)
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


def _write(repository: Repository, name: ReleaseName, message: str, now: datetime, *, sealed: bool) -> str:
    series = f"{_PREFIX}/{name.model}/{name.label}"
    known = [_parsed(tag, name.model) for tag in repository.taken(f"{series}/*")]
    number = max((found[1] for found in known if found), default=0)
    commit = _commit(repository, name, releases(repository, name.model))
    tag = f"{series}/{following(number, f'{series}/')}"
    earlier = repository.tags(f"{series}/*")
    after = (
        chain.last_date(repository, earlier) if sealed else max((each.at for each in earlier), default=None)
    )
    repository.tag(tag, commit, message, now, after)
    if sealed:
        chain.seal(repository, tag)
    return tag


def _commit(repository: Repository, name: ReleaseName, known: Mapping[ReleaseName, Tag]) -> str:
    return known[name].commit if name in known else repository.head()


def _parsed(tag: str, model: str) -> tuple[ReleaseName, int] | None:
    """The release and the number of a tag, or None where it is none of these."""
    match = re.fullmatch(rf"{_PREFIX}/{re.escape(model)}/(v[0-9.]+)/([0-9]+)", tag)
    name = ReleaseName.from_tag(f"{model}@{match[1]}", model) if match else None
    number = count(match[2]) if match else None
    return (name, number) if name and number else None


def _action(message: str) -> str:
    said = re.search(r"^Action: (\w+)$", message, re.MULTILINE)
    return said[1] if said else "quarantine"


def _reason(message: str) -> str:
    return message.splitlines()[0] if message else "nobody says why"
