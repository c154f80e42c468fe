"""An event starts the workflows that GitHub would start, with the inputs that they declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workflows.site import one_job
from tests.workflows.triggers import passes
from tests.workflows.workflow import WorkflowError

if TYPE_CHECKING:
    from tests.workflows.site import Site


@pytest.mark.parametrize(
    ("pattern", "name", "passed"),
    [
        ("feature/*", "feature/a", True), ("feature/*", "feature/a/b", False), ("feature/**", "feature/a/b", True),
        ("*#*#*", "churn#production#3", True), ("*#*#*", "churn@v1.0.0", False), ("v[12].[0-9]+", "v2.10", True),
        ("v[12].[0-9]+", "v3.1", False), ("*.jsx?", "page.js", True), ("**/README.md", "README.md", True),
        ("docs/**/*.md", "docs/index.md", True), ("a.b", "axb", False), ("a\\*", "a*", True), ("a\\*", "ab", False),
    ],
)  # fmt: skip
def test_a_pattern_matches_what_github_says_it_does(pattern: str, name: str, *, passed: bool) -> None:
    assert passes([pattern], name) is passed


@pytest.mark.parametrize(
    ("on", "event", "started"),
    [
        ("push", "push_to_main", True),
        ("[pull_request, workflow_dispatch]", "push_to_main", False),
        ("{push: {branches: [main]}}", "push_to_main", True),
        ("{push: {branches: ['**', '!ma*']}}", "push_to_main", False),
        ("{push: {branches-ignore: [main]}}", "push_to_main", False),
        ("{push: {tags: ['*#*#*']}}", "push_to_main", False),
        ("{push: {tags: ['*#*#*']}}", "push_of_tag", True),
        ("{push: {tags: ['*@v*']}}", "push_of_tag", False),
        ("{push: {branches: [main]}}", "push_of_tag", False),
        ("{push: {branches: [main], tags: ['*#*#*'], paths: [nowhere]}}", "push_of_tag", True),
        ("{push: {paths: ['docs/**', '!**/index.md']}}", "push_to_main", False),
        ("{push: {paths: ['**.md']}}", "push_to_main", True),
        ("{push: {paths-ignore: ['**']}}", "push_to_main", False),
        ("{push: {paths-ignore: ['**.md']}}", "push_to_main", True),
        ("pull_request", "pull_request", True),
        ("{pull_request: {types: [opened, closed]}}", "pull_request", False),
        ("{pull_request: {branches: [release]}}", "pull_request", False),
        ("{pull_request: {paths: [params.yaml]}}", "pull_request", True),
        ("{pull_request: {paths: ['terraform/**']}}", "pull_request_from_fork", False),
        ("{workflow_run: {workflows: [CI], types: [completed]}}", "workflow_run", True),
        ("{workflow_run: {workflows: [Release], types: [completed]}}", "workflow_run", False),
        ("{workflow_run: {workflows: [CI], branches: [main]}}", "workflow_run", False),
        ("{schedule: [{cron: '17 3 * * *'}, {cron: '0 0 * * 0'}]}", "schedule", True),
        ("{schedule: [{cron: '0 0 * * 0'}]}", "schedule", False),
        ("{workflow_dispatch: {inputs: {environment: {required: true}}}}", "workflow_dispatch", True),
    ],
)
def test_an_event_starts_the_workflows_whose_filters_it_passes(
    site: Site, on: str, event: str, *, started: bool
) -> None:
    site.git("tag", "churn#production#3")
    site.git("push", "--quiet", "origin", "churn#production#3")
    site.propose({"params.yaml": "C: 0.3\n"})

    assert site.run(one_job("- run: 'true'", f"on: {on}"), event).started is started


INPUTS = """\
on:
  workflow_dispatch:
    inputs:
      environment: {type: choice, options: [staging, production], required: true}
      release: {type: string}
      force: {type: boolean, default: false}
"""


def test_inputs_of_a_dispatch_have_their_types_and_defaults(site: Site) -> None:
    workflow = one_job(
        "- run: echo ${{ inputs.environment }},${{ inputs.release }},${{ !inputs.force }}", INPUTS
    )

    assert site.run(workflow, "workflow_dispatch").jobs["it"].steps[0].output == "production,,true\n"
    forced = site.run(workflow, "workflow_dispatch", {"inputs": {"force": "true"}})
    assert forced.jobs["it"].steps[0].output == "production,,false\n"


@pytest.mark.parametrize(
    "given", [{"environment": "nowhere"}, {"environment": ""}, {"force": "maybe"}, {"other": "x"}]
)
def test_an_input_that_is_not_what_is_asked_for_is_refused(site: Site, given: dict[str, str]) -> None:
    with pytest.raises(WorkflowError, match="inputs"):
        site.run(one_job("- run: 'true'", INPUTS), "workflow_dispatch", {"inputs": given})
