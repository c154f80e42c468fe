"""The workflows as they stand, started by recorded events, with a `make` and a `slipway` that only say what they were asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.workflows.github import Environment
from tests.workflows.recorder import CLOUD, ENVIRONMENTS, MADE_BY, ROLE, SIGNED, Runner

if TYPE_CHECKING:
    from tests.workflows.site import Site


@pytest.fixture
def runner(site: Site) -> Runner:
    return Runner(site)


# A pull request.


@pytest.fixture
def proposed(runner: Runner) -> Runner:
    runner.site.propose({"params.yaml": "C: 0.3\n"})
    return runner


def test_a_pull_request_is_checked_planned_and_reported(proposed: Runner) -> None:
    run = proposed("ci", "pull_request")
    assert run.result == "success", run.log
    assert {call.split()[1] for call in proposed.calls} == MADE_BY | {"plan", "report", "required"}
    assert [call for call in proposed.calls if " plan" in call] == [
        f"make plan ENVIRONMENT={name}" for name in ("staging", "production")
    ]
    assert "make report ENVIRONMENT=production BASE=origin/main" in proposed.calls
    assert proposed.calls[-1] == f"make required CHECKS={' '.join(['success'] * 5)} OTHERS=success success"


def test_a_fork_has_no_secret_no_role_and_no_right_to_write(proposed: Runner) -> None:
    run = proposed("ci", "pull_request_from_fork", secrets={"SIGNING_KEY": "planted"})
    assert run.result == "success", run.log
    assert not [call for call in proposed.calls if "+" in call]
    assert {level for job in run.jobs.values() for level in job.permissions.values()} <= {"read"}
    assert proposed.calls[-1].endswith("OTHERS=skipped success")


@pytest.mark.parametrize("check", sorted(MADE_BY))
def test_what_fails_one_check_is_told_to_the_required_one(proposed: Runner, check: str) -> None:
    run = proposed("ci", "pull_request", failing=check)
    assert run.results[check] == "failure"
    assert proposed.calls[-1].count("failure") == 1


def test_a_cancelled_check_is_told_to_the_required_one(proposed: Runner) -> None:
    run = proposed("ci", "pull_request", cancels=frozenset({"check-ansible"}))
    assert run.results["check-ansible"] == "cancelled"
    assert "cancelled" in proposed.calls[-1]


def test_on_main_there_is_nothing_to_report(runner: Runner) -> None:
    run = runner("ci", "push_to_main")
    assert run.result == "success", run.log
    assert runner.calls[-1].endswith("OTHERS=skipped skipped")


def test_runs_of_main_do_not_cancel_each_other(proposed: Runner) -> None:
    assert proposed("ci", "pull_request").concurrency == {"group": "ci-7", "cancel-in-progress": True}
    on_main = proposed("ci", "push_to_main").concurrency
    assert on_main == {"group": f"ci-{proposed.site.git('rev-parse', 'main')}", "cancel-in-progress": False}


def test_the_comment_is_made_with_the_code_of_the_default_branch(proposed: Runner) -> None:
    report = proposed.site.root / "run-1" / "artifacts" / "report"
    report.mkdir(parents=True)
    (report / "report.md").write_text("# A report\n")
    run = proposed("comment", "workflow_run")
    assert run.result == "success", run.log
    assert proposed.calls == ["make comment +GITHUB_TOKEN"]
    assert run.jobs["comment"].permissions == {
        "actions": "read",
        "contents": "read",
        "pull-requests": "write",
    }


SAME = {"pull_request": {"head": {"repo": {"full_name": "octo-org/slipway", "fork": True}}}}
OTHER = {"pull_request": {"head": {"repo": {"full_name": "octo-org/other", "fork": False}}}}
GONE = {"pull_request": {"head": {"repo": None}}}


@pytest.mark.parametrize(
    ("head", "own"),
    [(SAME, True), (OTHER, False), (GONE, False)],
    ids=["a repository that is a fork", "another repository that is none", "a fork that is gone"],
)
def test_a_pull_request_is_a_stranger_s_where_it_comes_from_another_repository(
    proposed: Runner, head: dict[str, Any], *, own: bool
) -> None:
    run = proposed("ci", "pull_request", head)
    assert run.result == "success", run.log
    assert ("make check-pipeline VERIFY=whole" in proposed.calls) is own
    assert ("make check-pipeline VERIFY=without the data" in proposed.calls) is not own
    assert {run.jobs[name].environment for name in ("check-pipeline", "report")} == {
        "staging-plan" if own else None
    }
    assert any(call.startswith("make plan") for call in proposed.calls) is own


def test_a_commit_on_main_is_rebuilt_with_the_data(runner: Runner) -> None:
    run = runner("ci", "push_to_main")
    assert "make check-pipeline VERIFY=whole" in runner.calls
    assert run.jobs["check-pipeline"].environment == "staging-plan"


# A release.


def test_a_merge_that_changes_what_is_rolled_out_is_released_and_brought_to_staging(runner: Runner) -> None:
    run = runner("release", "push_to_main", new="v1.1.0")
    assert run.result == "success", run.log
    signed = "+SLIPWAY_SIGNING_KEY"
    assert [re.sub(r"--output \S+", "--output FILE", call) for call in runner.calls] == [
        "make setup",
        "slipway release --if-changed --dry-run --output FILE",
        "make setup",
        "make verify",
        "make objects",
        f"slipway release --if-changed --push --output FILE {signed}",
        f"slipway provenance v1.1.0 --out provenance RELEASE=v1.1.0 {signed}",
        "slipway github release v1.1.0 provenance RELEASE=v1.1.0 +GITHUB_TOKEN",
        "make setup ENVIRONMENT=staging RELEASE=v1.1.0",
        f"make deploy ENVIRONMENT=staging RELEASE=v1.1.0 {signed} +SSH_KEY",
    ]


def test_a_merge_that_changes_nothing_is_not_released(runner: Runner) -> None:
    run = runner("release", "push_to_main", new="")
    assert run.results == {"plan": "success", "release": "skipped", "staging": "skipped"}, run.log
    assert [call.split()[:2] for call in runner.calls] == [["make", "setup"], ["slipway", "release"]]
    assert run.jobs["plan"].environment is None, "nobody is asked to approve what does nothing"
    assert run.jobs["plan"].permissions == {"contents": "read"}


def test_what_is_tagged_meanwhile_is_what_goes_on(runner: Runner) -> None:
    run = runner("release", "push_to_main", new="v1.1.0", tagged="v1.2.0")
    assert run.result == "success", run.log
    assert run.jobs["release"].outputs == {"release": "v1.2.0"}
    assert [call for call in runner.calls if "v1.1.0" in call] == []
    assert "make deploy ENVIRONMENT=staging RELEASE=v1.2.0 +SLIPWAY_SIGNING_KEY +SSH_KEY" in runner.calls


def test_what_somebody_else_has_released_meanwhile_is_left_to_him(runner: Runner) -> None:
    run = runner("release", "push_to_main", new="v1.1.0", tagged="nothing")
    assert run.result == "success", run.log
    assert run.results["staging"] == "skipped"
    assert runner.calls[-1].startswith("slipway release --if-changed --push")


@pytest.mark.parametrize(
    ("private", "variables", "attests"),
    [(False, {}, True), (True, {}, False), (True, {"ATTEST": "yes"}, True)],
    ids=["public", "private", "private, where GitHub attests"],
)
def test_a_private_repository_attests_where_it_is_said_to(
    runner: Runner, variables: dict[str, str], *, private: bool, attests: bool
) -> None:
    change = {"repository": {"private": private}}
    run = runner("release", "push_to_main", change, new="v1.1.0", variables=CLOUD | variables)
    assert run.result == "success", run.log
    steps = run.jobs["release"].steps
    found = {step.outcome for step in steps if step.name.startswith("actions/attest")}
    assert found == {"success" if attests else "skipped"}
    assert runner.calls[-1].startswith("make deploy"), "and it goes on"


def test_without_a_cloud_nothing_is_released(runner: Runner) -> None:
    """The DVC remote is a folder of the runner then."""
    run = runner("release", "push_to_main", new="v1.1.0", variables={})
    assert (run.started, run.result, runner.calls) == (True, "skipped", [])


@pytest.mark.parametrize("step", ["verify", "objects", "provenance", "github"])
def test_what_fails_before_it_is_published_is_not_deployed(runner: Runner, step: str) -> None:
    run = runner("release", "push_to_main", new="v1.1.0", failing=step)
    assert run.results["release"] == "failure"
    assert run.results["staging"] == "skipped"
    tagged = [call for call in runner.calls if "--push" in call]
    assert bool(tagged) is (step in {"provenance", "github"})


# To an environment, and back.


def declare(site: Site, name: str) -> dict[str, str]:
    """A tag that somebody pushes; the event."""
    site.git("tag", "--annotate", "--message", "Deploy", name)
    site.git("push", "--quiet", "origin", name)
    return {"ref": f"refs/tags/{name}"}


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_pushed_tag_has_the_deploy_of_the_default_branch_started_and_nothing_else(
    runner: Runner, environment: str
) -> None:
    """The file that is run is that of the tag's commit: so it can do nothing but ask."""
    event = declare(runner.site, f"churn#{environment}#3")
    runner.site.commit({"README.md": "Newer\n"})
    run = runner("declared", "push_of_tag", event)
    assert run.result == "success", run.log
    (job,) = run.jobs.values()
    assert (job.environment, job.permissions) == (None, {"actions": "write", "contents": "read"})
    assert runner.calls[-1] == (
        f"slipway github dispatch deploy.yml --ref main --input environment={environment}"
        f" ENVIRONMENT={environment} +GITHUB_TOKEN"
    )


