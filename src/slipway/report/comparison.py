"""What changes from one model to another: metrics, parts of the data, single decisions, time and size."""

import json
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ValidationError

from slipway.bundle import REFERENCE, Bundle
from slipway.contract import Contract
from slipway.pipeline import stage
from slipway.report import interface, resampling
from slipway.report.drift import Moved
from slipway.report.interface import Change
from slipway.report.recorded import Request
from slipway.report.resampling import Answers, Interval
from slipway.report.side import Model, Side
from slipway.scorer import Scorer

LESS_IS_BETTER = frozenset({"false_positive_rate", "false_negative_rate"})
SMALLEST_SLICE = 20
_SHOWN = 3
_SHOWN_REQUESTS = 10
_ROUNDS = 300


class Metric(NamedTuple):
    """A metric of both models on the same rows, or as each recorded it on its own."""

    name: str
    old: float
    new: float
    interval: Interval | None
    """Of new less old; None where the rows are not the same."""

    @property
    def is_loss(self) -> bool:
        """Whether less of it is better."""
        return self.name in LESS_IS_BETTER

    @property
    def verdict(self) -> str:
        """`better` and `worse` are sure; `the same` is exact; `not sure` is all else."""
        if self.interval is None:
            return "not comparable"
        if self.interval == Interval(0.0, 0.0):
            return "the same"
        sure = self.interval.sure * (-1 if self.is_loss else 1)
        return {1: "better", 0: "not sure", -1: "worse"}[sure]


class Slice(NamedTuple):
    """A part of the validation rows in which fewer decisions are right than before."""

    rows: str
    """As `mean_radius >= 13.4`."""
    size: int
    old: float
    new: float
    """Shares of right decisions."""
    sure: bool
    """Whether that is more than chance, for as many parts as have been looked at."""


class Decision(NamedTuple):
    """A row that the new model decides otherwise than the old one."""

    row: int | str
    """The number of a golden row, or the id of a recorded request."""
    old: str
    new: str


class Decisions(NamedTuple):
    """What becomes of decisions on the validation rows."""

    rows: int
    righted: int
    """Were wrong, are right."""
    wronged: int
    """Were right, are wrong."""


class Replay(NamedTuple):
    """What becomes of recorded requests."""

    rows: int
    """How many the older model accepts, and so were asked."""
    refused: int
    """How many of them the newer one refuses: their callers break."""
    changed: int
    """How many are decided otherwise."""
    positive: tuple[float, float]
    """Shares of the positive label among rows that both accept, before and after."""
    shown: list[Decision]
    """Those that are decided otherwise, the most certain first."""


class Comparison(NamedTuple):
    """The new side against an older one."""

    old: str
    metrics: list[Metric]
    note: str
    """Why models could not be asked the same rows; empty where they were."""
    decisions: Decisions | None
    golden: list[Decision]
    golden_rows: int
    """How many golden rows could be asked."""
    recorded: Replay | None
    """None where no requests were given, or the older model accepts none of them."""
    slices: list[Slice]
    interface: list[Change] | None
    """None where one of the contracts cannot be read."""
    parameters: list[str] | None
    """Likewise."""
    rows: tuple[int, int] | None
    """Of training, before and after."""
    moved: list[Moved]
    """Columns of the training data that are distributed otherwise."""
    milliseconds: tuple[float, float] | None
    """Of one prediction, in turns on this machine: before and after."""
    bundle_bytes: tuple[int, int] | None
    same_model: bool


def compare(
    old: Side, new: Side, validation: pd.DataFrame | None, requests: Sequence[Request] = ()
) -> Comparison:
    """Compare as far as both sides can be read.

    Args:
        old: The side before.
        new: The side after.
        validation: The new side's validation rows; None where they cannot be had.
        requests: What callers have asked.
    """
    before, after = old.contract, new.contract
    base = Comparison(
        old.title, _own_metrics(old, new), "", None, [], 0, None, [],
        interface.changes(before, after) if before and after else None, _parameters(old, new),
        None, [], None, None, old.pins.model == new.pins.model,
    )  # fmt: skip
    if not (old.model and new.model):
        missing = [f"{side.title}: {side.missing}" for side in (old, new) if side.missing]
        return base._replace(note="; ".join(missing))
    golden, asked = _golden(old.model.bundle, new.model)
    base = base._replace(
        golden=golden,
        golden_rows=asked,
        recorded=_replayed(old.model, new.model, requests) if requests else None,
        rows=(trained_on(old.model.bundle), trained_on(new.model.bundle)),
        bundle_bytes=(_size(old.model.bundle), _size(new.model.bundle)),
    )
    if validation is None:
        return base._replace(note="the validation rows cannot be had")
    if why := _unanswerable(old.model.contract, new.model.contract, validation) or _perhaps_known(old, new):
        return base._replace(note=why)
    return _measured(base, old.model, new.model, validation)


