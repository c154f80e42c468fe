"""What `plan`, `status` and `history` print, for people and for programs."""

import json

import pytest
from tests.unit.command import Slipway, slipway
from tests.unit.machine import Host, Server, as_pinned, environment, host, packed, server, serving, terraform
from tests.unit.workshop import Workshop, hermetic, workshop

__all__ = [
    "environment",
    "hermetic",
    "host",
    "packed",
    "server",
    "serving",
    "slipway",
    "terraform",
    "workshop",
]


def test_status_of_nothing_is_told_and_ends_with_1(slipway: Slipway) -> None:
    code, out, errors = slipway("status", "local")
    assert (code, errors) == (1, "")
    rows = {line[:15].strip(): line[15:].strip() for line in out.splitlines()}
    assert rows == {
        "desired": "not declared in git",
        "live": "nothing",
        "answers": "nothing",
        "url": "",
        "installed": "nothing",
        "verdict": "nothing is deployed",
        "next": "slipway deploy local",
    }


def test_status_of_what_serves_is_in_order(slipway: Slipway, serving: Server, host: Host) -> None:
    code, out, errors = slipway("status", "local")
    assert (code, errors) == (0, "")
    rows = {line[:15].strip(): line[15:].strip() for line in out.splitlines()}
    assert rows == {
        "desired": "not declared in git",
        "live": "v1.0.0 (blue)",
        "answers": f"v1.0.0, bundle {host.record('v1.0.0').bundle[:12]}",
        "url": serving.url,
        "installed": "v1.0.0",
        "verdict": "in order",
    }


@pytest.mark.usefixtures("serving")
def test_status_as_json_is_json_and_nothing_else(slipway: Slipway, host: Host) -> None:
    code, out, errors = slipway("status", "local", "--json")
    assert (code, errors) == (0, "")
    found = json.loads(out)
    live = host.record("v1.0.0").model_dump()
    assert (found["live"], found["answers"], found["problems"]) == (live, live, [])
    assert found["hosts"] == {
        "local-1": {"live": live, "slot": "blue", "answers": live, "installed": ["v1.0.0"], "problems": []}
    }


def test_plan_ends_with_2_where_something_is_pending(slipway: Slipway, serving: Server) -> None:
    code, out, errors = slipway("plan", "local")
    assert serving.asked == []
    assert (code, errors) == (2, "")
    rows = {line[:15].strip(): line[15:].strip() for line in out.splitlines()}
    assert rows.pop("target").startswith("v1.0.0-candidate+")
    assert rows == {
        "live": "v1.0.0",
        "pipeline": "up to date",
        "infrastructure": "no changes",
        "runtime": "to be installed",
        "release": "to be installed",
        "swap": "yes",
    }


def test_plan_ends_with_0_where_nothing_is_pending(
    slipway: Slipway, serving: Server, host: Host, workshop: Workshop
) -> None:
    workshop.releases(1)
    host.make_live(as_pinned(workshop, "v1.0.0"))
    code, out, _ = slipway("plan", "local", "v1.0.0", "--json")
    assert serving.asked == [("/readyz", None)]
    assert json.loads(out) == {
        "environment": "local",
        "live": "v1.0.0",
        "target": "v1.0.0",
        "stale": [],
        "infrastructure": False,
        "install_release": False,
        "install_runtime": False,
        "swap": False,
        "pending": False,
    }
    assert code == 0


@pytest.mark.usefixtures("serving")
def test_history_shows_the_latest_first_and_cuts_nothing_off(
    slipway: Slipway, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    code, out, errors = slipway("history", "local")
    assert (code, errors) == (0, "")
    records = [host.record(label) for label in ("v1.0.0", "v0.9.0")]
    assert [line.split() for line in out.splitlines()] == [
        ["since", "release", "action", "by", "commit", "bundle"],
        *(["2026-06-01T12:00:00Z", r.release, "deploy", "ada", r.commit[:7], r.bundle[:12]] for r in records),
    ]


@pytest.mark.usefixtures("serving")
def test_history_as_json_holds_every_digest(slipway: Slipway, host: Host) -> None:
    code, out, _ = slipway("history", "local", "--json")
    expected = [
        host.record(label).model_dump()
        | {"at": "2026-06-01T12:00:00Z", "action": "deploy", "by": "ada", "desired": 0}
        for label in ("v1.0.0", "v0.9.0")
    ]
    assert (code, json.loads(out)) == (0, expected)


@pytest.mark.usefixtures("serving")
def test_history_at_a_moment_says_what_was_live_and_why(slipway: Slipway, host: Host) -> None:
    code, out, errors = slipway("history", "local", "--at", "2026-06-01T12:00")
    assert (code, errors) == (0, "")
    record = host.record("v1.0.0")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows == {
        "release": "v1.0.0",
        "since": "2026-06-01T12:00:00Z, deploy by ada",
        "until": "now",
        "why": "git has no such release any more",
        "commit": record.commit,
        "data": "git does not know",
        "bundle": record.bundle,
        "runtime": record.runtime,
    }
    found = json.loads(slipway("history", "local", "--at", "2026-06-01T12:00", "--json").out)
    assert (found["release"], found["until"], found["data"]) == ("v1.0.0", None, None)


@pytest.mark.usefixtures("serving")
def test_history_before_the_first_release_says_so(slipway: Slipway) -> None:
    said = slipway("history", "local", "--at", "2026-01-01")
    assert (said.code, said.out) == (0, "nothing was live on local at 2026-01-01T00:00:00+00:00\n")
    assert json.loads(slipway("history", "local", "--at", "2026-01-01", "--json").out) is None
    said = slipway("history", "local", "--at", "yesterday")
    assert (said.code, said.out) == (1, "")
    assert "'yesterday' is no time" in said.errors


def test_history_of_nothing_is_empty(slipway: Slipway) -> None:
    assert json.loads(slipway("history", "local", "--json").out) == []
    said = slipway("history", "local")
    assert (said.code, said.out) == (0, "nothing has been live on local\n  next: slipway deploy local\n")