@pytest.mark.parametrize("name", ["churn#local#1", "churn@v1.0.0", "quarantine/churn/v1.0.0/1"])
def test_a_tag_that_is_no_desired_state_of_a_team_starts_nothing(runner: Runner, name: str) -> None:
    event = declare(runner.site, name)
    assert not runner("declared", "push_of_tag", event).started
    assert not runner("deploy", "push_of_tag", event).started


def test_a_tag_that_a_workflow_has_pushed_starts_nothing(runner: Runner) -> None:
    """Not being that of the run, PUSH_TOKEN starts workflows; what it has pushed is being brought already."""
    event = declare(runner.site, "churn#production#3")
    run = runner("declared", "push_of_tag", event, variables=CLOUD | {"PUSH_ACTOR": "ada"})
    assert (run.started, run.result, runner.calls) == (True, "skipped", [])


def test_an_environment_takes_no_tag(runner: Runner) -> None:
    """Whoever may push a tag brings workflows of his own: those get no key."""
    event = declare(runner.site, "churn#production#3")
    text = "on: push\njobs: {it: {runs-on: x, environment: production, steps: [{run: 'true'}]}}"
    run = runner.site.run(text, "push_of_tag", event, environments=ENVIRONMENTS)
    assert (run.result, run.jobs["it"].steps) == ("failure", [])


