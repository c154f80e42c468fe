"""`slipway release` as a workflow calls it: only where something has changed, with the team told, and run again."""

from pathlib import Path

import pytest
from tests.unit.command import Slipway, slipway
from tests.unit.workshop import Workshop, hermetic, workshop

__all__ = ["hermetic", "slipway", "workshop"]

WORKFLOW = ("release", "--if-changed", "--push", "--output", "output")


@pytest.fixture
def origin(workshop: Workshop, tmp_path: Path) -> Path:
    """A bare repository that the workshop came from."""
    place = tmp_path / "origin.git"
    workshop.git("clone", "--quiet", "--bare", str(workshop.root), str(place))
    workshop.git("remote", "add", "origin", str(place))
    workshop.write({".gitignore": (workshop.root / ".gitignore").read_text() + "/output\n"})
    workshop.commit()
    return place


def output(workshop: Workshop) -> str:
    """What the next steps of the workflow are told, and no longer."""
    file = workshop.root / "output"
    text = file.read_text()
    file.unlink()
    return text


def told(workshop: Workshop) -> str:
    return workshop.git("ls-remote", "--tags", "origin")


@pytest.mark.usefixtures("origin")
def test_a_plan_names_the_release_and_makes_none(slipway: Slipway, workshop: Workshop) -> None:
    code, out, _ = slipway("release", "--if-changed", "--dry-run", "--push", "--output", "output")
    assert (code, out) == (0, "wear@v1.0.0: the first release\n  next: slipway release\n")
    assert output(workshop) == "release=v1.0.0\n"
    assert (workshop.tags, told(workshop)) == ([], "")


@pytest.mark.usefixtures("origin")
def test_run_again_on_the_same_commit_it_names_the_same_release(slipway: Slipway, workshop: Workshop) -> None:
    assert slipway(*WORKFLOW).out == "wear@v1.0.0: the first release\n  next: slipway deploy local v1.0.0\n"
    assert output(workshop) == "release=v1.0.0\n"
    before = told(workshop)
    assert "wear@v1.0.0" in before
    assert slipway(*WORKFLOW).out == "nothing to release: v1.0.0 stands on this commit already\n"
    assert (output(workshop), told(workshop)) == ("release=v1.0.0\n", before)


@pytest.mark.usefixtures("origin")
def test_where_nothing_has_changed_no_release_is_named(slipway: Slipway, workshop: Workshop) -> None:
    slipway(*WORKFLOW)
    output(workshop)
    workshop.write({"README.md": "Words\n"})
    workshop.commit()
    assert slipway(*WORKFLOW).out == "nothing to release: bundle, runtime and contract are those of v1.0.0\n"
    assert (output(workshop), workshop.tags) == ("release=\n", ["wear@v1.0.0"])


def test_an_origin_that_is_gone_leaves_no_release(slipway: Slipway, workshop: Workshop, origin: Path) -> None:
    origin.rename(origin.with_name("elsewhere"))
    code, _, errors = slipway(*WORKFLOW)
    assert (code, workshop.tags) == (1, [])
    assert errors.startswith("error: `git push")
    assert "next: git push origin refs/tags/wear@v1.0.0" in errors
    assert not (workshop.root / "output").exists()


def test_an_output_that_cannot_be_written_is_named(slipway: Slipway) -> None:
    code, _, errors = slipway("release", "--dry-run", "--output", "no/such/folder")
    assert (code, errors) == (1, "error: no/such/folder cannot be written to: No such file or directory\n")


def test_the_latest_release_can_be_verified(slipway: Slipway, workshop: Workshop) -> None:
    assert slipway("verify", "latest").errors == (
        "error: wear has no release yet\n  next: git fetch --tags, or slipway release\n"
    )
    slipway("release")
    workshop.write({"source/metrics.json": "{}"})
    workshop.commit()
    code, out, _ = slipway("verify", "latest")
    assert (code, out.splitlines()[-1].split()[0]) == (0, "wear@v1.0.0")
