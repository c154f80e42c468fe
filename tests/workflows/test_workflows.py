"""What holds for every workflow: it holds no logic, asks for no more than it needs, and brings nothing that moves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML
from tests.workflows.workflow import Workflow, read

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = (ROOT / ".github" / "targets.mk").read_text()
_CALL = re.compile(r"(make [a-z-]+|\.venv/bin/slipway [a-z]+( [^|;&`]*)?)")


def steps(workflow: Workflow) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in workflow.jobs.items():
        for step in job.get("steps", []):
            yield name, step


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> Workflow:
    return read(request.param)


def test_the_workflows_are_those_that_the_guide_lists() -> None:
    guide = (ROOT / "docs" / "github.md").read_text()
    listed = re.findall(r"^\| `(\S+\.yml)` \|", guide, re.MULTILINE)
    assert sorted(listed) == [path.name for path in WORKFLOWS]


def test_every_step_is_one_call_of_make_or_of_slipway(workflow: Workflow) -> None:
    for job, step in steps(workflow):
        if "run" in step:
            assert _CALL.fullmatch(step["run"]), f"{job}: {step['run']}"
            assert "${{" not in step["run"], f"{job}: what somebody writes must not become a script"


def test_every_target_that_is_made_exists(workflow: Workflow) -> None:
    for _, step in steps(workflow):
        if step.get("run", "").startswith("make "):
            dry = ["make", "--dry-run", *step["run"].split()[1:]]
            done = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_every_action_is_pinned_by_commit_and_says_its_version(workflow: Workflow) -> None:
    for line in workflow.path.read_text().splitlines():
        used = re.fullmatch(r"\s*(?:- )?uses: (.*)", line)
        if used and not used[1].startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used[1]), line


def test_an_action_is_of_one_version_everywhere() -> None:
    pinned: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, version in re.findall(r"uses: ([\w-]+/[\w-]+)@(.*)", path.read_text()):
            pinned.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in pinned.items() if len(versions) > 1} == {}


def test_nothing_may_be_done_but_what_a_job_says(workflow: Workflow) -> None:
    assert workflow.document["permissions"] == {}
    for name, job in workflow.jobs.items():
        assert job.get("permissions"), name


def test_every_job_ends_in_time(workflow: Workflow) -> None:
    for name, job in workflow.jobs.items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60, name


def test_who_may_not_push_keeps_no_credentials(workflow: Workflow) -> None:
    for name, step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            may = workflow.jobs[name]["permissions"].get("contents") == "write"
            assert step["with"]["persist-credentials"] is may, name


def test_who_may_push_does_so_with_the_token_that_may_tag_older_commits(workflow: Workflow) -> None:
    """GITHUB_TOKEN tags no commit whose workflows are those of no branch, as the releases before are."""
    for name, step in steps(workflow):
        if step.get("with", {}).get("persist-credentials") is True:
            assert step["with"].get("token") == "${{ secrets.PUSH_TOKEN || github.token }}", name


def test_what_runs_as_a_tag_has_it_has_no_environment(workflow: Workflow) -> None:
    for name, job in workflow.jobs.items() if "tags" in (workflow.on.get("push") or {}) else ():
        assert {"environment", "uses"} & set(job) == set(), name
        assert set(job["permissions"]) <= {"actions", "contents"}, name
        assert job["permissions"]["contents"] == "read", name
        assert "secrets." not in f"{job}", name


def test_terraform_is_told_the_same_in_every_job() -> None:
    variables = (ROOT / "terraform" / "environments" / "staging" / "variables.tf").read_text()
    told = {
        f"{path.stem}: {name}": {key: each for key, each in job["env"].items() if key.startswith("TF_VAR_")}
        for path in WORKFLOWS
        for name, job in read(path).jobs.items()
        if "TF_VAR_domain" in job.get("env", {})
    }
    assert list(told) == ["deploy: deploy", "infra: apply", "infra: drift", "plan: plan"]
    (same,) = {tuple(sorted(each.items())) for each in told.values()}
    assert {name.removeprefix("TF_VAR_") for name, _ in same} <= set(
        re.findall(r'^variable "(\w+)"', variables, re.MULTILINE)
    )


def test_the_guide_names_every_variable_and_every_secret() -> None:
    guide = (ROOT / "docs" / "github.md").read_text()
    used = {name for path in WORKFLOWS for name in re.findall(r"(?:vars|secrets)\.(\w+)", path.read_text())}
    assert [name for name in sorted(used) if f"`{name}`" not in guide] == []


def test_whoever_takes_a_role_is_bound_to_an_environment(workflow: Workflow) -> None:
    for name, job in workflow.jobs.items():
        if "steps" in job and "id-token" in job["permissions"]:
            assert job.get("environment"), name


def test_secrets_are_given_to_the_step_that_needs_them(workflow: Workflow) -> None:
    document = dict(workflow.document)
    jobs = {
        name: {key: each for key, each in job.items() if key != "steps"}
        for name, job in document.pop("jobs").items()
    }
    assert "secrets." not in f"{document}{jobs}"


def test_the_check_of_every_hook_is_made_by_a_job() -> None:
    """A hook that no target names would run on laptops only."""
    hooks = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    made = {hook for line in re.findall(r"call hooks,([a-z -]+)\)", TARGETS) for hook in line.split()}
    assert made == {hook["id"] for hook in hooks}


def test_every_test_is_run_by_a_job() -> None:
    """What one target leaves out, others take."""
    left_out = re.findall(r"--ignore tests/(\w+)", TARGETS)
    assert left_out == [folder for folder in left_out if (ROOT / "tests" / folder).is_dir()] != []
    for folder in left_out:
        assert re.search(
            rf"^\t@.*pytest\)? tests/{folder}", TARGETS.replace("$(PYTEST)", "pytest"), re.MULTILINE
        ), folder
    assert re.findall(r"tests/infra/(test_\w+)\*\.py", TARGETS) == ["test_terraform", "test_infra"]
    assert re.findall(r"--ignore-glob 'tests/infra/(test_\w+)\*'", TARGETS) == [
        "test_terraform",
        "test_infra",
    ]


def test_the_checks_of_a_pull_request_wait_for_nothing_and_are_all_required() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml").jobs
    checks = [name for name in jobs if name.startswith("check-")]
    assert sorted(jobs["required"]["needs"]) == sorted(set(jobs) - {"required"})
    assert [name for name in checks if {"if", "needs"} & set(jobs[name])] == []
    assert re.findall(r"needs\.(check-\w+)\.result", jobs["required"]["env"]["CHECKS"]) == checks