def _measured(base: Comparison, theirs: Model, ours: Model, validation: pd.DataFrame) -> Comparison:
    """What both models answer to the rows that both accept."""
    before, after = theirs.contract, ours.contract
    rows = stage.rows(validation, after)
    old_rows = [{name: row[name] for name in before.columns} for row in rows]
    row_of = before.row_model()
    kept = [number for number, row in enumerate(old_rows) if _accepts(row_of, row)]
    truth = stage.is_positive(validation, after).to_numpy()[kept]
    if not (truth.any() and not truth.all()):
        return base._replace(
            note=f"of {len(rows)} validation rows, both accept {len(kept)}, and not some of each label"
        )
    rows, old_rows = [rows[number] for number in kept], [old_rows[number] for number in kept]
    answers_before, answers_after = _answers(theirs, old_rows), _answers(ours, rows)
    if not (np.isfinite(answers_before.probability).all() and np.isfinite(answers_after.probability).all()):
        return base._replace(note="a model answers some validation rows with no probability")
    right_before, right_after = answers_before.positive == truth, answers_after.positive == truth
    return base._replace(
        metrics=_metrics(truth, answers_before, answers_after),
        decisions=Decisions(
            len(rows), int((right_after & ~right_before).sum()), int((right_before & ~right_after).sum())
        ),
        slices=_slices(validation.iloc[kept], after, right_before, right_after),
        milliseconds=_times(theirs.scorer, ours.scorer, old_rows, rows),
    )


def _answers(model: Model, rows: Sequence[Mapping[str, Any]]) -> Answers:
    return Answers(model.scorer.probabilities(model.contract.tensors(rows)), model.scorer.threshold)


def _unanswerable(before: Contract, after: Contract, validation: pd.DataFrame) -> str:
    """Why both models cannot be asked the new side's validation rows; empty where they can."""
    if absent := [name for name in (*after.columns, after.target.column) if name not in validation]:
        return f"the validation rows have no {', '.join(absent)}"
    if before.target != after.target:
        return "the target is another one"
    missing = [
        name
        for name, column in before.columns.items()
        if name not in after.columns or after.columns[name].type != column.type
    ]
    if missing:
        return f"the older model needs {', '.join(missing)}, which the newer data does not have so"
    return ""


def _perhaps_known(old: Side, new: Side) -> str:
    """Why the older model may have been trained on those rows; empty where it was not."""
    if old.settings is None or new.settings is None:
        return "how one side has split its data cannot be read"
    if not old.has_rows_of(new):
        return "the data or their split differ, so the older model may have been trained on these rows"
    return ""


def _accepts(row_of: type[BaseModel], row: Mapping[str, Any]) -> bool:
    try:
        row_of.model_validate(row)
    except ValidationError:
        return False
    return True


def _own_metrics(old: Side, new: Side) -> list[Metric]:
    before, after = (side.pins.metrics.get("validation", {}) for side in (old, new))
    return [Metric(name, before[name], after[name], None) for name in after if name in before]


def _metrics(truth: npt.NDArray[np.bool_], before: Answers, after: Answers) -> list[Metric]:
    once = np.ones((1, len(truth)))
    old, new = (resampling.measures(once, truth, side) for side in (before, after))
    intervals = resampling.differences(truth, before, after)
    return [Metric(name, float(old[name][0]), float(new[name][0]), intervals[name]) for name in new]


def _golden(old: Bundle, new: Model) -> tuple[list[Decision], int]:
    """The old model's golden rows that are decided otherwise, and how many of them a caller may still send."""
    if old.contract.target != new.contract.target:
        return [], 0
    row_of = new.contract.row_model()
    changed, asked = [], 0
    for number, (row, expected) in enumerate(zip(old.golden.rows, old.golden.expected, strict=True)):
        if not _accepts(row_of, row):
            continue
        asked += 1
        (answer,) = new.scorer.predict([row])
        if answer.label != expected.label:
            changed.append(Decision(number, _words(expected.label, expected.probability), _words(*answer)))
    return changed, asked


