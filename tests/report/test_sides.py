"""Two models on the same rows: what each accepts, and what cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from slipway import params
from slipway.contract import Contract
from slipway.pipeline.package import params_digest
from slipway.release.pins import Pin, Pins
from slipway.report import build, comparison, files, html, markdown
from slipway.report.build import Report, Verdict
from slipway.report.comparison import Comparison, Decision, Metric, Replay
from slipway.report.drift import Moved
from slipway.report.interface import Change
from slipway.report.resampling import Interval
from slipway.report.side import Model, Side
from slipway.scorer import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SETTINGS = params.load()
COLUMNS: dict[str, Any] = {
    "age": {"type": "number", "minimum": 0, "maximum": 60},
    "ward": {"type": "category", "categories": ["a", "b"]},
}
FRAME = pd.DataFrame({"age": range(100), "ward": ["a", "b"] * 50, "ill": ["yes"] * 30 + ["no"] * 70})


def contract(positive: str = "yes", **columns: Any) -> Contract:
    target = {"column": "ill", "positive": positive, "negative": "no"}
    return Contract.model_validate({"target": target, "columns": COLUMNS | columns})


CONTRACT = contract()


class Rule:
    """Stands for a model: ill is who is younger than so many years."""

    threshold = 0.5

    def __init__(self, contract: Contract, years: float) -> None:
        self._contract, self._years = contract, years

    def probabilities(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        ages = tensors["numeric"][:, 0]
        return np.where(np.isnan(ages), np.nan, np.where(ages < self._years, 0.9, 0.1))

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        target = self._contract.target
        found = self.probabilities(self._contract.tensors(rows))
        return [
            Prediction(target.positive if each >= 0.5 else target.negative, float(each)) for each in found
        ]


class Package:
    """Stands for a bundle whose model has been loaded: it is not loaded again."""

    def __init__(self, folder: Path, contract: Contract, years: float) -> None:
        self.folder, self.contract = folder, contract
        asked = contract.model_copy(update={"columns": CONTRACT.columns})
        rows = [{"age": age, "ward": "a"} for age in (10.0, 40.0, 55.0)]
        self.golden = type("Golden", (), {"rows": rows, "expected": Rule(asked, years).predict(rows)})

    def read(self, _: str) -> bytes:
        return b'{"rows": 400}'


def pins(**changed: Any) -> Pins:
    pin = Pin("m", "m.tar", "0", "1")
    metrics = {
        part: {"accuracy": 0.9, "recall": 0.95, "false_negative_rate": 0.05, "roc_auc": 0.9}
        for part in ("train", "validation")
    }
    metrics["baseline"] = {"roc_auc": 0.5}
    found = Pins("c", pin, pin, pin, "k", "m", metrics, "manifest.json", None, "d", params_digest(SETTINGS))
    return found._replace(**changed)


@pytest.fixture
def side(tmp_path: Path) -> Any:
    """Makes sides."""

    def make(title: str, years: float = 30, positive: str = "yes", model: str = "m", **columns: Any) -> Side:
        package: Any = Package(tmp_path, contract(positive, **columns), years)
        scorer: Any = Rule(package.contract, years)
        return Side(title, pins(model=model), SETTINGS, Model(package, scorer), "")

    return make


def test_both_are_asked_the_rows_that_both_accept(side: Any) -> None:
    new = side("new", age={**COLUMNS["age"], "maximum": 200})
    found = comparison.compare(side("old"), new, FRAME)
    assert found.note == ""
    assert found.decisions
    assert found.decisions.rows == 61, "the older one takes nobody above 60"


def test_null_that_only_the_new_one_takes_is_not_held_against_the_old_one(side: Any) -> None:
    new = side("new", age={**COLUMNS["age"], "nullable": True})
    frame = FRAME.assign(age=FRAME["age"].astype(float).where(FRAME["age"] % 2 == 0))
    found = comparison.compare(side("old"), new, frame)
    assert found.decisions
    assert found.decisions.rows == 31
    assert {metric.verdict for metric in found.metrics} == {"the same"}


def test_a_category_that_only_the_new_one_knows_is_not_asked_of_the_old_one(side: Any) -> None:
    new = side("new", ward={"type": "category", "categories": ["a", "b", "c"]})
    found = comparison.compare(side("old"), new, FRAME.assign(ward=["a", "c"] * 50))
    assert found.decisions
    assert found.decisions.rows == 31


@pytest.mark.parametrize(
    ("changed", "frame", "note"),
    [
        ({"positive": "sick"}, FRAME.replace("yes", "sick"), "the target is another one"),
        (
            {"ward": {"type": "number"}},
            FRAME,
            "the older model needs ward, which the newer data does not have so",
        ),
        ({"bmi": {"type": "number"}}, FRAME, "the validation rows have no bmi"),
        ({}, FRAME[:30], "of 30 validation rows, both accept 30, and not some of each label"),
        ({}, FRAME[:0], "of 0 validation rows, both accept 0, and not some of each label"),
        ({}, None, "the validation rows cannot be had"),
    ],
    ids=["another label", "another type", "a column that is not there", "one label", "no rows", "no file"],
)
def test_what_cannot_be_compared_is_said_and_must_be_looked_at(
    side: Any, changed: dict[str, Any], frame: pd.DataFrame | None, note: str
) -> None:
    old, new = side("old"), side("new", **changed)
    found = comparison.compare(old, new, frame)
    assert found.note == note
    assert all(metric.interval is None for metric in found.metrics)
    verdict, reasons = build._judge(new, [found], [])
    assert verdict is Verdict.LOOK
    assert f"the model could not be compared with that of old: {note}" in reasons


def test_a_label_that_is_renamed_changes_no_golden_row(side: Any) -> None:
    assert comparison.compare(side("old"), side("new", positive="sick"), FRAME).golden == []


def test_a_golden_row_that_is_decided_otherwise_is_told_if_it_may_still_be_sent(side: Any) -> None:
    new = side("new", years=50, age={**COLUMNS["age"], "maximum": 50})
    found = comparison.compare(side("old"), new, FRAME)
    assert (found.golden_rows, [each.row for each in found.golden]) == (2, [1])
    assert found.golden[0][1:] == ("no (0.100)", "yes (0.900)")


@pytest.mark.parametrize(
    ("lost", "expected"),
    [([], Verdict.FINE), (["main cannot be compared: no"], Verdict.LOOK)],
    ids=["nothing asked for", "asked for, and not there"],
)
def test_what_was_asked_for_and_is_lost_does_not_look_fine(
    side: Any, lost: list[str], expected: Verdict
) -> None:
    assert build._judge(side("new"), [], lost)[0] is expected


@pytest.mark.parametrize("name", build.DECIDING)
def test_each_deciding_metric_that_is_surely_worse_must_be_looked_at(side: Any, name: str) -> None:
    worse = Interval(0.01, 0.02) if name == "false_positive_rate" else Interval(-0.02, -0.01)
    found = comparison.compare(side("old"), side("new"), FRAME)._replace(
        metrics=[Metric(name, 0.5, 0.5, worse)]
    )
    verdict, reasons = build._judge(side("new"), [found], [])
    assert verdict is Verdict.LOOK
    assert reasons == [f"{name} is surely worse than that of old: 0.500 -> 0.500"]


EVIL = "x` ![](http://evil.example/x.png) <script>alert(1)</script>\n\n## Fine | *so* [a](http://b)"


def test_words_of_others_are_words_and_no_markup() -> None:
    change = Comparison(
        EVIL, [], EVIL, None, [], 0, Replay(1, 0, 1, (0.0, 1.0), [Decision(EVIL, EVIL, EVIL)]), [],
        [Change(f"category {EVIL} is refused now", breaks=True)], [f"a: {EVIL}"], None, [Moved(EVIL, EVIL, EVIL, 0.5)], None, None,
        same_model=False,
    )  # fmt: skip
    found = Report(
        EVIL.replace("\n", " "), "c", Verdict.LOOK, [EVIL], {}, f"v1.0.0: {EVIL}", [change], [EVIL], None, []
    )
    page = html.write(found._replace(title="HEAD"))
    assert "<img" not in page
    assert "<script" not in page
    assert "<a " not in page
    assert page.count("<h2") == 1
    assert "## Fine |" not in markdown.write(found._replace(title="HEAD"))


def test_the_page_shows_no_picture_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "write", lambda _: "![x](http://evil.example/x.png)")
    found = Report("HEAD", "c", Verdict.FINE, [], {}, None, [], [], None, [])
    assert "<img" not in html.write(found)


def test_half_a_character_in_words_of_others_spoils_no_file(tmp_path: Path) -> None:
    found = Report("HEAD", "c", Verdict.LOOK, ["request \ud800"], {}, None, [], [], None, [])
    files.write(found, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]
    assert "- request \\ud800" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_what_is_not_seen_or_turns_the_direction_is_left_out() -> None:
    assert markdown.plain("a\x1b[2J\u202eb\u200b \n c") == "a\\[2Jb c"
