"""Whether the lock of a commit is honest: the pipeline is rebuilt in a clean room, and every output compared."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib import metadata
from math import isinf
from typing import NamedTuple

from packaging.utils import NormalizedName, canonicalize_name

from slipway import bundle, params
from slipway.errors import InputError, MachineError, Refused, SlipwayError
from slipway.release import likeness, objects, pins
from slipway.release.cleanroom import Made, Room, Stage, opened
from slipway.release.git import Repository
from slipway.release.pins import Pin

_FAILS = "cannot be rebuilt"
_SEEDS = (1, 2)
"""Of Python's hashes: a stage whose outputs depend on them is not deterministic."""


class Verdict(StrEnum):
    """How what was rebuilt compares with what the commit says."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    """Other bytes, as of another processor's last bits; predictions and metrics agree within the declared tolerance."""
    DIFFERENT = "different"


class Finding(NamedTuple):
    """What is known of a stage."""

    stage: str
    verdict: Verdict
    reasons: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()
    """Outputs that differ although nothing else is wrong, and their digests in the lock."""


class Verification(NamedTuple):
    """The verdict on a commit."""

    commit: str
    verdict: Verdict
    stages: tuple[Finding, ...]
    agreement: str
    """Where bytes differ: how far predictions and metrics do; empty where none do."""
    outputs: int
    """How many were compared."""


def verify(
    repository: Repository, revision: str, on_stage: Callable[[str, Finding | None], None]
) -> Verification:
    """Rebuild the pipeline of a commit from its data, and compare every output with its lock.

    Each stage runs in a folder of its own that holds what it declares, with another seed of Python's hashes than usual.
    One that fails there is tried with the whole commit, and one whose outputs differ is run again, to tell why.

    Args:
        repository: With the commit; its work tree does not matter.
        revision: Names the commit.
        on_stage: Told of each stage as it begins (with None), and as it is judged.

    Raises:
        InputError: There is no such revision, or what it declares cannot be read.
        MachineError: Data cannot be had, or this environment is not the locked one.
    """
    commit = repository.resolve(revision)
    if commit is None:
        raise InputError(f"there is no revision {revision}", next_command="git log --oneline")
    refuse_another_environment(repository.read(commit, "uv.lock"), revision)
    findings: list[Finding] = []
    try:
        with opened(repository, commit) as room:
            for stage in room.stages:
                on_stage(stage.name, None)
                findings.append(_rebuilt(room, stage))
                on_stage(stage.name, findings[-1])
            verdict, agreement = _judged(repository, commit, room, findings)
    except OSError as error:
        raise MachineError(
            f"{error.filename or 'the clean room'}: {error.strerror or error}", next_command="slipway doctor"
        ) from error
    outputs = sum(len(stage.outputs) for stage in room.stages)
    return Verification(commit, verdict, tuple(findings), agreement, outputs)


def summary(found: Verification) -> str:
    """The verdict in a line."""
    if found.verdict is Verdict.IDENTICAL:
        return f"what its lock says: {len(found.stages)} stages rebuilt, {found.outputs} outputs identical"
    return f"{found.verdict}: {found.agreement}" if found.agreement else str(found.verdict)


def refusal(found: Verification, revision: str) -> Refused:
    """The error for a commit whose lock is not honest."""
    reasons = [f"{each.stage}: {reason}" for each in found.stages for reason in each.reasons]
    return Refused(
        "\n  ".join(
            [
                f"{revision} ({found.commit[:7]}) is not what its lock says",
                *reasons,
                *filter(None, [found.agreement]),
            ]
        ),
        next_command="dvc repro, which says more"
        if any(reason.startswith(_FAILS) for each in found.stages for reason in each.reasons)
        else "dvc repro --force, and commit what it makes",
    )


def refuse_another_environment(lock: str | None, revision: str) -> None:
    """Refuse to rebuild with other packages than those of a lock of uv's, which is of a revision.

    Raises:
        MachineError: They differ.
    """
    if lock is None:
        return
    locked: dict[NormalizedName, set[str]] = {}
    for package in tomllib.loads(lock).get("package", []):
        if "version" in package and "registry" in package.get("source", {}):
            locked.setdefault(canonicalize_name(package["name"]), set()).add(package["version"])
    installed = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    others = sorted(
        f"{name} {installed[name]}, not {' or '.join(sorted(versions))}"
        for name, versions in locked.items()
        if name in installed and installed[name] not in versions
    )
    if others:
        raise MachineError(
            f"this environment is not the one that uv.lock of {revision} names: {'; '.join(others)}",
            next_command="make .venv"
            if revision == "HEAD"
            else f"git switch --detach {revision} && make .venv",
        )


