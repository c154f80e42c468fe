"""`slipway report`: what it says of real changes, and what is left where something cannot be had."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt
from tests.local.workplace import Workplace

from slipway.fleet import infra_summary
from slipway.fleet.infra_summary import Action, Change, Monthly, Summary

if TYPE_CHECKING:
    from pathlib import Path


def test_a_change_of_hyperparameters_is_compared_with_the_base_and_with_production(report: Any) -> None:
    told = report("better", "--base", "base", "--environment", "production")
    assert told.found["verdict"] == "fine"
    assert told.only["old"].endswith(" and v1.0.0 in production, which are the same")
    assert told.only["parameters"] == ["train.hyperparameters.C: 1.0 -> 0.3"]
    assert told.only["interface"] == []
    low, high = told.metric("roc_auc")["interval"].values()
    assert low < told.metric("roc_auc")["new"] - told.metric("roc_auc")["old"] < high
    assert told.only["rows"] == [398, 398]
    assert told.found["version"].startswith("v1.1.0: the model differs from v1.0.0's")
    assert told.found["rollout"] == {
        "environment": "production", "live": "v1.0.0", "batches": ["1", "50%", "100%"], "bake_seconds": 300.0,
    }  # fmt: skip
    assert told.said.startswith("fine: HEAD (")


def test_metrics_are_those_that_the_pipeline_has_recorded(report: Any, desk: Workplace) -> None:
    told = report("better", "--base", "base")
    recorded = json.loads((desk.root / "reports" / "metrics.json").read_text())["validation"]
    for name, value in recorded.items():
        assert told.metric(name)["new"] == pytest.approx(value, abs=1e-9)
    before = json.loads(desk.git("show", "base:reports/metrics.json"))["validation"]
    for name, value in before.items():
        assert told.metric(name)["old"] == pytest.approx(value, abs=1e-9)


def test_a_model_that_decides_otherwise_must_be_looked_at(report: Any) -> None:
    told = report("ill", "--base", "base")
    assert told.found["verdict"] == "look"
    assert any(
        reason.startswith("accuracy is surely worse than that of base") for reason in told.found["reasons"]
    )
    assert told.only["decisions"]["wronged"] > told.only["decisions"]["righted"]
    assert told.only["golden"]
    assert told.only["slices"][0]["sure"]
    assert "| accuracy |" in told.markdown
    assert "worse |" in told.markdown
    assert "**Golden rows that are decided otherwise**" in told.markdown


def test_a_narrower_contract_breaks_callers(report: Any) -> None:
    told = report("narrow", "--base", "base")
    assert told.found["verdict"] == "look"
    assert told.only["interface"] == [{"what": "column mean_area: maximum 5000, was 10000", "breaks": True}]
    assert told.found["version"].startswith("v2.0.0: the contract differs")
    assert "- breaks callers: column mean_area: maximum 5000, was 10000" in told.markdown


def test_without_a_base_it_tells_what_there_is(report: Any) -> None:
    told = report("better")
    assert told.found["verdict"] == "fine"
    assert told.found["comparisons"] == []
    assert told.found["reasons"] == ["it meets its success criteria; there is nothing to compare it with"]
    assert "| recall |" in told.markdown


def test_the_same_model_is_said_to_be_the_same(report: Any) -> None:
    told = report("base", "--base", "base")
    assert told.found["reasons"] == ["the model is the same"]
    assert "The model is the same, byte for byte." in told.markdown
    assert "<svg" not in told.html


def test_where_nothing_is_declared_that_is_said(report: Any) -> None:
    told = report("better", "--environment", "staging")
    assert told.found["notes"] == ["nothing has been declared for staging yet"]
    assert "There is nothing to go back to yet." in told.markdown


def test_a_base_without_metrics_is_no_base(report: Any, desk: Workplace) -> None:
    desk.git("checkout", "--quiet", "-B", "unmeasured", "base")
    desk.git("rm", "--quiet", "reports/metrics.json")
    desk.git("commit", "--quiet", "--message", "Measure nothing")
    told = report("better", "--base", "unmeasured")
    (reason,) = told.found["reasons"]
    assert reason.startswith("unmeasured (")
    assert "has no reports/metrics.json" in reason
    assert told.found["verdict"] == "look", "nothing was compared"


def test_where_the_base_s_bundle_is_lost_each_side_s_own_figures_are_left(
    report: Any, desk: Workplace
) -> None:
    lock = desk.git("show", "base:dvc.lock")
    at = lock.index("path: artifacts/bundle.tar")
    md5 = lock[at:].split("md5: ")[1].split()[0]
    places = [*desk.root.parent.glob(f"cache/files/md5/{md5[:2]}/{md5[2:]}"), *desk.root.glob(f".slipway/**/{md5[2:]}")]  # fmt: skip
    kept = {place: place.read_bytes() for place in places}
    assert len(kept) == 2, places
    for place in places:
        place.unlink()
    try:
        told = report("better", "--base", "base")
    finally:
        for place, content in kept.items():
            place.write_bytes(content)
    assert told.found["verdict"] == "look"
    assert "cannot be fetched" in told.only["note"] or "is neither in DVC's cache" in told.only["note"]
    assert told.metric("recall")["interval"] is None
    assert "The figures are each one's own." in told.markdown


def test_what_is_not_committed_is_not_in_it_and_that_is_said(report: Any, desk: Workplace) -> None:
    desk.git("checkout", "--quiet", "--force", "base")
    (desk.root / "note.txt").write_text("x")
    try:
        told = report("base")
    finally:
        (desk.root / "note.txt").unlink()
    assert told.found["notes"] == ["the work tree differs from HEAD and is not in this report: note.txt"]


def test_a_clone_that_has_only_the_newest_commit_may_not_know_all_and_that_is_said(
    desk: Workplace, tmp_path: Path
) -> None:
    shallow = Workplace(tmp_path / "shallow")
    git = ["git", "clone", "--quiet", "--depth=1", "--no-tags", "--branch=better", desk.root.as_uri()]
    desk.run(*git, str(shallow.root))
    for name in (".venv", ".dvc/config.local"):
        (shallow.root / name).symlink_to(desk.root / name)
    shallow.does("report", "--out", str(tmp_path))
    found = json.loads((tmp_path / "report.json").read_text())
    note = "this clone is shallow: releases and desired states may be missing"
    assert note in found["notes"]
    assert note in (tmp_path / "report.md").read_text()


def test_a_tag_of_a_commit_without_a_lock_stands_in_nobody_s_way(report: Any, desk: Workplace) -> None:
    desk.git("checkout", "--quiet", "-B", "unlocked", "base")
    desk.git("rm", "--quiet", "dvc.lock")
    desk.git("commit", "--quiet", "--message", "Forget the lock")
    desk.git("tag", "--annotate", "tumour-screening@v1.9.0", "--message", "By hand", "unlocked")
    try:
        told = report("better", "--base", "base")
    finally:
        desk.git("tag", "--delete", "tumour-screening@v1.9.0")
    assert told.found["version"] == "v1.1.0: the model differs from v1.0.0's"
    assert told.found["notes"] == []
    assert told.found["verdict"] == "fine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--base", "nowhere"), "there is no revision nowhere"),
        (("--environment", "mars"), "unknown environment 'mars'"),
    ],
)
def test_what_is_not_there_is_refused(desk: Workplace, arguments: tuple[str, ...], words: str) -> None:
    said = desk.slipway("report", *arguments)
    assert said.code == 1
    assert words in said.err
    assert "next: " in said.err


def test_parameters_that_the_bundle_was_not_made_by_are_a_reason_to_stop(
    report: Any, desk: Workplace
) -> None:
    desk.git("checkout", "--quiet", "--force", "-B", "stale", "base")
    desk.set("train.decision_threshold", "0.02")
    desk.git("commit", "--quiet", "--all", "--message", "Forget dvc repro")
    told = report("stale", "--base", "base")
    assert told.found["verdict"] == "stop"
    assert told.found["reasons"] == [
        "the bundle was not made by these parameters: dvc.lock is stale, dvc repro makes it anew"
    ]
    assert told.found["version"] is None
    assert (told.only["same_model"], told.only["decisions"]) == (False, None), (
        "its bundle is an older commit's"
    )


def test_metrics_that_were_written_by_hand_are_a_reason_to_stop(report: Any, desk: Workplace) -> None:
    desk.git("checkout", "--quiet", "--force", "-B", "polished", "better")
    metrics = desk.root / "reports" / "metrics.json"
    found = json.loads(metrics.read_text())
    found["validation"]["recall"] = 1.0
    metrics.write_text(json.dumps(found))
    desk.git("commit", "--quiet", "--all", "--message", "Look better")
    told = report("polished", "--base", "base")
    assert told.found["verdict"] == "stop"
    (reason,) = told.found["reasons"]
    assert reason.startswith("reports/metrics.json: not what dvc.lock says")


def test_another_split_is_not_compared_as_the_older_model_may_know_the_rows(report: Any) -> None:
    told = report("resplit", "--base", "base")
    assert told.found["verdict"] == "look"
    assert told.only["note"].startswith("the data or their split differ")
    assert told.only["slices"] == []
    assert told.metric("recall")["interval"] is None


def test_data_that_have_moved_are_a_reason_to_look_and_named_with_the_column(report: Any) -> None:
    told = report("shifted", "--base", "base")
    assert told.found["verdict"] == "look"
    (moved,) = told.only["moved"]
    assert moved["column"] == "mean_texture"
    before, now = (float(moved[side].removeprefix("median ")) for side in ("before", "now"))
    assert now - before == pytest.approx(5, abs=1)
    assert 0.1 <= moved["distance"] <= 1
    words = f"mean_texture, {moved['before']} -> {moved['now']}"
    (reason,) = [
        each for each in told.found["reasons"] if each.startswith("the data have moved since base (")
    ]
    assert reason.endswith(f": {words}")
    row = f"| mean_texture | {moved['before']} | {moved['now']} | {moved['distance']:.2f} |"
    assert row in told.markdown.splitlines()


def test_a_base_whose_parameters_are_of_another_version_is_compared_by_its_bundle(
    report: Any, desk: Workplace
) -> None:
    desk.git("checkout", "--quiet", "--force", "-B", "older", "base")
    params = desk.root / "params.yaml"
    params.write_text(f"{params.read_text()}\nunknown: 1\n")
    desk.git("commit", "--quiet", "--all", "--message", "As another version has it")
    told = report("narrow", "--base", "older")
    assert told.found["verdict"] == "look"
    assert told.only["interface"] == [{"what": "column mean_area: maximum 5000, was 10000", "breaks": True}]
    assert told.only["parameters"] is None


@pytest.fixture
def requests(desk: Workplace) -> Path:
    """Two requests that DVC keeps: on the branch `asked` stands the pointer, and the file itself is not here."""
    file = desk.root / "data" / "requests.jsonl"
    desk.git("checkout", "--quiet", "--force", "-B", "asked", "better")
    row = json.loads((desk.root / "docs" / "case.json").read_text())
    file.write_text("".join(json.dumps({"request": id_, "inputs": [row]}) + "\n" for id_ in ("one", "two")))
    desk.run("dvc", "add", "--quiet", str(file))
    desk.git("add", "data")
    desk.git("commit", "--quiet", "--message", "Keep requests")
    file.unlink()
    return file


def test_requests_that_dvc_keeps_are_asked_by_their_pointer(report: Any, requests: Path) -> None:
    told = report("asked", "--base", "base", "--requests", "data/requests.jsonl")
    assert not requests.exists()
    assert told.found["notes"] == []
    assert (told.only["recorded"]["rows"], told.only["recorded"]["refused"]) == (2, 0)
    assert told.found["verdict"] == "fine"


def test_requests_whose_object_is_lost_are_a_reason_to_look(
    report: Any, requests: Path, desk: Workplace
) -> None:
    md5 = requests.with_name("requests.jsonl.dvc").read_text().split("md5: ")[1].split()[0]
    (desk.root.parent / "cache" / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    told = report("asked", "--base", "base", "--requests", "data/requests.jsonl")
    assert told.found["verdict"] == "look"
    (reason,) = told.found["reasons"]
    assert reason.startswith("recorded requests cannot be asked: ")
    assert f"requests.jsonl (md5 {md5}) is neither in DVC's cache nor in its remote" in reason
    assert told.only["decisions"], "the rest is told"


def test_requests_of_nobody_but_slipway_are_a_reason_to_look(report: Any, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text(json.dumps({"request": "slipway-golden-1", "inputs": [{}]}))
    told = report("better", "--base", "base", "--requests", str(file))
    assert told.found["verdict"] == "look"
    assert told.found["reasons"] == ["recorded requests cannot be asked: all of them are Slipway's own"]


def test_a_desired_state_that_cannot_be_told_does_not_look_as_if_there_were_none(
    report: Any, desk: Workplace
) -> None:
    desk.git("tag", "--annotate", "tumour-screening#staging#1", "--message", "Release: v7.0.0", "base")
    try:
        told = report("better", "--environment", "staging")
    finally:
        desk.git("tag", "--delete", "tumour-screening#staging#1")
    assert told.found["verdict"] == "look"
    assert told.found["rollout"] is None
    assert "nothing to go back to" not in told.markdown


def test_a_folder_that_is_a_file_is_refused(desk: Workplace, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = desk.slipway("report", "--out", str(tmp_path / "file"))
    assert (said.code, said.err.count("Traceback")) == (1, 0)
    assert "cannot be written to" in said.err


def test_plans_of_machines_are_a_part_of_it_and_a_loss_is_a_reason_to_look(
    report: Any, tmp_path: Path
) -> None:
    host = Change(address='aws_instance.host["a"]', action=Action.REPLACE, kind="host", forced_by=("ami",))
    topic = Change(address="aws_sns_topic.alarms", action=Action.CREATE, kind=None)
    cost = Monthly(before=100, after=1219.5)
    asked = []
    for name, changes in (("staging", (topic,)), ("production", (host, topic))):
        plan = Summary(environment=name, changes=changes, differences=(), outputs=(), cost=cost)
        (tmp_path / f"{name}.json").write_text(infra_summary.to_json(plan))
        asked += ["--infrastructure", str(tmp_path / f"{name}.json")]
    told = report("better", "--base", "base", *asked)
    assert told.found["verdict"] == "look"
    assert told.found["reasons"] == [
        'an apply to production replaces a host, forced by ami: aws_instance.host["a"]'
    ]
    assert [each["environment"] for each in told.found["infrastructure"]] == ["staging", "production"]
    assert told.found["infrastructure"][1]["dangerous"] == ['aws_instance.host["a"]']
    assert (
        "### Infrastructure of production: 1 to create, 0 to change in place, 1 to replace" in told.markdown
    )
    assert '- `aws_instance.host["a"]`: replaces a host, forced by ami\n' in told.markdown
    assert "\n\n\n" not in told.markdown
    assert "It will cost $1,219.50 a month, by the price table; before $100.00 (+1,119.50)." in told.html
    assert told.html.count("<h3>Infrastructure of ") == 2


def test_a_plan_that_is_none_is_refused(desk: Workplace, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"environment": "<script>"}')
    said = desk.slipway("report", "--infrastructure", str(tmp_path / "plan.json"))
    assert said.code == 1
    assert "plan.json is no summary of a plan\n  next: slipway infra plan ENV --out FOLDER" in said.err
    assert "<script>" not in said.err


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)
        for name, value in attrs:
            assert name not in {"src", "href"} or not (value or "").startswith("http")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(report: Any) -> None:
    told = report("ill", "--base", "base")
    tags = _Tags()
    tags.feed(told.html)
    assert tags.open == []
    assert {"table", "svg", "circle"} <= tags.seen
    assert "#b42318" in told.html, "what is worse is red"


def test_the_report_begins_with_its_verdict(report: Any) -> None:
    told = report("better", "--base", "base")
    assert told.markdown.startswith("## ")
    assert MarkdownIt("commonmark").enable("table").render(told.markdown).count("<table>") >= 1
