"""What callers have asked is fetched from where it was answered, and a report says what becomes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.local.workplace import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.workplace import Workplace

ASKED = 30


def test_requests_that_were_answered_are_fetched_and_asked_again_by_a_report(
    local: Workplace, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    for row in rows[:ASKED]:
        local.ask("/predict", row)
    newest = local.ask("/predict", rows[ASKED])["predictions"][0]
    file = tmp_path / "requests.jsonl"

    def is_written() -> bool:
        local.does("requests", "local", "--last", str(ASKED + 1), "--out", str(file))
        return bool(json.loads(file.read_text().splitlines()[-1])["inputs"] == [rows[ASKED]])

    until(is_written, "the newest request is in the log")
    recorded = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["inputs"] for each in recorded] == [[row] for row in rows[: ASKED + 1]]
    assert recorded[-1]["predictions"] == [newest]
    assert file.stat().st_mode & 0o777 == 0o600, "it may hold what is nobody else's business"

    local.set("train.decision_threshold", "0.02")
    local.run("dvc", "repro", "--quiet")
    local.git("commit", "--quiet", "--all", "--message", "Call almost everybody ill")
    try:
        local.does("report", "--base", "begin", "--requests", str(file), "--out", str(tmp_path))
    finally:
        local.git("reset", "--quiet", "--hard", "begin")
        local.run("dvc", "checkout", "--quiet", "--force")
    (found,) = json.loads((tmp_path / "report.json").read_text())["comparisons"]
    known = {each["request"]: each["predictions"][0] for each in recorded}
    asked = found["recorded"]
    assert (asked["rows"], asked["refused"]) == (ASKED + 1, 0)
    assert 0 < asked["changed"] <= ASKED
    assert asked["positive"][0] < asked["positive"][1]
    for each in asked["shown"]:
        label, probability = known[each["row"]].values()
        assert each["old"] == f"{label} ({probability:.3f})", "which is what the caller was told"
    assert (
        f"Of {ASKED + 1} rows of recorded requests, {asked['changed']} are decided otherwise"
        in (tmp_path / "report.md").read_text()
    )


def test_a_file_that_cannot_be_written_is_said_and_nothing_is_left(local: Workplace, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, and no folder")
    said = local.slipway("requests", "local", "--out", str(tmp_path / "taken" / "requests.jsonl"))
    assert said.code == 1
    assert "cannot be written to" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
