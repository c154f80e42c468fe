"""GitHub is asked with patience, and no failure shows the token."""

import logging
import os
import re
import socket
import time
from pathlib import Path

import pytest
from tests.github.conftest import FORK, SHA, Slipway
from tests.github.server import REPOSITORY, TOKEN, Fault, GitHub

from slipway.errors import InputError, MachineError
from slipway.github import api, workflow
from slipway.github.answers import Comment
from slipway.github.comment import MARKER

HOME = f"/repos/{REPOSITORY}"
NESTED = b"[" * 200_000
AGAIN = "\n  next: run the workflow's job again"


@pytest.fixture
def report(folder: Path, hub: GitHub) -> str:
    (folder / "report.md").write_text("fine\n")
    hub.pull(7, SHA, "fix/less", FORK)
    return str(folder)


def error_of(slipway: Slipway, report: str) -> str:
    code, out, errors = slipway("comment", report)
    assert (code, out) == (1, "")
    return errors.rpartition("error: ")[2].strip()


# Refusals, which asking again does not mend.


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("GET", "/pulls", 401, "Bad credentials"), "GitHub does not take GITHUB_TOKEN (401: Bad credentials)"),
        (
            Fault("POST", "/comments", 403, "not accessible",
                  {"X-Accepted-GitHub-Permissions": "issues=write"}),
            f"GITHUB_TOKEN may not POST {HOME}/issues/7/comments (403: not accessible); the job's permissions need issues=write",
        ),
        (Fault("GET", "/comments", 404, "Not Found"), f"GitHub refuses GET {HOME}/issues/7/comments (404: Not Found)"),
        (Fault("POST", "/comments", 410, "Gone"), f"GitHub refuses POST {HOME}/issues/7/comments (410: Gone)"),
        (
            Fault("POST", "/comments", 422, "Validation Failed"),
            f"GitHub refuses POST {HOME}/issues/7/comments (422: Validation Failed)",
        ),
        (Fault("GET", "/pulls", 404, content=NESTED), f"GitHub refuses GET {HOME}/pulls (404: Not Found)"),
        (
            Fault("POST", "/comments", 307, "Moved", {"Location": "/elsewhere"}),
            f"GitHub has moved what POST {HOME}/issues/7/comments asks for (307): is GITHUB_REPOSITORY its new name?",
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else "",
)  # fmt: skip
def test_a_refusal_is_said_once_with_its_reason(
    hub: GitHub, slipway: Slipway, report: str, fault: Fault, said: str
) -> None:
    hub.faults += [fault] * 5

    assert error_of(slipway, report) == said
    assert len(hub.faults) == 4
    assert hub.comments == {}


