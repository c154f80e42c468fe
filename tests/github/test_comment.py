"""One comment on a pull request, whoever made the report."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.github.conftest import FORK, SHA, Slipway, event
from tests.github.server import BOT, LIMIT, GitHub

from slipway.github.comment import MARKER
from slipway.github.files import TEXT_BYTES

OTHER = "f" * 40
REPORT = "## ✅ Fine: Regularise more\n\n| validation | now |\n| --- | --- |\n| recall | 0.95 |\n"

FORGED = json.dumps(
    {
        "workflow_run": {
            "id": 55, "event": "pull_request", "head_sha": SHA, "head_branch": "fix/\ud800",
            "head_repository": {"full_name": FORK, "owner": {"login": "stranger"}},
        }
    }
)  # fmt: skip


@pytest.fixture
def report(folder: Path, hub: GitHub) -> Path:
    """The folder of a fork's pull request, number 7."""
    (folder / "report.md").write_text(REPORT)
    hub.pull(7, SHA, "fix/less", FORK)
    return folder


def bodies(hub: GitHub) -> list[str]:
    return [each["body"] for each in hub.comments.get(7, [])]


def test_a_fork_s_report_becomes_a_comment_of_the_bot(hub: GitHub, slipway: Slipway, report: Path) -> None:
    code, out, errors = slipway("comment", str(report))

    assert (code, errors) == (0, "")
    assert out.startswith("#7 has the report of 0123456: https://github.test/")
    assert bodies(hub) == [
        f"{MARKER}\n<sub>Written by the code of this pull request at 0123456, in "
        "[this run](https://github.test/octo/screening/actions/runs/55).</sub>\n\n" + REPORT.rstrip()
    ]


def test_a_second_report_takes_the_place_of_the_first(hub: GitHub, slipway: Slipway, report: Path) -> None:
    slipway("comment", str(report))
    (report / "report.md").write_text("worse\n")
    slipway("comment", str(report))

    assert len(bodies(hub)) == 1
    assert bodies(hub)[0].endswith("\n\nworse")


def test_the_same_report_again_writes_nothing(hub: GitHub, slipway: Slipway, report: Path) -> None:
    slipway("comment", str(report))
    hub.asked.clear()

    assert slipway("comment", str(report)).code == 0
    assert hub.writes == []


def test_the_comment_is_found_on_a_later_page_and_by_its_author(
    hub: GitHub, slipway: Slipway, report: Path
) -> None:
    hub.page = 2
    hub.comment(7, f"{MARKER}\nfrom a stranger", "stranger")
    hub.comment(7, f"I quote: {MARKER}", BOT)
    for number in range(4):
        hub.comment(7, f"chat {number}", "octocat")
    mine = hub.comment(7, f"{MARKER}\nold", BOT)
    before = bodies(hub)[:-1]

    slipway("comment", str(report))

    assert bodies(hub)[:-1] == before
    assert "Regularise more" in mine["body"]
    assert hub.writes == [f"PATCH /repos/octo/screening/issues/comments/{mine['id']}"]


def test_who_has_a_token_of_his_own_is_asked_for_his_name(
    hub: GitHub, slipway: Slipway, report: Path
) -> None:
    hub.login = "machine-user"
    hub.comment(7, f"{MARKER}\nof the bot", BOT)
    slipway("comment", str(report))
    slipway("comment", str(report))

    assert [each["user"]["login"] for each in hub.comments[7]] == [BOT, "machine-user"]


def test_of_two_comments_that_ran_into_each_other_one_is_left(
    hub: GitHub, slipway: Slipway, report: Path
) -> None:
    for _ in range(3):
        hub.comment(7, f"{MARKER}\nold", BOT)
    kept = hub.comments[7][0]["id"]
    slipway("comment", str(report))

    assert [each["id"] for each in hub.comments[7]] == [kept]


def test_an_older_run_says_nothing_on_a_newer_commit(hub: GitHub, slipway: Slipway, report: Path) -> None:
    hub.pulls[0]["head"]["sha"] = OTHER

    assert slipway("comment", str(report)) == (
        0,
        "#7 has a newer commit than 0123456, whose own run will comment\n",
        "",
    )
    assert hub.writes == []


def test_no_number_of_the_folder_is_believed(hub: GitHub, slipway: Slipway, report: Path) -> None:
    (report / "number").write_text("3")
    (report / "report.json").write_text('{"number": 3}')
    hub.pull(3, OTHER, "other", "octo/screening")
    slipway("comment", str(report))

    assert list(hub.comments) == [7]


