"""`slipway verify`: what a person reads, what a program reads, and how it ends."""

import json

import pytest
from tests.unit.command import Slipway, slipway
from tests.unit.workshop import Workshop, hermetic, workshop

__all__ = ["hermetic", "slipway", "workshop"]


@pytest.fixture
def edited(workshop: Workshop) -> Workshop:
    """A commit with a metric that was changed by hand."""
    metrics = workshop.root / "reports" / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"recall": 0.95', '"recall": 0.99'))
    workshop.commit()
    return workshop


def test_an_honest_commit_ends_with_its_verdict(slipway: Slipway, workshop: Workshop) -> None:
    code, out, errors = slipway("verify")
    assert (code, errors) == (0, "")
    lines = out.splitlines()
    assert sorted(line.split()[1] for line in lines[:4]) == ["evaluate", "package", "runtime", "split"]
    assert all(line.endswith(" identical") for line in lines[:4])
    assert lines[-1] == (
        f"HEAD ({workshop.repository.head()[:7]}) is what its lock says: 4 stages rebuilt, 6 outputs identical"
    )


@pytest.mark.usefixtures("edited")
def test_a_dishonest_commit_is_refused_with_the_reasons_and_the_next_command(slipway: Slipway) -> None:
    code, out, errors = slipway("verify")
    assert code == 3
    assert "different; reports/metrics.json was changed by hand" in out
    assert errors.startswith("error: HEAD (")
    assert errors.splitlines()[1:] == [
        "  evaluate: reports/metrics.json was changed by hand: it is not what dvc.lock says",
        "  next: dvc repro --force, and commit what it makes",
    ]


def test_a_tag_can_be_verified_though_the_commit_is_not_honest(slipway: Slipway, edited: Workshop) -> None:
    edited.git("tag", "before", "HEAD~1")
    code, out, _ = slipway("verify", "before")
    assert (code, out.splitlines()[-1].split()[0]) == (0, "before")


def test_programs_get_json_and_nothing_else(slipway: Slipway, edited: Workshop) -> None:
    code, out, errors = slipway("verify", "--json")
    found = json.loads(out)
    assert (code, found["commit"], found["verdict"]) == (3, edited.repository.head(), "different")
    (stage,) = [stage for stage in found["stages"] if stage["stage"] == "evaluate"]
    assert stage["verdict"] == "different"
    assert stage["reasons"] == ["reports/metrics.json was changed by hand: it is not what dvc.lock says"]
    assert "error: HEAD (" in errors


def test_a_revision_that_is_none_says_where_to_look(slipway: Slipway) -> None:
    code, _, errors = slipway("verify", "v9.9.9")
    assert code == 1
    assert errors == "error: there is no revision v9.9.9\n  next: git log --oneline\n"