def _rebuilt(room: Room, stage: Stage) -> Finding:
    """Run a stage, and say what is wrong with what its lock says."""
    reasons = [f"dvc.lock is of an older {what}" for what in stage.stale]
    made = room.run(stage, _SEEDS[0])
    if made.failure:
        # It may have written its outputs all the same: nobody need have edited them.
        return Finding(stage.name, Verdict.DIFFERENT, (*reasons, _why_it_fails(room, stage, made)))
    reasons += [f"{name} was changed by hand: it is not what dvc.lock says" for name in stage.edited]
    room.keep(made)
    if unlocked := [name for name, digest in stage.outputs.items() if not digest]:
        reasons.append(f"dvc.lock knows no {', '.join(unlocked)}")
    others = [name for name, digest in stage.outputs.items() if digest and made.outputs[name] != digest]
    if reasons:
        return Finding(stage.name, Verdict.DIFFERENT, tuple(reasons))
    if not others:
        return Finding(stage.name, Verdict.IDENTICAL, ())
    again = room.run(stage, _SEEDS[1])
    if random := [name for name in stage.outputs if again.outputs.get(name) != made.outputs[name]]:
        reason = f"is not deterministic: two runs make two {', '.join(random)}"
        return Finding(stage.name, Verdict.DIFFERENT, (reason,))
    # Whether that matters is not known before the model has been asked.
    reason = f"makes another {', '.join(others)} than dvc.lock says"
    differing = tuple((name, stage.outputs[name]) for name in others)
    return Finding(stage.name, Verdict.EQUIVALENT, (reason,), differing)


def _why_it_fails(room: Room, stage: Stage, made: Made) -> str:
    whole = room.run(stage, _SEEDS[0], everything=True)
    if whole.failure:
        return f"{_FAILS}: {made.failure}"
    room.keep(whole)
    return f"needs what it does not declare under deps: {made.failure}"


def _judged(
    repository: Repository, commit: str, room: Room, findings: Sequence[Finding]
) -> tuple[Verdict, str]:
    """The verdict on all, and how far what differs agrees."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.DIFFERENT in verdicts:
        return Verdict.DIFFERENT, ""
    if loose := pins.unlocked(repository, commit):
        return Verdict.DIFFERENT, f"dvc.lock does not pin {', '.join(loose)}, which a release is read from"
    if verdicts <= {Verdict.IDENTICAL}:
        return Verdict.IDENTICAL, ""
    try:
        others = dict(other for finding in findings for other in finding.others)
        return _compared(repository, commit, room, others)
    except (SlipwayError, KeyError, TypeError, ValueError) as error:
        return Verdict.DIFFERENT, f"the models cannot be compared: {str(error).splitlines()[0]}"


def _compared(
    repository: Repository, commit: str, room: Room, others: Mapping[str, str]
) -> tuple[Verdict, str]:
    """Ask the model that was rebuilt the golden rows of the one that is locked; compare all else number by number.

    Raises:
        SlipwayError: What is locked cannot be had, or a model is none.
    """
    settings = params.parse(repository.read(commit, "params.yaml") or "", f"{commit[:7]}:params.yaml")
    locked = pins.at(repository, commit, settings.model.name)
    rebuilt = pins.read_from(commit, settings.model.name, "the clean room", room.text)
    if locked.runtime.sha256 != rebuilt.runtime.sha256:
        return (
            Verdict.DIFFERENT,
            f"of {locked.runtime.path} there is nothing to compare but bytes, and they differ",
        )
    with (
        objects.unpacked(objects.obtain(repository.root, locked.bundle)) as old,
        objects.unpacked(room.path(locked.bundle.path)) as new,
    ):
        tolerance = settings.package.golden_tolerance
        # What the locked bundle says is under suspicion itself.
        if old.golden.tolerance != tolerance:
            return (
                Verdict.DIFFERENT,
                f"the locked bundle tolerates {old.golden.tolerance:g}, params.yaml {tolerance:g}",
            )
        scorer = new.scorer()
        # Golden rows alone would let a model pass that answers all but these otherwise.
        gaps = {name: likeness.gap(old.folder / name, new.folder / name, name) for name in bundle.CONTENTS}
    for name, digest in others.items():
        if name == locked.manifest:
            gaps[name] = _manifests(repository.read(commit, name), room.text(name))
        elif name != locked.bundle.path:
            pin = Pin(name, name, pins.address(digest), None)
            was = room.committed(name) or objects.obtain(repository.root, pin)
            gaps[name] = likeness.gap(was, room.path(name), name)
    answers = [scorer.predict([row])[0] for row in old.golden.rows]
    wrong = old.golden.differences(answers)
    gap = max(
        abs(answer.probability - expected.probability)
        for answer, expected in zip(answers, old.golden.expected, strict=True)
    )
    furthest = max(gaps, key=gaps.__getitem__)
    within = not wrong and gaps[furthest] <= tolerance
    beyond = (
        f"in {furthest} more than numbers"
        if isinf(gaps[furthest])
        else f"numbers by {gaps[furthest]:.3g} ({furthest})"
    )
    agreement = (
        f"{len(answers)} golden rows differ by {gap:.3g} at most, {beyond}; {tolerance:g} is tolerated"
    )
    return Verdict.EQUIVALENT if within else Verdict.DIFFERENT, agreement


def _manifests(locked: str | None, rebuilt: str | None) -> float:
    """How far two manifests are apart, but for what they say of bundles: these have been compared themselves."""
    both = [json.loads(text or "{}") for text in (locked, rebuilt)]
    return likeness.values(*({**each, "bundle": {}, "files": {}} for each in both))