@pytest.mark.parametrize(
    "pull",
    [
        (7, SHA, "fix/less", FORK, "closed"),
        (7, SHA, "fix/less", "stranger/second-fork"),
        (7, SHA, "fix/less", None),
        (7, SHA, "other", FORK),
    ],
    ids=["closed", "of another fork", "of a fork that is gone", "of another branch"],
)
def test_a_pull_request_that_is_not_the_run_s_own_is_left_alone(
    hub: GitHub, slipway: Slipway, report: Path, pull: tuple[Any, ...]
) -> None:
    hub.pulls.clear()
    hub.pull(*pull)

    assert slipway("comment", str(report)) == (
        0,
        "no open pull request has brought 0123456, so there is nothing to comment on\n",
        "",
    )
    assert hub.writes == []


@pytest.mark.parametrize(
    "changed", [{"event": "push"}, {"head_repository": None}, {"head_branch": None}], ids=str
)
def test_a_run_of_no_pull_request_has_nothing_to_comment_on(
    hub: GitHub, slipway: Slipway, report: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    event(tmp_path, **changed)

    assert slipway("comment", str(report)).code == 0
    assert hub.writes == []


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"pull_request": {"number": 7}}', '{"workflow_run": {"id": "x"}}', "[" * 200_000, FORGED],
    ids=["nothing", "a list", "another", "no number", "nested", "half a character"],
)
def test_an_event_of_another_kind_is_refused(
    slipway: Slipway, report: Path, tmp_path: Path, content: str
) -> None:
    (tmp_path / "event.json").write_text(content)

    code, _, errors = slipway("comment", str(report))

    assert code == 1
    assert errors.endswith("event.json is no event 'workflow_run', by which this workflow must be started\n")


def test_an_event_that_is_not_there_is_said(slipway: Slipway, report: Path, tmp_path: Path) -> None:
    (tmp_path / "event.json").unlink()

    code, _, errors = slipway("comment", str(report))

    assert (code, errors.splitlines()[-1]) == (
        1,
        f"error: {tmp_path / 'event.json'} cannot be read: No such file or directory",
    )


# What a stranger may put into the folder.


def secret(file: Path) -> None:
    secret = file.parent.parent / "secret"
    secret.write_text("of the runner")
    file.symlink_to(secret)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "cannot be read as a plain file: No such file or directory"),
        (secret, "cannot be read as a plain file: Too many levels of symbolic links"),
        (Path.mkdir, "is not a plain file"),
        (os.mkfifo, "is not a plain file"),
        (lambda file: file.write_bytes(b"fine \xff"), "is not UTF-8 from its byte 5"),
        (lambda file: file.write_bytes(b"x" * (TEXT_BYTES + 1)), "has more than 1048576 bytes"),
    ],
    ids=["missing", "a link", "a folder", "a pipe", "not UTF-8", "too large"],
)
def test_a_file_that_is_no_report_is_refused_before_anything_is_asked(
    hub: GitHub, slipway: Slipway, report: Path, make: Any, said: str
) -> None:
    (report / "report.md").unlink()
    make(report / "report.md")

    code, out, errors = slipway("comment", str(report))

    assert (code, out) == (1, "")
    assert errors.splitlines()[-1] == f"error: {report / 'report.md'} {said}"
    assert hub.asked == []


def test_a_folder_that_is_a_link_is_refused(hub: GitHub, slipway: Slipway, report: Path) -> None:
    link = report.parent / "link"
    link.symlink_to(report)

    assert slipway("comment", str(link)).code == 1
    assert hub.asked == []


def test_nobody_is_called_and_no_marker_is_smuggled_in(hub: GitHub, slipway: Slipway, report: Path) -> None:
    (report / "report.md").write_text(f"{MARKER}\n{MARKER}\n@octo/team ![](https://evil.test/a.png)\n")
    slipway("comment", str(report))

    said = bodies(hub)[0]
    assert said.count("<!--") == 1
    assert "@octo" not in said
    assert "](https://evil" not in said


@pytest.mark.parametrize(
    "line", ["| recall of the smaller half | 0.95 | ⛔ |\n", "@a"], ids=["lines", "one line"]
)
def test_a_report_that_is_too_long_is_cut_and_says_so(
    hub: GitHub, slipway: Slipway, report: Path, line: str
) -> None:
    (report / "report.md").write_text(line * 22_000 + "the end\n")

    assert slipway("comment", str(report)).code == 0
    said = bodies(hub)[0]
    assert LIMIT - 100 < len(said) <= LIMIT
    assert "is cut; [the run](https://github.test/octo/screening/actions/runs/55) has the whole" in said
    assert "the end" not in said
    assert said.endswith(line.rstrip()) or line == "@a"
