"""Makes a release: an annotated tag on a commit whose every byte can be had, and nothing where one cannot."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from semver import Version

from slipway.errors import InputError, Locked, Refused, SlipwayError
from slipway.params import Params
from slipway.release import branch, chain, objects, pins
from slipway.release.git import Repository, Tag, TagExistsError
from slipway.release.names import FIRST, ReleaseName
from slipway.release.pins import Pins


class Made(NamedTuple):
    """A release, and why it has this version, or why no other is made."""

    name: ReleaseName
    why: str
    """With what is odd about its commit."""
    is_new: bool = True
    """Or it was there before."""
    is_here: bool = True
    """Whether it is the current commit's."""


def releases(repository: Repository, model: str) -> dict[ReleaseName, Tag]:
    """All releases of a model, the oldest version first; `chain` tells which of them count."""
    named = [(ReleaseName.from_tag(tag.name, model), tag) for tag in repository.tags(f"{model}@v*")]
    return dict(sorted((name, tag) for name, tag in named if name is not None))


def latest(repository: Repository, model: str) -> ReleaseName:
    """The highest release that counts.

    Raises:
        InputError: There is none.
    """
    found = next(_counting(repository, releases(repository, model)), None)
    if found is None:
        raise InputError(f"{model} has no release yet", next_command="git fetch --tags, or slipway release")
    return found


def _counting(repository: Repository, names: Iterable[ReleaseName]) -> Iterator[ReleaseName]:
    """Those whose tags can be trusted, the highest first."""
    return (name for name in sorted(names, reverse=True) if not chain.is_forged(repository, name.tag))


def _read(repository: Repository, names: Iterable[ReleaseName]) -> Iterator[tuple[ReleaseName, Pins]]:
    """What releases pin, of those where that can be read: anybody can tag a commit that no pipeline has made."""
    for name in names:
        try:
            found = pins.at(repository, name.tag, name.model)
        except InputError:
            continue
        yield name, found


def next_version(repository: Repository, model: str, new: Pins) -> tuple[Version, str]:
    """The version that the next release should have, and the reason.

    Compared with the highest release that counts or, where none does yet, with the highest of all: another contract is
    a major release, another model a minor one, and the same model (with another runtime, or other code around it) a patch.
    A version that has a tag already, though it does not count, or one below its name, is left out.
    """
    version, why = _compared(repository, model, new)
    taken = repository.taken(f"{model}@v*")
    while ReleaseName(model, version).tag in taken:
        why = f"{why}, and v{version} has a tag that does not count"
        version = version.bump_patch()
    return version, why


def _compared(repository: Repository, model: str, new: Pins) -> tuple[Version, str]:
    existing = sorted(releases(repository, model), reverse=True)
    counting = _read(repository, _counting(repository, existing))
    found = next(counting, None) or next(_read(repository, existing), None)
    if found is None:
        return FIRST, "the first release"
    highest, old = found
    if old.contract != new.contract:
        return highest.version.bump_major(), f"the contract differs from {highest.label}'s"
    if old.model != new.model:
        return highest.version.bump_minor(), f"the model differs from {highest.label}'s"
    return highest.version.bump_patch(), f"the model is {highest.label}'s"


def made_before(repository: Repository, model: str) -> Made | None:
    """The release of the current commit or, where that changes nothing that is rolled out, the one of the same bytes.

    Only what counts: a workflow hands on what this finds.
    """
    existing = releases(repository, model)
    new = pins.at(repository, "HEAD", model)
    if name := _on(repository, new.commit, existing):
        return Made(name, f"{name.label} stands on this commit already", is_new=False)
    found = next(_read(repository, _counting(repository, existing)), None)
    if found is None:
        return None
    highest, old = found
    if (old.bundle, old.runtime, old.contract) != (new.bundle, new.runtime, new.contract):
        return None
    why = f"bundle, runtime and contract are those of {highest.label}"
    return Made(highest, why, is_new=False, is_here=False)


def _on(repository: Repository, commit: str, existing: dict[ReleaseName, Tag]) -> ReleaseName | None:
    """The release that stands on a commit, and counts."""
    there = [name for name, tag in existing.items() if tag.commit == commit]
    return next(_counting(repository, there), None)


def planned(repository: Repository, settings: Params, version: str | None) -> Made:
    """What the release of the current commit would be, as far as git alone can tell.

    Raises:
        Refused: It is released already, or misses its gates.
    """
    model = settings.model.name
    found = pins.at(repository, "HEAD", model)
    _refuse_failed_gate(found, settings)
    _refuse_second_release(repository, found, releases(repository, model))
    if version is not None:
        return Made(ReleaseName.parse(version, model), "as asked")
    chosen, why = next_version(repository, model, found)
    return Made(ReleaseName(model, chosen), why)


