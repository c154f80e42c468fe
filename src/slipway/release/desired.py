"""The desired state of an environment: the newest tag `<model>#<environment>#<N>`. N decides, never a clock."""

import re
from datetime import datetime
from typing import NamedTuple

from slipway.errors import InputError, Locked, Refused
from slipway.release import chain
from slipway.release.create import releases
from slipway.release.git import OriginError, Repository, Tag, TagExistsError
from slipway.release.names import DesiredName, ReleaseName


class Desired(NamedTuple):
    """What somebody decided an environment should run."""

    name: DesiredName
    release: ReleaseName
    commit: str
    action: str
    at: datetime
    by: str


def history(repository: Repository, model: str, environment: str) -> list[Desired]:
    """Every desired state of an environment, the first one first.

    Raises:
        Refused: A tag stands on a commit that is no release, or says a release that is none or elsewhere.
    """
    known = releases(repository, model)
    return [_read(name, tag, known) for name, tag in _found(repository, model, environment)]


def current(repository: Repository, model: str, environment: str) -> Desired | None:
    """What an environment should run, or None where nobody has said so."""
    found = _found(repository, model, environment)
    return _read(*found[-1], releases(repository, model)) if found else None


def declare(
    repository: Repository,
    environment: str,
    release: ReleaseName,
    action: str,
    now: datetime,
    *,
    shared: bool = False,
    sealed: bool = False,
    above: int = 0,
) -> Desired:
    """Write down that an environment should run a release; nothing is written where it should already.

    Args:
        repository: Where.
        environment: Whose desired state it is.
        release: What it should run.
        action: Why: deploy, rollback or abort.
        now: Of the tag.
        shared: Whether the origin is told, which decides who was first; the release's tag goes with it.
        sealed: Whether the tag must be signed by somebody whose tags count, where the repository says whose do.
        above: The number that the hosts have been brought to: newer tags than git's may have got lost.

    Raises:
        Locked: Somebody else declared the same number first.
        Refused: The release was declared before, and its tag has been moved since; or nobody whose tags count has signed.
        InputError: There is no such release.
        OriginError: The origin cannot be told; then nothing is written here either.
    """
    known = releases(repository, release.model)
    if release not in known:
        raise InputError(f"git has no release {release.tag}", next_command="git fetch --tags")
    newest = current(repository, release.model, environment)
    if (
        newest
        and newest.release == release
        and newest.name.number >= above
        and not (sealed and chain.is_forged(repository, newest.name.tag))
    ):
        if shared:
            repository.publish([release.tag, newest.name.tag])
        return newest
    _refuse_moved(repository, environment, release, known)
    name = DesiredName(release.model, environment, max(newest.name.number if newest else 0, above) + 1)
    commit = known[release].commit
    message = f"{action.capitalize()} {release.label} to {environment}\n\nAction: {action}\nRelease: {release.label}"
    # A tag of plain git may have a later date than one with a higher number, and a release a later one than both.
    after = max([known[release].at, *(tag.at for _, tag in _found(repository, release.model, environment))])
    try:
        repository.tag(name.tag, commit, message, now, after)
        if sealed:
            chain.seal(repository, name.tag)
        if shared:
            _share(repository, release, name)
    except TagExistsError as error:
        made = "".join(f"; {tag.by} made it on {tag.at:%Y-%m-%d %H:%M}" for tag in repository.tags(name.tag))
        if not made:
            raise Refused(
                f"{name.tag} exists as a lightweight tag, which says neither who wants what nor why",
                next_command=f"git tag --delete '{name.tag}', then the same command again",
            ) from error
        raise Locked(f"{name.tag} exists{made}", next_command=f"slipway status {environment}") from error
    written = current(repository, release.model, environment)
    assert written is not None  # noqa: S101 - for the type checker: it was written a moment ago
    return written


def _share(repository: Repository, release: ReleaseName, name: DesiredName) -> None:
    """Tell the origin, of those that it has not been told either; what it does not take is not ours either."""
    older = [each.tag for each, _ in _found(repository, release.model, name.environment) if each != name]
    try:
        repository.publish([release.tag, *older, name.tag])
    except TagExistsError:
        repository.remove_tag(name.tag)
        # Whose tag it is.
        repository.fetch_tags()
        raise
    except OriginError:
        repository.remove_tag(name.tag)
        raise


def _refuse_moved(
    repository: Repository, environment: str, release: ReleaseName, known: dict[ReleaseName, Tag]
) -> None:
    """Raise Refused where a release's tag is not on the commit that an earlier desired state pins it to."""
    for _, tag in _found(repository, release.model, environment):
        if f"Release: {release.label}" in tag.message.splitlines():
            _release(tag, known)


def _found(repository: Repository, model: str, environment: str) -> list[tuple[DesiredName, Tag]]:
    """The tags that name a desired state, by their numbers."""
    named = [
        (DesiredName.from_tag(tag.name, model, environment), tag)
        for tag in repository.tags(f"{model}#{environment}#*")
    ]
    return sorted(((name, tag) for name, tag in named if name), key=lambda each: each[0].number)


def _read(name: DesiredName, tag: Tag, known: dict[ReleaseName, Tag]) -> Desired:
    return Desired(name, _release(tag, known), tag.commit, _action(tag.message), tag.at, tag.by)


def _release(tag: Tag, known: dict[ReleaseName, Tag]) -> ReleaseName:
    """By the tag's own word where it has one, else (a tag of plain git) the highest release of its commit."""
    said = re.search(r"^Release: (\S+)$", tag.message, re.MULTILINE)
    if said is None:
        at_commit = [name for name, release in known.items() if release.commit == tag.commit]
        if not at_commit:
            raise Refused(
                f"{tag.name} stands on a commit that is no release",
                next_command=f"git tag --delete '{tag.name}'",
            )
        return at_commit[-1]
    name = next((name for name in known if name.label == said[1]), None)
    if name is None:
        raise Refused(
            f"{tag.name} says {said[1]}, which is no release",
            next_command=f"git fetch --tags; where nobody has it any more, a tag of it on {tag.commit[:7]}",
        )
    if known[name].commit != tag.commit:
        raise Refused(
            f"{tag.name} pins {name.label} to {tag.commit[:7]}, but {name.tag} is at {known[name].commit[:7]}",
            next_command=f"git tag --force --annotate '{name.tag}' {tag.commit[:7]}, if somebody moved it",
        )
    return name


def _action(message: str) -> str:
    said = re.search(r"^Action: (\w+)$", message, re.MULTILINE)
    return said[1] if said else "deploy"