@pytest.mark.parametrize(("release", "told"), [("v1.1.0", " RELEASE=v1.1.0"), ("", "")])
def test_a_deploy_that_is_started_brings_the_release_or_what_git_says(
    runner: Runner, release: str, told: str
) -> None:
    run = runner("deploy", "workflow_dispatch", {"inputs": {"environment": "production", "release": release}})
    assert run.result == "success", run.log
    assert run.jobs["deploy"].environment == "production"
    assert runner.calls[-1] == f"make deploy ENVIRONMENT=production{told} +SLIPWAY_SIGNING_KEY +SSH_KEY"


def test_what_waits_for_its_reviewers_stands_in_nobody_s_way(runner: Runner) -> None:
    """A run holds its group while it waits: a deploy's must not be the one of the way back, nor that of machines."""
    inputs = {"inputs": {"environment": "production", "release": "v1.1.0"}}
    groups = [runner(name, "workflow_dispatch", inputs).concurrency for name in ("deploy", "rollback")]
    runner.site.commit({"terraform/main.tf": "\n"})
    groups += [job.concurrency for job in runner("infra", "push_to_main").jobs.values() if job.steps]
    assert groups == [
        {"group": name, "cancel-in-progress": False}
        for name in (
            "deploy-production", "rollback-production", "infrastructure-staging", "infrastructure-production"
        )
    ]  # fmt: skip