def share(repository: Repository, made: Made) -> None:
    """Give a release to the origin; one that has just been made, and that it does not take, is not ours either.

    Raises:
        InputError: There is no origin.
        Locked: It has another release of this name.
        OriginError: It does not answer, or refuses.
    """
    tag = made.name.tag
    try:
        if not repository.has_origin:
            raise InputError(f"there is no origin to give {tag} to", next_command="git remote add origin ...")
        repository.publish([tag])
    except SlipwayError as error:
        if made.is_new:
            repository.remove_tag(tag)
        if not isinstance(error, TagExistsError):
            raise
        raise Locked(
            f"origin has another {tag}: {error}",
            next_command="git fetch --tags origin, then the same command again",
        ) from error


def release(repository: Repository, settings: Params, version: str | None, now: datetime) -> Made:
    """Tag the current commit as a release.

    Raises:
        Refused: The work tree is dirty, the branch has diverged from the origin's, a gate fails, the lock is stale,
            an object is not in the DVC remote, the tag exists, or nobody whose tags count signs it. Nothing has
            been written then.
        Locked: Somebody else made the tag at the same moment.
        OriginError: The origin has another tag of the same name as one of ours.
        InputError: There is no commit yet, or it lacks a file that a release needs.
    """
    model = settings.model.name
    repository.head()
    _refuse_dirty_tree(repository)
    notes = branch.heard(repository)
    found = pins.at(repository, "HEAD", model)
    _refuse_failed_gate(found, settings)
    _refuse_stale_lock(repository)
    existing = releases(repository, model)
    _refuse_second_release(repository, found, existing)
    if version is None:
        chosen, why = next_version(repository, model, found)
        name = ReleaseName(model, chosen)
    else:
        name, why = ReleaseName.parse(version, model), "as asked"
    if name in existing:
        by = existing[name]
        raise Refused(
            f"{name.tag} exists: {by.by} made it on {by.at:%Y-%m-%d %H:%M}, at {by.commit[:7]}",
            next_command="slipway release",
        )
    if there := repository.tag_names(name.tag):
        how = "as a lightweight tag or one that cannot be read" if name.tag in there else f"in {there[0]}"
        raise Refused(
            f"{name.tag} exists, {how}: that is no release",
            next_command="slipway release",
        )
    _refuse_missing_objects(repository, found)
    validation = found.metrics["validation"]
    title = f"{name.label}: recall {validation['recall']:.3f}, ROC AUC {validation['roc_auc']:.3f}; {why}"
    body = f"bundle sha256 {found.bundle.sha256}\nruntime sha256 {found.runtime.sha256}"
    after = chain.last_date(repository, existing.values())
    try:
        repository.tag(name.tag, found.commit, f"{title}\n\n{body}", now, after)
    except TagExistsError as error:
        raise Locked(f"{name.tag} was not made: {error}", next_command="slipway release") from error
    chain.seal(repository, name.tag)
    return Made(name, f"{why}; {notes}" if notes else why)


def _refuse_dirty_tree(repository: Repository) -> None:
    if changes := repository.changes():
        shown = ", ".join(changes[:5]) + (", ..." if len(changes) > len(changes[:5]) else "")
        raise Refused(
            f"the work tree differs from the commit: {shown}", next_command="git add --all && git commit"
        )


def _refuse_failed_gate(found: Pins, settings: Params) -> None:
    from slipway.pipeline.evaluate import gates  # noqa: PLC0415 - scikit-learn takes a second to import

    if failed := gates(found.metrics, settings.evaluate.gates):
        raise Refused(
            "\n".join(["the model misses its success criteria:", *(f"  {line}" for line in failed)]),
            next_command="change params.yaml, then dvc repro",
        )


def _refuse_stale_lock(repository: Repository) -> None:
    if changed := objects.changed_stages(repository.root):
        paths = {path for each in changed.values() for path in each}
        if paths <= objects.not_here(repository.root):
            raise Refused(
                f"whether dvc.lock is stale cannot be told: {', '.join(sorted(paths))} is not here",
                next_command="dvc pull",
            )
        lines = [f"  {stage}: {', '.join(paths)}" for stage, paths in changed.items()]
        raise Refused(
            "\n".join(["dvc.lock is stale; these stages have changed:", *lines]), next_command="dvc repro"
        )


def _refuse_second_release(repository: Repository, found: Pins, existing: dict[ReleaseName, Tag]) -> None:
    if name := _on(repository, found.commit, existing):
        raise Refused(
            f"this commit is already released as {name.tag}",
            next_command=f"slipway deploy local {name.label}",
        )


def _refuse_missing_objects(repository: Repository, found: Pins) -> None:
    wanted = (found.bundle, found.runtime, found.acceptance)
    if missing := objects.missing_from_remote(repository.root, wanted):
        paths = ", ".join(pin.path for pin in missing)
        raise Refused(f"the DVC remote lacks {paths}", next_command="dvc push")