def test_a_token_that_is_refused_is_said(
    hub: GitHub, slipway: Slipway, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_expired")

    assert error_of(slipway, report) == "GitHub does not take GITHUB_TOKEN (401: Bad credentials)"
    assert hub.writes == []


# Faults, which may pass.


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize(
    "place", [("GET", "/pulls"), ("GET", "/comments"), ("PATCH", "/comments/"), ("DELETE", "/comments/")]
)
def test_a_passing_fault_is_waited_for(
    hub: GitHub, slipway: Slipway, report: str, pauses: list[float], status: int, place: tuple[str, str]
) -> None:
    for _ in range(2):
        hub.comment(7, f"{MARKER}\nold", "github-actions[bot]")
    hub.faults += [Fault(*place, status)] * 3

    assert slipway("comment", report).code == 0
    assert pauses == [1, 2, 4]
    assert len(hub.comments[7]) == 1


def test_a_fault_that_does_not_pass_is_said(
    hub: GitHub, slipway: Slipway, report: str, pauses: list[float]
) -> None:
    hub.faults += [Fault("GET", "/pulls", 502, "Server Error")] * 9

    assert error_of(slipway, report) == f"GitHub fails at GET {HOME}/pulls (502: Server Error){AGAIN}"
    assert len(hub.faults) == 5
    assert sum(pauses) < 30


@pytest.mark.parametrize("after", [True, False], ids=["it was made", "it was not made"])
def test_what_may_have_been_made_is_looked_for_and_not_made_twice(
    hub: GitHub, slipway: Slipway, report: str, *, after: bool
) -> None:
    hub.faults.append(Fault("POST", "/comments", 502, after=after))

    assert slipway("comment", report).code == 0
    assert len(hub.comments[7]) == 1
    assert hub.writes.count(f"POST {HOME}/issues/7/comments") == (1 if after else 2)


def test_what_is_never_made_is_said(hub: GitHub, slipway: Slipway, report: str) -> None:
    hub.faults += [Fault("POST", "/comments", 502)] * 9

    assert error_of(slipway, report) == f"GitHub fails at POST {HOME}/issues/7/comments (502: no){AGAIN}"
    assert len(hub.faults) == 5


def test_what_was_deleted_by_a_question_without_an_answer_is_gone(
    hub: GitHub, slipway: Slipway, report: str
) -> None:
    for _ in range(2):
        hub.comment(7, f"{MARKER}\nold", "github-actions[bot]")
    hub.faults.append(Fault("DELETE", "/comments/", 502, after=True))

    assert slipway("comment", report).code == 0
    assert len(hub.comments[7]) == 1


# Limits of the rate.


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("place", [("GET", "/pulls"), ("POST", "/comments")])
def test_it_waits_as_long_as_github_asks(
    hub: GitHub, slipway: Slipway, report: str, pauses: list[float], status: int, place: tuple[str, str]
) -> None:
    hub.faults.append(Fault(*place, status, "You have exceeded a secondary rate limit", {"Retry-After": "7"}))

    assert slipway("comment", report).code == 0
    assert pauses == [7]


@pytest.mark.parametrize(
    ("fault", "when"),
    [
        (
            Fault("GET", "/pulls", 403, "You have exceeded a secondary rate limit", {"Retry-After": "60"}),
            "in 60 s",
        ),
        (Fault("GET", "/pulls", 429, "slow", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), "later"),
        (Fault("GET", "/pulls", 429, "slow", {"Retry-After": "9" * 400}), "later"),
        (Fault("GET", "/pulls", 403, "slow down", {"X-RateLimit-Remaining": "0"}), "later"),
        (Fault("GET", "/pulls", 403, "You have exceeded a secondary rate limit"), "later"),
    ],
    ids=["a minute", "a date", "for ever", "used up", "without a word"],
)
def test_a_longer_wait_is_left_to_the_next_run(
    hub: GitHub, slipway: Slipway, report: str, pauses: list[float], fault: Fault, when: str
) -> None:
    hub.faults += [fault] * 3

    said = error_of(slipway, report)

    assert said.startswith(f"GitHub limits this token's rate and may be asked again {when} (4")
    assert pauses == []


def test_a_name_that_may_not_be_asked_for_now_is_not_taken_for_the_bot_s(
    hub: GitHub, slipway: Slipway, report: str
) -> None:
    hub.login = "machine-user"
    hub.faults += [Fault("GET", "/user", 403, "API rate limit exceeded", {"X-RateLimit-Remaining": "0"})]

    assert "limits this token's rate" in error_of(slipway, report)
    assert hub.comments == {}


# Who is not GitHub.


def test_a_list_that_goes_on_at_another_host_is_not_followed(
    hub: GitHub, slipway: Slipway, report: str
) -> None:
    place = hub.url.replace("127.0.0.1", "localhost")
    hub.faults.append(
        Fault("GET", "/pulls", 200, headers={"Link": f'<{place}/storage/1>; rel="next"'}, content=[])
    )

    said = error_of(slipway, report)

    assert said == f"GitHub's list goes on at another host: {place}/storage/1"
    assert [each for each in hub.asked if each.path.startswith("/storage")] == []


@pytest.mark.parametrize(
    "content",
    [{"total_count": 0}, ["7"], [{"number": "seven"}], None, NESTED],
    ids=lambda told: str(told)[:25],
)
def test_an_answer_of_something_else_is_not_read(
    hub: GitHub, slipway: Slipway, report: str, content: object
) -> None:
    hub.faults.append(Fault("GET", "/pulls", 200, content=content))

    assert error_of(slipway, report) == f"what answers GET {HOME}/pulls is not GitHub's API"
    assert hub.writes == []


def test_a_host_that_does_not_answer_is_given_up_in_time(
    hub: GitHub, slipway: Slipway, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_SECONDS", 2.0)
    monkeypatch.setattr(api, "_TRY_SECONDS", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        said = error_of(slipway, report)

    assert re.fullmatch(rf"GitHub at http://127\.0\.0\.1:\d+ does not answer: timed out{AGAIN}", said)
    assert time.monotonic() - begun < 25
    assert hub.asked == []


def test_a_host_that_is_not_there_is_said(
    slipway: Slipway, report: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{gone.getsockname()[1]}")

    assert "does not answer: [Errno 111] Connection refused" in error_of(slipway, report)
    assert pauses == [1, 2, 4]


# The token.


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 418, 422, 429, 500, 502])
@pytest.mark.parametrize("place", [("GET", "/pulls"), ("GET", "/user"), ("POST", "/comments")])
def test_a_server_that_repeats_the_token_is_not_quoted(
    hub: GitHub,
    slipway: Slipway,
    report: str,
    caplog: pytest.LogCaptureFixture,
    status: int,
    place: tuple[str, str],
) -> None:
    caplog.set_level(logging.INFO)  # below that, httpcore quotes what it hears, to whoever turns it on
    hub.login = "machine-user"
    said = f"Bearer {TOKEN}"
    headers = {"X-Accepted-GitHub-Permissions": said, "Location": "/elsewhere"}
    hub.faults += [Fault(*place, status, said, headers)] * 9

    # The fixture has looked for the token in all that was said and logged.
    code = slipway("comment", report).code
    assert code == (0 if place == ("GET", "/user") and status == 403 else 1)


def test_no_object_shows_the_token(run: None, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ARG001
    caplog.set_level(logging.DEBUG)
    here = workflow.here(os.environ, "slipway github comment")
    with api.Api(here) as asked:
        assert TOKEN not in f"{here!r} {here} {asked!r} {asked} {asked._client!r} {asked._client.headers!r}"


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\r\nX: y", f"{TOKEN}ü"])
def test_a_token_that_is_none_is_refused_and_not_shown(
    hub: GitHub, slipway: Slipway, report: str, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", token)

    assert error_of(slipway, report) == "GITHUB_TOKEN is not as GitHub writes it"
    assert hub.asked == []


# Where it runs.


NAMES = ["API_URL", "REPOSITORY", "TOKEN", "EVENT_PATH", "SERVER_URL", "RUN_ID"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["comment", "release", "issue"])
def test_outside_of_a_workflow_each_verb_says_what_is_missing(
    hub: GitHub, slipway: Slipway, report: str, monkeypatch: pytest.MonkeyPatch, name: str, verb: str
) -> None:
    monkeypatch.delenv(f"GITHUB_{name}")
    arguments = {
        "comment": [report],
        "release": ["v1.0.0", report],
        "issue": ["--title", "x", "--body-file", f"{report}/report.md"],
    }

    code, _, errors = slipway(verb, *arguments[verb])

    assert code == 1
    assert f"error: GITHUB_{name} not set: 'slipway github {verb}' is for a workflow of GitHub" in errors
    assert hub.asked == []


def test_with_nothing_set_all_is_named_and_how_the_token_comes() -> None:
    with pytest.raises(InputError) as refused:
        workflow.here({}, "slipway github issue")
    assert [name for name in NAMES if f"GITHUB_{name}" in str(refused.value)] == NAMES
    assert "env: {GITHUB_TOKEN: ${{ github.token }}}" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REPOSITORY", "octo"),
        ("REPOSITORY", "octo/../../user"),
        ("REPOSITORY", "octo/screening?x=1"),
        ("RUN_ID", "77/../.."),
        ("API_URL", "http://github.test"),
        ("API_URL", "github.test"),
        ("SERVER_URL", "javascript:alert(1)"),
    ],
)
def test_a_variable_that_is_none_of_github_s_is_refused(
    hub: GitHub, slipway: Slipway, report: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"GITHUB_{name}", value)

    assert error_of(slipway, report).startswith(f"GITHUB_{name} is not a")
    assert hub.asked == []


def test_a_list_without_an_end_is_given_up(hub: GitHub, run: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(api, "_PAGES", 3)
    hub.page = 1
    for number in range(5):
        hub.comment(7, f"chat {number}", "octocat")
    here = workflow.here(os.environ, "x")
    with api.Api(here) as asked, pytest.raises(MachineError, match="more than 3 pages"):
        list(asked.each(Comment, f"{HOME}/issues/7/comments"))
