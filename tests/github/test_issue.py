"""One open issue for as long as something is wrong."""

from pathlib import Path

import pytest
from tests.github.conftest import Slipway
from tests.github.server import BOT, LIMIT, GitHub

TITLE = "Infrastructure has drifted"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    made = tmp_path / "drift.md"
    made.write_text("production: 2 to change\n")
    return made


def say(slipway: Slipway, words: Path, *more: str) -> str:
    code, out, errors = slipway("issue", "--title", TITLE, "--body-file", str(words), *more)
    assert (code, errors) == (0, "")
    return out


def test_it_opens_an_issue_with_labels_and_the_run(hub: GitHub, slipway: Slipway, words: Path) -> None:
    say(slipway, words, "--label", "drift", "--label", "infra")

    (made,) = hub.issues
    assert (made["title"], made["user"]["login"]) == (TITLE, BOT)
    assert [each["name"] for each in made["labels"]] == ["drift", "infra"]
    assert made["body"].startswith("production: 2 to change\n")
    assert made["body"].endswith("Found by [this run](https://github.test/octo/screening/actions/runs/77).\n")


def test_the_same_found_again_writes_nothing(
    hub: GitHub, slipway: Slipway, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(slipway, words)
    hub.asked.clear()
    monkeypatch.setenv("GITHUB_RUN_ID", "78")
    say(slipway, words)

    assert len(hub.issues) == 1
    assert hub.writes == []


def test_something_else_found_changes_the_issue_and_tells_those_who_follow_it(
    hub: GitHub, slipway: Slipway, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(slipway, words)
    words.write_text("production: 3 to change\n")
    monkeypatch.setenv("GITHUB_RUN_ID", "78")
    say(slipway, words)
    say(slipway, words)

    (made,) = hub.issues
    assert made["body"].startswith("production: 3 to change\n")
    (comment,) = hub.comments[made["number"]]
    assert "actions/runs/78" in comment["body"]


def test_issues_of_others_pull_requests_and_closed_ones_are_left_alone(
    hub: GitHub, slipway: Slipway, words: Path
) -> None:
    hub.page = 1
    hub.issue(TITLE, "of a stranger", "stranger")
    hub.issue(TITLE, "a pull request", BOT, pull_request={"url": "..."})
    hub.issue(TITLE, "of last year", BOT, state="closed")
    hub.issue(f"{TITLE} again", "another", BOT)
    before = [dict(each) for each in hub.issues]
    say(slipway, words)

    assert hub.issues[:-1] == before
    assert hub.issues[-1]["body"].startswith("production: 2 to change")


def test_all_well_again_closes_it_once(hub: GitHub, slipway: Slipway, words: Path) -> None:
    say(slipway, words)
    for said in ("is closed", "no open issue says"):
        code, out, errors = slipway("issue", "--title", TITLE, "--close")
        assert (code, errors) == (0, "")
        assert said in out

    (made,) = hub.issues
    assert (made["state"], made["state_reason"]) == ("closed", "completed")
    (comment,) = hub.comments[made["number"]]
    assert comment["body"] == (
        "[The run](https://github.test/octo/screening/actions/runs/77) says: all is well again."
    )


def test_the_next_trouble_is_another_issue(hub: GitHub, slipway: Slipway, words: Path) -> None:
    say(slipway, words)
    say(slipway, words, "--close")
    say(slipway, words)

    assert [each["state"] for each in hub.issues] == ["closed", "open"]


def test_what_is_too_long_is_cut(hub: GitHub, slipway: Slipway, words: Path) -> None:
    words.write_text("one more line\n" * 10_000)
    say(slipway, words)
    say(slipway, words)

    (made,) = hub.issues
    assert LIMIT - 100 < len(made["body"]) <= LIMIT
    assert "is cut" in made["body"]
    assert made["body"].endswith("actions/runs/77).\n")
    assert hub.comments == {}


@pytest.mark.parametrize("title", ["", " ", "two\nlines", "x" * 257, " left"])
def test_a_title_that_is_none_is_refused(hub: GitHub, slipway: Slipway, words: Path, title: str) -> None:
    code, _, errors = slipway("issue", "--title", title, "--body-file", str(words))

    assert code == 1
    assert "an issue's title is one line of 1 to 256 characters" in errors
    assert hub.asked == []


def test_without_words_it_is_a_usage_error(hub: GitHub, slipway: Slipway) -> None:
    code, _, errors = slipway("issue", "--title", TITLE)

    assert code == 64
    assert "--body-file" in errors
    assert hub.asked == []
