"""Recorded requests: how their files are read, and what becomes of them under another model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.report.test_sides import COLUMNS, FRAME, side

from slipway.errors import InputError
from slipway.report import build, comparison
from slipway.report.recorded import Request, read

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["side"]


def line(request: str, *ages: float) -> str:
    """As a host writes it."""
    rows = [{"age": age, "ward": "a"} for age in ages]
    return json.dumps(
        {"at": "2026-11-21", "request": request, "release": "v1", "inputs": rows, "predictions": []}
    )


def written(folder: Path, *lines: str, name: str = "requests.jsonl") -> Path:
    file = folder / name
    file.write_text("\n".join(lines))
    return file


def asked(*ages: float) -> list[Request]:
    return [Request(f"r{number}", {"age": age, "ward": "a"}) for number, age in enumerate(ages)]


def test_each_row_of_each_request_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, line("one", 1.0), line("two", 2.0, 3.0))
    assert [(each.id, each.row["age"]) for each in read(tmp_path, [file])] == [
        ("one", 1.0),
        ("two, row 1", 2.0),
        ("two, row 2", 3.0),
    ]


def test_what_was_asked_twice_counts_once_and_what_is_slipways_own_does_not(tmp_path: Path) -> None:
    first = written(tmp_path, line("one", 1.0), line("slipway-golden-1", 9.0))
    second = written(tmp_path, line("one", 2.0), name="other.jsonl")
    assert [each.row["age"] for each in read(tmp_path, [first, second])] == [1.0]


@pytest.mark.parametrize(
    "bad", ['{"request": "cut', "null", "[]", '{"request": "x", "inputs": 3}', "[" * 100_000]
)
def test_a_line_that_is_no_record_is_skipped(tmp_path: Path, bad: str) -> None:
    file = written(tmp_path, bad, line("one", 1.0), bad)
    assert [each.id for each in read(tmp_path, [file])] == ["one"]


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("", "holds no recorded request")])
def test_a_file_without_records_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "requests.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=words) as error:
        read(tmp_path, [file])
    assert error.value.next_command == f"slipway requests ENV --out {file}"


@pytest.mark.parametrize(
    "text",
    ["outs: 3\n", "outs:\n- md5: 5\n", "outs:\n- md5: ../../../../id_rsa\n", "[" * 20_000],
    ids=["none", "number", "path", "nested"],
)
def test_a_pointer_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "requests.jsonl.dvc").write_text(text)
    with pytest.raises(InputError, match=r"requests\.jsonl\.dvc is no pointer of DVC's"):
        read(tmp_path, [tmp_path / "requests.jsonl"])


def test_those_that_are_decided_otherwise_are_named(side: Any) -> None:
    found = comparison.compare(
        side("old", years=30), side("new", years=20), FRAME, asked(10, 25, 28, 50)
    ).recorded
    assert found is not None
    assert (found.rows, found.refused, found.changed, found.positive) == (4, 0, 2, (0.75, 0.25))
    assert found.shown == [("r1", "yes (0.900)", "no (0.100)"), ("r2", "yes (0.900)", "no (0.100)")]


def test_what_only_the_new_contract_refuses_is_counted_as_broken(side: Any) -> None:
    new = side("new", age={**COLUMNS["age"], "maximum": 40})
    found = comparison.compare(side("old"), new, FRAME, asked(10, 50, 70)).recorded
    assert found is not None
    assert (found.rows, found.refused, found.changed) == (2, 1, 0), "the old one refuses 70, too"


def test_only_some_are_shown_of_many(side: Any) -> None:
    found = comparison.compare(
        side("old", years=30), side("new", years=20), FRAME, asked(*[25] * 50)
    ).recorded
    assert found is not None
    assert (found.changed, len(found.shown)) == (50, 10)


@pytest.mark.parametrize("requests", [[], asked(99)])
def test_without_any_that_the_old_one_answers_nothing_is_said(side: Any, requests: list[Request]) -> None:
    assert comparison.compare(side("old"), side("new", years=20), FRAME, requests).recorded is None


def test_other_labels_are_not_compared(side: Any) -> None:
    assert comparison.compare(side("old"), side("new", positive="sick"), FRAME, asked(10)).recorded is None


def test_where_none_could_be_asked_that_is_a_reason_to_look(side: Any) -> None:
    requests = asked(99)
    found = comparison.compare(side("old"), side("new"), FRAME, requests)
    (reason,) = build._unasked(requests, [found])
    assert reason.startswith("none of 1 recorded requests could be asked of old and of HEAD: ")
    assert build._unasked(requests, []) == ["recorded requests cannot be asked: there is no older model"]


def test_where_none_were_given_or_some_were_asked_nothing_is_lost(side: Any) -> None:
    for requests in ([], asked(10)):
        found = comparison.compare(side("old"), side("new"), FRAME, requests)
        assert build._unasked(requests, [found]) == []
