"""What was live at a moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.unit.machine import as_pinned
from tests.unit.workshop import NOW

from slipway.errors import InputError
from slipway.fleet import past
from slipway.release import desired, quarantine
from slipway.release.names import ReleaseName

if TYPE_CHECKING:
    from tests.unit.machine import Host
    from tests.unit.workshop import Workshop

    from slipway.fleet.context import Context
    from slipway.serving.release import ReleaseRecord


def write(host: Host, *entries: tuple[str, str, ReleaseRecord]) -> None:
    """The release log, with a time for each line."""
    host.home.mkdir(parents=True, exist_ok=True)
    with (host.home / "releases.jsonl").open("a") as log:
        for at, action, record in entries:
            log.write(json.dumps({**record.model_dump(), "at": at, "action": action, "by": "ada"}) + "\n")


@pytest.fixture
def live(context: Context, workshop: Workshop, host: Host) -> Context:
    """v1.0.0 since noon; v1.1.0, of the newest commit, from one to two; then v1.0.0 again, as v1.1.0 was bad."""
    workshop.releases(2)
    old, new = host.record("v1.0.0"), as_pinned(workshop, "v1.1.0")
    host.make_live(old)
    write(
        host,
        ("2026-06-01T12:00:00Z", "deploy", old),
        ("2026-06-01T13:00:00Z", "deploy", new),
        ("2026-06-01T14:00:00Z", "abort", old),
    )
    name = ReleaseName.parse("v1.1.0", "wear")
    quarantine.declare(workshop.repository, name, "local", "the bake proves it slower", NOW)
    return context


def test_before_the_first_release_nothing_was_live(live: Context) -> None:
    assert past.at(live, past.instant("2026-06-01T11:59:59")) is None


@pytest.mark.parametrize("when", ["2026-06-01T13:00", "2026-06-01T13:59:59Z", "2026-06-01T15:30+02:00"])
def test_a_release_was_live_from_its_own_moment_to_that_of_the_next(
    live: Context, workshop: Workshop, when: str
) -> None:
    found = past.at(live, past.instant(when))
    assert found
    assert (found.record.release, found.since, found.until) == (
        "v1.1.0",
        "2026-06-01T13:00:00Z",
        "2026-06-01T14:00:00Z",
    )
    assert (found.action, found.by, found.why) == ("deploy", "ada", "v1.1.0")
    assert found.data == workshop.pins.data
    assert found.data


def test_who_went_back_says_from_what_and_why(live: Context) -> None:
    found = past.at(live, past.instant("2026-06-02"))
    assert found
    assert (found.record.release, found.until) == ("v1.0.0", None)
    assert found.why == "back from v1.1.0: the bake proves it slower"
    assert found.data is None, "the bundle is not the one of any commit"


def test_a_roll_back_from_a_sound_release_says_from_what(
    live: Context, workshop: Workshop, host: Host
) -> None:
    write(host, ("2026-06-01T16:00:00Z", "rollback", as_pinned(workshop, "v1.1.0")))
    found = past.at(live, past.instant("2026-06-02"))
    assert found
    assert (found.action, found.why) == ("rollback", "back from v1.0.0")


def test_a_candidate_is_of_no_commit(live: Context, host: Host) -> None:
    write(
        host, ("2026-06-01T16:00:00Z", "deploy", host.record("v1.2.0-candidate+c0ffee00.b29ebcfe.59d5cdb1"))
    )
    found = past.at(live, past.instant("2026-06-02"))
    assert found
    assert (found.why, found.data) == ("a candidate, of a work tree", None)


def test_a_release_whose_tag_is_gone_is_still_told(live: Context, workshop: Workshop) -> None:
    workshop.git("tag", "--delete", "wear@v1.1.0")
    found = past.at(live, past.instant("2026-06-01T13:30"))
    assert found
    assert (found.record.release, found.why) == ("v1.1.0", "git has no such release any more")


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"'last week' is no time; expected 2026-03-03T14:00, which is in UTC"
    ):
        past.instant("last week")


def test_git_and_the_hosts_may_differ_and_the_hosts_are_asked(live: Context, workshop: Workshop) -> None:
    name = ReleaseName.parse("v1.0.0", "wear")
    desired.declare(workshop.repository, "local", name, "rollback", NOW)
    found = past.at(live, past.instant("2026-06-01T13:30"))
    assert found
    assert found.record.release == "v1.1.0"