def test_whom_the_reviewers_turn_down_deploys_nothing(runner: Runner) -> None:
    guarded = ENVIRONMENTS | {"production": Environment(SIGNED, ROLE, approved=False)}
    inputs = {"environment": "production", "release": "v1.1.0"}
    run = runner("deploy", "workflow_dispatch", {"inputs": inputs}, environments=guarded)
    assert run.result != "success"
    assert runner.calls == []


@pytest.mark.parametrize("release", ["v1.0.0", ""])
def test_a_roll_back_trains_builds_and_plans_nothing(runner: Runner, release: str) -> None:
    inputs = {"environment": "production", "release": release}
    run = runner("rollback", "workflow_dispatch", {"inputs": inputs})
    assert run.result == "success", run.log
    told = f"ENVIRONMENT=production{f' RELEASE={release}' if release else ''}"
    assert runner.calls == [f"make setup {told}", f"make rollback {told} +SLIPWAY_SIGNING_KEY +SSH_KEY"]


# Machines, and what can be made again.


def test_main_applies_staging_before_production(runner: Runner) -> None:
    runner.site.commit({"terraform/main.tf": "\n"})
    run = runner("infra", "push_to_main")
    assert run.result == "success", run.log
    assert runner.calls == [f"make apply ENVIRONMENT={name}" for name in ("staging", "production")]


def test_main_applies_nothing_where_no_machine_has_changed(runner: Runner) -> None:
    runner.site.commit({"README.md": "Words\n"})
    assert not runner("infra", "push_to_main").started


def test_drift_is_looked_for_each_night_by_those_who_may_only_look(runner: Runner) -> None:
    run = runner("infra", "schedule", {"schedule": "17 2 * * *"})
    assert run.result == "success", run.log
    assert runner.calls == [
        f"make drift ENVIRONMENT={name} +GITHUB_TOKEN" for name in ("staging", "production")
    ]
    assert {job.environment for job in run.jobs.values() if job.steps} == {"staging-plan", "production-plan"}


def test_each_night_what_takes_long_is_tested(runner: Runner) -> None:
    run = runner("nightly", "schedule", {"schedule": "11 1 * * *"})
    assert run.result == "success", run.log
    assert runner.calls == ["make nightly"]


def test_the_newest_release_is_rebuilt_each_night(runner: Runner) -> None:
    run = runner("reproduce", "schedule", {"schedule": "43 3 * * *"})
    assert run.result == "success", run.log
    assert runner.calls == ["make reproduce"]


@pytest.mark.parametrize("event", ["push_to_main", "schedule"])
def test_without_a_cloud_nothing_asks_for_its_roles(runner: Runner, event: str) -> None:
    runner.site.commit({"terraform/main.tf": "\n"})
    cron = {"schedule": "17 2 * * *"} if event == "schedule" else None
    run = runner("infra", event, cron, variables={})
    assert (run.started, run.result, runner.calls) == (True, "skipped", [])
