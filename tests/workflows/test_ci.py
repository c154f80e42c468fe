"""`ci.yml` as it stands, with a `make` that only says what it was asked for: who decides whether a pull request is green."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.workflows.github import Run
    from tests.workflows.site import Site

CI = Path(__file__).parents[2] / ".github" / "workflows" / "ci.yml"
MAKE = """\
#!/bin/sh
echo "make $1" >> "$RECORD"
case " $FAILING " in *" $1 "*) exit 2 ;; esac
"""


@pytest.fixture
def proposed(site: Site) -> Site:
    """A pull request, and a `make` first on PATH that records its verbs and fails where `FAILING` names them."""
    stub = site.root / "bin" / "make"
    stub.parent.mkdir()
    stub.write_text(MAKE)
    stub.chmod(0o755)
    site.propose({"params.yaml": "C: 0.3\n"})
    return site


def ci(site: Site, *failing: str, event: str = "pull_request", **around: Any) -> Run:
    environ = {
        "PATH": f"{site.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "RECORD": str(site.root / "made.txt"),
        "FAILING": " ".join(failing),
    }
    return site.run(CI, event, environ=environ, **around)


@pytest.mark.parametrize("event", ["pull_request", "pull_request_from_fork", "push_to_main"])
def test_everything_is_made_and_the_pull_request_is_green(proposed: Site, event: str) -> None:
    run = ci(proposed, event=event)

    assert run.result == "success", run.log
    made = (proposed.root / "made.txt").read_text().split()[1::2]
    assert made == [
        step.name.removeprefix("make ")
        for job in run.jobs.values()
        for step in job.steps
        if "make" in step.name
    ]
    assert {"check", "test", "verify"} <= set(made)


@pytest.mark.parametrize("verb", ["check", "test", "verify"])
def test_what_fails_one_job_fails_the_required_one(proposed: Site, verb: str) -> None:
    run = ci(proposed, verb)

    assert [name for name, result in run.results.items() if result == "failure"] == [verb, "required"]


@pytest.mark.parametrize("job", ["check", "test", "verify"])
def test_a_job_that_is_cancelled_fails_the_required_one(proposed: Site, job: str) -> None:
    run = ci(proposed, cancels=frozenset({job}))

    assert run.results[job] == "cancelled"
    assert run.results["required"] == "failure"


@pytest.mark.parametrize("job", ["check", "test", "verify"])
def test_a_job_that_is_skipped_fails_the_required_one(proposed: Site, job: str) -> None:
    text = CI.read_text().replace(f"\n  {job}:\n", f"\n  {job}:\n    if: false\n")

    run = proposed.run(
        proposed.workflow(text), "pull_request",
        environ={"PATH": f"{proposed.root / 'bin'}{os.pathsep}{os.environ['PATH']}", "RECORD": os.devnull, "FAILING": ""},
    )  # fmt: skip

    assert run.results[job] == "skipped"
    assert run.results["required"] == "failure"


def test_no_job_may_write(proposed: Site) -> None:
    run = ci(proposed)

    assert {level for job in run.jobs.values() for level in job.permissions.values()} == {"read"}
    assert run.concurrency == {"group": "ci-7", "cancel-in-progress": True}


def test_runs_of_main_do_not_cancel_each_other(proposed: Site) -> None:
    run = ci(proposed, event="push_to_main")

    assert run.concurrency == {
        "group": f"ci-{proposed.git('rev-parse', 'main')}",
        "cancel-in-progress": False,
    }