def _replayed(old: Model, new: Model, requests: Sequence[Request]) -> Replay | None:
    """What both answer to recorded requests; None where the older model accepts none, or they have other labels."""
    target = old.contract.target
    if target != new.contract.target:
        return None
    accepted, accepts = old.contract.row_model(), new.contract.row_model()
    asked = [each for each in requests if _accepts(accepted, each.row)]
    if not asked:
        return None
    kept = [each for each in asked if _accepts(accepts, each.row)]
    rows = [each.row for each in kept]
    before, after = (_answers(model, rows) for model in (old, new))
    changed = np.flatnonzero(before.positive != after.positive)
    label = {True: target.positive, False: target.negative}
    shown = [
        Decision(
            kept[at].id,
            _words(label[bool(before.positive[at])], float(before.probability[at])),
            _words(label[bool(after.positive[at])], float(after.probability[at])),
        )
        for at in sorted(changed, key=lambda at: -abs(after.probability[at] - before.probability[at]))
    ]
    shares = (_share(before.positive), _share(after.positive))
    return Replay(len(asked), len(asked) - len(kept), len(changed), shares, shown[:_SHOWN_REQUESTS])


def _share(positive: npt.NDArray[np.bool_]) -> float:
    return float(positive.mean()) if len(positive) else 0.0


def _words(label: str, probability: float) -> str:
    return f"{label} ({probability:.3f})"


def _slices(
    frame: pd.DataFrame,
    contract: Contract,
    before: npt.NDArray[np.bool_],
    after: npt.NDArray[np.bool_],
) -> list[Slice]:
    """The parts in which fewer decisions are right, the worst first: of numbers the halves, of categories each."""
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    for name in contract.numbers:
        column = frame[name].to_numpy(np.float64)
        middle = float(np.nanmedian(column)) if np.isfinite(column).any() else 0.0
        masks[f"{name} < {middle:.4g}"], masks[f"{name} >= {middle:.4g}"] = column < middle, column >= middle
    for name in contract.categories:
        for value in contract.columns[name].categories:
            masks[f"{name} is {value}"] = (frame[name] == value).to_numpy(bool)
    parts = {name: mask for name, mask in masks.items() if mask.sum() >= SMALLEST_SLICE}
    found = []
    for name, mask in parts.items():
        gain = after[mask].astype(np.float64) - before[mask]
        if gain.mean() < 0:
            sure = resampling.mean(gain, len(parts)).sure < 0
            found.append(Slice(name, int(mask.sum()), float(before[mask].mean()), float(after[mask].mean()), sure))  # fmt: skip
    return sorted(found, key=lambda part: (not part.sure, part.new - part.old))[:_SHOWN]


def _parameters(old: Side, new: Side) -> list[str] | None:
    """What stands otherwise in params.yaml, but for the contract."""
    if old.settings is None or new.settings is None:
        return None
    before, after = (
        _flat(settings.model_dump(mode="json", exclude={"contract"}))
        for settings in (old.settings, new.settings)
    )
    names = [*before, *(name for name in after if name not in before)]
    return [
        f"{name}: {before.get(name, 'nothing')} -> {after.get(name, 'nothing')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        return {
            name: each for key, part in value.items() for name, each in _flat(part, f"{path}.{key}" if path else key).items()
        }  # fmt: skip
    return {path: json.dumps(value)}


def trained_on(bundle: Bundle) -> int:
    """How many rows."""
    return int(json.loads(bundle.read(REFERENCE))["rows"])


def _times(
    old: Scorer, new: Scorer, old_rows: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> tuple[float, float]:
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS):
        sides = ((old, old_rows), (new, rows))
        for (scorer, asked), seconds in zip(sides, spent, strict=True):
            began = time.perf_counter()
            scorer.predict([asked[number % len(asked)]])
            seconds.append(time.perf_counter() - began)
    before, after = (1000 * median(seconds) for seconds in spent)
    return before, after


def _size(bundle: Bundle) -> int:
    return sum(path.stat().st_size for path in bundle.folder.iterdir())
