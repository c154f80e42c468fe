"""The rules of a repository stand in git, and are set by one command."""

import json
from pathlib import Path

import pytest
from tests.github.conftest import Slipway
from tests.github.server import GitHub
from tests.unit.workshop import Workshop

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workshop(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """With the rules of this repository."""
    files = sorted((ROOT / ".github" / "rulesets").glob("*.json"))
    workshop.write({f".github/rulesets/{file.name}": file.read_text() for file in files})
    monkeypatch.chdir(workshop.root)
    for name in ("GITHUB_RUN_ID", "GITHUB_EVENT_PATH", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    return workshop


def test_the_rules_are_made_once_and_then_set_again(
    hub: GitHub, slipway: Slipway, workshop: Workshop
) -> None:
    assert slipway("protect").out == "slipway: main: made\nslipway: releases and desired states: made\n"
    hub.rulesets[1]["rules"] = []
    assert slipway("protect").out.count("set again") == 2
    main, tags = hub.rulesets
    assert [rule["type"] for rule in tags["rules"]] == ["deletion", "update"]
    assert "refs/tags/*#*#*" in tags["conditions"]["ref_name"]["include"]
    (checks,) = [rule for rule in main["rules"] if rule["type"] == "required_status_checks"]
    assert checks["parameters"]["required_status_checks"] == [{"context": "Required"}]
    assert workshop.root.is_dir()


def test_the_required_check_is_a_job_of_ci() -> None:
    assert "    name: Required\n" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


@pytest.mark.usefixtures("workshop")
def test_rules_of_the_organisation_are_left_alone(hub: GitHub, slipway: Slipway) -> None:
    hub.rulesets = [{"id": 1, "name": "slipway: main", "source_type": "Organization"}]
    assert slipway("protect").code == 0
    assert hub.rulesets[0] == {"id": 1, "name": "slipway: main", "source_type": "Organization"}


@pytest.mark.usefixtures("hub", "workshop")
@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_REPOSITORY"])
def test_what_is_missing_is_named(slipway: Slipway, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    code, _, errors = slipway("protect")
    assert code == 1
    assert f"error: {name} not set\n  next: GITHUB_REPOSITORY=owner/name GITHUB_TOKEN=..." in errors


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON"])
def test_a_file_that_is_no_ruleset_is_named(
    hub: GitHub, slipway: Slipway, workshop: Workshop, text: str
) -> None:
    workshop.write({".github/rulesets/main.json": text})
    code, _, errors = slipway("protect")
    assert (code, hub.rulesets) == (1, [])
    assert ".github/rulesets/main.json is no ruleset" in errors


def test_without_rules_nothing_is_set(hub: GitHub, slipway: Slipway, workshop: Workshop) -> None:
    for file in (workshop.root / ".github" / "rulesets").iterdir():
        file.unlink()
    assert slipway("protect").errors.splitlines()[-2].endswith("/.github/rulesets has no rulesets")
    assert json.dumps(hub.rulesets) == "[]"
