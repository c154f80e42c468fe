"""Puts a report together: what was compared, what follows, and the verdict on top."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from slipway.errors import InputError, Refused, SlipwayError
from slipway.fleet import infra_shown, infra_summary
from slipway.fleet import settings as rollouts
from slipway.fleet.infra_summary import Summary
from slipway.params import parsed
from slipway.pipeline.evaluate import gates
from slipway.pipeline.package import params_digest
from slipway.release import chain, create, desired, objects
from slipway.release.git import Repository
from slipway.release.pins import Pin
from slipway.report import drift, recorded, side
from slipway.report.comparison import Comparison, compare
from slipway.report.drift import Moved
from slipway.report.recorded import Request
from slipway.report.side import Side

T = TypeVar("T")

DECIDING = ("accuracy", "recall", "false_positive_rate", "roc_auc")
"""Metrics that must not get worse unseen; the others follow from them."""


class Verdict(StrEnum):
    STOP = "stop"
    """It would not be released."""
    LOOK = "look"
    """Somebody should know this before it is merged."""
    FINE = "fine"


class Rollout(NamedTuple):
    """How a release of it would go through an environment."""

    environment: str
    live: str | None
    """What it should run now, by git, and what a roll-back would go back to; None where nothing is declared."""
    batches: tuple[str, ...]
    bake_seconds: float | None


class Report(NamedTuple):
    """What a change does."""

    title: str
    commit: str
    verdict: Verdict
    reasons: list[str]
    metrics: dict[str, float]
    """On validation, as the pipeline recorded them."""
    version: str | None
    """Of the next release, and why; None where it would not be released, or that cannot be told."""
    comparisons: list[Comparison]
    notes: list[str]
    """What else is not in the report, and why."""
    rollout: Rollout | None
    infrastructure: list[Summary]
    """What it does to the machines of environments, by plans that were made before."""


class _Known(NamedTuple):
    """What can be found out of the older sides."""

    sides: list[Side]
    lost: list[str]
    """What was asked for and cannot be compared, and why: it must not look as if all were well."""
    wish: desired.Desired | None
    """Of the environment."""
    wish_known: bool


def build(
    repository: Repository,
    model: str,
    base: str | None,
    environment: str | None,
    infrastructure: Sequence[Summary] = (),
    requests: Sequence[Path] = (),
) -> Report:
    """Compare HEAD with a base and with what an environment should run.

    Args:
        repository: Where.
        model: Its name.
        base: A revision, as `origin/main`; None for none.
        environment: Whose desired state is compared, too; None for none.
        infrastructure: Plans of environments, which belong to the report.
        requests: Files of recorded requests, to see which of them are decided otherwise.

    Raises:
        InputError: HEAD is no commit of Slipway's, there is no such base, or a file of requests is none.
    """
    notes: list[str] = []
    if changes := repository.changes():
        notes.append(f"the work tree differs from HEAD and is not in this report: {', '.join(changes[:5])}")
    if repository.is_shallow:
        notes.append("this clone is shallow: releases and desired states may be missing")
    with ExitStack() as stack:
        head = repository.head()
        new = _made(
            repository, stack.enter_context(side.opened(repository, head, f"HEAD ({head[:7]})", model))
        )
        known = _olds(stack, repository, model, base, environment, notes)
        asked = _requests(repository, requests, known)
        rows = _told(
            notes, lambda: _rows(repository, new.pins.validation), "the validation rows cannot be had"
        )
        comparisons = [
            compare(old, new, rows, asked)._replace(moved=_moved(repository, old, new, notes))
            for old in known.sides
        ]
        known.lost.extend(_unasked(asked, comparisons))
        verdict, reasons = _judge(new, comparisons, [*known.lost, *_losses(infrastructure)])
        version = None if verdict is Verdict.STOP else _told(notes, lambda: _version(repository, model, new))
        rollout = (
            _told(notes, lambda: _rollout(repository, environment, head, known)) if environment else None
        )
        return Report(
            new.title, head, verdict, reasons, new.pins.metrics.get("validation", {}), version, comparisons, notes, rollout,
            list(infrastructure),
        )  # fmt: skip


def _olds(
    stack: ExitStack,
    repository: Repository,
    model: str,
    base: str | None,
    environment: str | None,
    notes: list[str],
) -> _Known:
    """What HEAD is compared with; sides that are the same, once."""
    asked: list[tuple[str, str]] = []
    lost: list[str] = []
    wish, wish_known = None, True
    if base:
        commit = repository.resolve(base)
        if commit is None:
            raise InputError(f"there is no revision {base}", next_command="git fetch --tags origin")
        asked.append((f"{base} ({commit[:7]})", commit))
    if environment:
        try:
            wish = desired.current(repository, model, environment)
        except Refused as error:
            wish_known = False
            lost.append(f"what {environment} should run cannot be told: {error.args[0]}")
        if wish:
            asked.append((f"{wish.release.label} in {environment}", wish.commit))
        elif wish_known:
            notes.append(f"nothing has been declared for {environment} yet")
    sides: list[Side] = []
    for title, revision in asked:
        try:
            old = stack.enter_context(side.opened(repository, revision, title, model))
        except SlipwayError as error:
            lost.append(f"{title} cannot be compared: {error.args[0]}")
            continue
        same = next((each for each in sides if each.is_same(old)), None)
        if same:
            sides[sides.index(same)] = same._replace(title=f"{same.title} and {title}, which are the same")
        else:
            sides.append(old)
    return _Known(sides, lost, wish, wish_known)


def _requests(repository: Repository, files: Sequence[Path], known: _Known) -> list[Request]:
    try:
        found = recorded.read(repository.root, files)
    except InputError:
        raise
    except SlipwayError as error:
        known.lost.append(f"recorded requests cannot be asked: {error.args[0]}")
        return []
    if files and not found:
        known.lost.append("recorded requests cannot be asked: all of them are Slipway's own")
    return found


def _unasked(requests: Sequence[Request], comparisons: Sequence[Comparison]) -> list[str]:
    """Where recorded requests tell nothing: that must not look as if no decision had changed."""
    if requests and not comparisons:
        return ["recorded requests cannot be asked: there is no older model"]
    return [
        f"none of {len(requests)} recorded requests could be asked of {each.old} and of HEAD: one of them has no model "
        "here, their labels differ, or the older one accepts none"
        for each in comparisons
        if requests and each.recorded is None
    ]


def _told(notes: list[str], tell: Callable[[], T], what: str = "") -> T | None:
    """What can be told; else why not, in a note."""
    try:
        return tell()
    except SlipwayError as error:
        notes.append(f"{what}: {error.args[0]}" if what else str(error.args[0]))
        return None


def _moved(repository: Repository, old: Side, new: Side, notes: list[str]) -> list[Moved]:
    """How the training data have moved from one side to the other."""
    contract = new.contract
    if old.pins.train == new.pins.train or contract is None:
        return []

    def tell() -> list[Moved]:
        before, now = (_rows(repository, side.pins.train) for side in (old, new))
        return drift.moved(before, now, contract)

    return _told(notes, tell, f"whether the data have moved since {old.title} cannot be told") or []


def _rows(repository: Repository, pin: Pin | None) -> pd.DataFrame:
    """A dataset of the pipeline.

    Raises:
        SlipwayError: It cannot be had.
    """
    if pin is None:
        raise InputError("dvc.yaml does not declare it as an artefact")
    return pd.read_parquet(objects.obtain(repository.root, pin))


def _version(repository: Repository, model: str, new: Side) -> str:
    number, why = create.next_version(repository, model, new.pins)
    return f"v{number}: {why}"


def _judge(new: Side, comparisons: list[Comparison], lost: list[str]) -> tuple[Verdict, list[str]]:
    if stops := _stops(new):
        return Verdict.STOP, stops
    looks = list(lost)
    for each in comparisons:
        if each.note:
            looks.append(f"the model could not be compared with that of {each.old}: {each.note}")
        if each.interface is None:
            looks.append(f"whether callers of {each.old} break cannot be told")
        looks += [
            f"the data have moved since {each.old}: {column.column}, {column.before} -> {column.now}"
            for column in each.moved
        ]
        if each.recorded and each.recorded.refused:
            looks.append(
                f"of {each.recorded.rows} rows of recorded requests that {each.old} answers, {each.recorded.refused} would be refused"
            )
        looks += [
            f"breaks callers of {each.old}: {change.what}" for change in each.interface or [] if change.breaks
        ]
        looks += [
            f"{metric.name} is surely worse than that of {each.old}: {metric.old:.3f} -> {metric.new:.3f}"
            for metric in each.metrics
            if metric.name in DECIDING and metric.verdict == "worse"
        ]
        looks += [
            f"of rows with {part.rows}, {part.new:.0%} are decided right, {part.old:.0%} by {each.old}"
            for part in each.slices
            if part.sure
        ]
    return (Verdict.LOOK, looks) if looks else (Verdict.FINE, [_fine(comparisons)])


def _losses(infrastructure: Sequence[Summary]) -> list[str]:
    return [
        f"an apply to {plan.environment} {infra_shown.danger(change)}: {change.address}"
        for plan in infrastructure
        for change in plan.dangerous
    ]


def _stops(new: Side) -> list[str]:
    """Why it would not be released."""
    if new.settings is None:
        return ["params.yaml cannot be read"]
    stops = gates(new.pins.metrics, new.settings.evaluate.gates)
    return [*stops, new.missing] if new.missing else stops


def _made(repository: Repository, new: Side) -> Side:
    """The side, without its model where that is another commit's: what was packaged last, before a run that failed or never was."""
    if new.settings is None:
        return new
    if new.pins.parameters != params_digest(new.settings):
        why = "the bundle was not made by these parameters"
        if not gates(new.pins.metrics, new.settings.evaluate.gates):
            why += ": dvc.lock is stale, dvc repro makes it anew"
        return new.without_model(why)
    if strange := chain.edited(repository, new.pins.commit):
        why = "not what dvc.lock says, but written by hand, or by a run that failed"
        return new.without_model(f"{', '.join(strange)}: {why}")
    return new


def _fine(comparisons: list[Comparison]) -> str:
    if not comparisons:
        return "it meets its success criteria; there is nothing to compare it with"
    if all(each.same_model for each in comparisons):
        return "the model is the same"
    names = ", ".join(name.replace("_", " ") for name in DECIDING)
    return f"it meets its success criteria, breaks no callers, and is not surely worse in any of {names}"


def _rollout(repository: Repository, environment: str, head: str, known: _Known) -> Rollout | None:
    if not known.wish_known:
        return None
    path = f"terraform/environments/{environment}/rollout.yaml"
    text = repository.read(head, path)
    found = parsed(rollouts.Rollout, text, f"{head[:7]}:{path}") if text else rollouts.Rollout()
    live = known.wish.release.label if known.wish else None
    seconds = found.bake.seconds if found.bake else None
    return Rollout(environment, live, tuple(str(each) for each in found.batches), seconds)


def to_json(found: Report) -> str:
    """The report for programs; what is not a number is null."""
    return json.dumps(_plain(found), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Summary):
        return infra_summary.told(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
