"""The judges: `gto show`, `gto history` and `dvc artifacts get --stage`, run as a person runs them, agree with us."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.release import create, desired


class Decision(NamedTuple):
    """Somebody decides that an environment should run the release of this position, when a clock says so."""

    release: int
    action: str
    now: datetime
    environment: str = "local"


SECOND, YEAR = timedelta(seconds=1), timedelta(days=365)
DEPLOY, ROLLBACK = "deploy", "rollback"

SEQUENCES = {
    "a rollback in the same second": [
        Decision(0, DEPLOY, NOW), Decision(1, DEPLOY, NOW), Decision(0, ROLLBACK, NOW),
    ],
    "two rollbacks and a deploy in the same second": [
        Decision(0, DEPLOY, NOW), Decision(1, DEPLOY, NOW), Decision(2, DEPLOY, NOW),
        Decision(1, ROLLBACK, NOW), Decision(0, ROLLBACK, NOW), Decision(2, DEPLOY, NOW),
    ],
    "a clock that goes a year back": [
        Decision(2, DEPLOY, NOW), Decision(0, ROLLBACK, NOW - YEAR), Decision(1, DEPLOY, NOW - 2 * YEAR),
    ],
    "two environments": [
        Decision(2, DEPLOY, NOW), Decision(1, DEPLOY, NOW, "staging"), Decision(2, DEPLOY, NOW, "staging"),
        Decision(0, ROLLBACK, NOW - YEAR), Decision(1, ROLLBACK, NOW - YEAR, "staging"),
    ],
}  # fmt: skip


@pytest.fixture(params=SEQUENCES, ids=str)
def decided(request: pytest.FixtureRequest, workshop: Workshop) -> Workshop:
    """A repository with three releases, in which a sequence of decisions was made."""
    releases = workshop.releases(3)
    for release, action, now, environment in SEQUENCES[request.param]:
        desired.declare(workshop.repository, environment, releases[release], action, now)
    return workshop


def ours(workshop: Workshop) -> dict[str, desired.Desired]:
    """What is desired, by environment."""
    found = {
        name: desired.current(workshop.repository, MODEL, name) for name in ("local", "staging", "absent")
    }
    return {name: state for name, state in found.items() if state is not None}


def test_gto_and_dvc_agree_on_what_is_desired(decided: Workshop) -> None:
    shown = json.loads(decided.run("gto", "show", "--json"))[MODEL]
    assert shown["version"] == "v1.2.0"
    stages = {name: release for name, release in shown["stage"].items() if release is not None}
    assert stages == {name: state.release.label for name, state in ours(decided).items()}
    for environment, state in ours(decided).items():
        file = decided.root / f"got-{environment}"
        decided.run("dvc", "artifacts", "get", ".", MODEL, "--stage", environment, "--out", str(file))
        pinned = decided.git("show", f"{state.commit}:source/model.txt")
        assert file.read_text() == f"bundle of {pinned}\ncontract 1\n"


def test_gto_tells_the_same_history(decided: Workshop) -> None:
    told = json.loads(decided.run("gto", "history", MODEL, "--ascending", "--json"))
    releases = [event["ref"] for event in told if event["event"] == "registration"]
    assert releases == [name.tag for name in create.releases(decided.repository, MODEL)]
    for environment in ours(decided):
        assigned = [
            (event["ref"], event["version"], event["commit"], event["author"], event["timestamp"])
            for event in told
            if event["event"] == "assignment" and event["stage"] == environment
        ]
        assert assigned == [
            (
                state.name.tag,
                state.release.label,
                state.commit,
                state.by,
                state.at.astimezone(UTC).isoformat(),
            )
            for state in desired.history(decided.repository, MODEL, environment)
        ]


def test_gto_reads_a_tag_of_plain_git_as_we_do(workshop: Workshop) -> None:
    releases = workshop.releases(3)
    desired.declare(workshop.repository, "local", releases[2], DEPLOY, NOW)
    workshop.git("tag", "--annotate", "--message", "back", "wear#local#2", "wear@v1.0.0^{}")
    assert ours(workshop)["local"].release == releases[0]
    assert json.loads(workshop.run("gto", "show", "--json"))[MODEL]["stage"] == {"local": "v1.0.0"}


def test_gto_makes_a_decision_that_we_read(workshop: Workshop) -> None:
    """With `--force`: GTO warns of an older version."""
    releases = workshop.releases(3)
    desired.declare(workshop.repository, "local", releases[2], DEPLOY, NOW)
    workshop.run("gto", "assign", MODEL, "--version", "v1.1.0", "--stage", "local", "--force")
    found = ours(workshop)["local"]
    assert (found.name.number, found.release) == (2, releases[1])
