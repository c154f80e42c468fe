"""The desired state of an environment: the newest tag `<model>#<environment>#<N>`. N decides, never a clock."""

import re
from datetime import datetime
from typing import NamedTuple

from slipway.errors import InputError, Locked, Refused
from slipway.release import chain
from slipway.release.create import releases
from slipway.release.git import ORIGIN, OriginError, Repository, Tag, TagExistsError
from slipway.release.names import DesiredName, ReleaseName, following


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
    return [_read(repository, name, tag, known) for name, tag in _found(repository, model, environment)]


def current(repository: Repository, model: str, environment: str, *, sealed: bool = False) -> Desired | None:
    """What an environment should run, or None where nobody has said so.

    Args:
        repository: Where.
        model: Of which model.
        environment: Whose desired state it is.
        sealed: Whether only tags count that are signed by somebody who may, where the repository says who.

    Raises:
        Refused: Its tag stands on a commit that is no release, or says a release that is none or elsewhere.
    """
    found = reversed(_found(repository, model, environment))
    newest = next((each for each in found if _counts(repository, each[1], sealed=sealed)), None)
    return _read(repository, *newest, releases(repository, model), sealed=sealed) if newest else None


def highest(repository: Repository, model: str, environment: str) -> DesiredName | None:
    """The highest number that a tag has, whatever that says: no number is given twice."""
    names = repository.tag_names(f"{model}#{environment}#*")
    found = [name for each in names if (name := DesiredName.from_tag(each, model, environment))]
    return max(found, key=lambda name: name.number, default=None)


def refuse_forged(repository: Repository, model: str, environment: str, *, sealed: bool) -> None:
    """Refuse to take an older desired state for the newest, where the highest number is of a tag that declares nothing.

    Raises:
        Refused: It is a lightweight one, or cannot be read; or, where `sealed`, cannot be trusted.
    """
    name = highest(repository, model, environment)
    if name is None:
        return
    if not any(tag.name == name.tag for tag in repository.tags(name.tag)):
        after = name._replace(number=name.number + 1)
        raise Refused(
            f"{name.tag} is a lightweight tag, or one that cannot be read: it says neither who wants what nor why",
            next_command=f"git tag --annotate (or --sign) '{after.tag}' COMMIT; {name.tag} may stay",
        )
    if sealed:
        chain.trusted(repository, name.tag)


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
        sealed: Whether the tag must be signed by somebody whose tags count, where the repository says whose do; others
            are passed over, whatever they say.
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
    last = highest(repository, release.model, environment)
    above = max(above, last.number if last else 0)
    newest = current(repository, release.model, environment, sealed=sealed)
    if newest and newest.release == release and newest.name.number >= above:
        if shared:
            _tell(repository, [release.tag, newest.name.tag])
        return newest
    _refuse_moved(repository, environment, release, known, sealed=sealed)
    name = _next(repository, DesiredName(release.model, environment, above))
    message = f"{action.capitalize()} {release.label} to {environment}\n\nAction: {action}\nRelease: {release.label}"
    try:
        repository.tag(
            name.tag, known[release].commit, message, now,
            _last_date(repository, environment, release, known, sealed=sealed),
        )  # fmt: skip
        if sealed:
            chain.seal(repository, name.tag)
        if shared:
            _share(repository, release, name)
    except TagExistsError as error:
        raise _overtaken(repository, name) from error
    written = current(repository, release.model, environment, sealed=sealed)
    assert written is not None  # noqa: S101 - for the type checker: it was written a moment ago
    return written


def _next(repository: Repository, last: DesiredName) -> DesiredName:
    """The first name of a higher number that no tag has, nor bars by a name below it, as `...#7/x` bars `...#7`.

    Raises:
        Refused: No number is left.
    """
    series = f"{last.model}#{last.environment}#"
    taken = repository.taken(f"{series}*")
    while (last := last._replace(number=following(last.number, series))).tag in taken:
        pass
    return last


def _overtaken(repository: Repository, name: DesiredName) -> Locked:
    made = "".join(f"; {tag.by} made it on {tag.at:%Y-%m-%d %H:%M}" for tag in repository.tags(name.tag))
    if made:
        return Locked(f"{name.tag} exists{made}", next_command=f"slipway status {name.environment}")
    return Locked(
        f"{name.tag} exists as a lightweight tag, which says neither who wants what nor why",
        next_command="the same command again, which takes the next number",
    )


def _last_date(
    repository: Repository,
    environment: str,
    release: ReleaseName,
    known: dict[ReleaseName, Tag],
    *,
    sealed: bool,
) -> datetime:
    """After which a declaration is dated.

    A tag of plain git may have a later date than one with a higher number, and a release a later one than both.
    """
    tags = [tag for _, tag in _found(repository, release.model, environment)]
    last = chain.last_date(repository, tags) if sealed else max((tag.at for tag in tags), default=None)
    return max(filter(None, [known[release].at, last]))


def _tell(repository: Repository, names: list[str]) -> None:
    """Tell the origin what is desired already.

    Raises:
        OriginError: It does not take it, as where it has other tags of these names: then it says which.
    """
    try:
        repository.publish(names)
    except TagExistsError as error:
        repository.fetch_tags()
        raise OriginError(str(error), next_command=f"git fetch --tags {ORIGIN}") from error


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
    repository: Repository,
    environment: str,
    release: ReleaseName,
    known: dict[ReleaseName, Tag],
    *,
    sealed: bool,
) -> None:
    """Raise Refused where a release's tag is not on the commit that an earlier desired state pins it to."""
    for _, tag in _found(repository, release.model, environment):
        says_so = f"Release: {release.label}" in tag.message.splitlines()
        if says_so and tag.commit != known[release].commit and _counts(repository, tag, sealed=sealed):
            _release(repository, tag, known, sealed=sealed)


def _counts(repository: Repository, tag: Tag, *, sealed: bool) -> bool:
    return not (sealed and chain.is_forged(repository, tag.name))


def _found(repository: Repository, model: str, environment: str) -> list[tuple[DesiredName, Tag]]:
    """The tags that name a desired state, by their numbers."""
    named = [
        (DesiredName.from_tag(tag.name, model, environment), tag)
        for tag in repository.tags(f"{model}#{environment}#*")
    ]
    return sorted(((name, tag) for name, tag in named if name), key=lambda each: each[0].number)


def _read(
    repository: Repository,
    name: DesiredName,
    tag: Tag,
    known: dict[ReleaseName, Tag],
    *,
    sealed: bool = False,
) -> Desired:
    release = _release(repository, tag, known, sealed=sealed)
    return Desired(name, release, tag.commit, _action(tag.message), tag.at, tag.by)


def _release(repository: Repository, tag: Tag, known: dict[ReleaseName, Tag], *, sealed: bool) -> ReleaseName:
    """By the tag's own word where it has one, else (a tag of plain git) the highest release of its commit that counts."""
    said = sorted(set(re.findall(r"^Release: (\S+)$", tag.message, re.MULTILINE)))
    if len(said) > 1:
        raise Refused(f"{tag.name} says {' and '.join(said)}", next_command=f"git show '{tag.name}'")
    if not said:
        at_commit = [
            name
            for name, release in known.items()
            if release.commit == tag.commit and _counts(repository, release, sealed=sealed)
        ]
        if not at_commit:
            raise Refused(
                f"{tag.name} stands on a commit that is no release",
                next_command=f"git tag --delete '{tag.name}'",
            )
        return at_commit[-1]
    name = next((name for name in known if name.label == said[0]), None)
    if name is None:
        raise Refused(
            f"{tag.name} says {said[0]}, which is no release",
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
