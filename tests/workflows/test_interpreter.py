"""Jobs run as GitHub runs them: their order and conditions, what they may, matrices, called workflows, environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.workflows.github import Environment
from tests.workflows.site import JOB, one_job
from tests.workflows.workflow import WorkflowError

if TYPE_CHECKING:
    from tests.workflows.site import Site


def test_jobs_run_after_those_that_they_need_and_read_their_outputs(site: Site) -> None:
    run = site.run(f"""
on: push
jobs:
  last:
    {JOB}
    needs: [first, second]
    steps: [{{run: 'test "$GIVEN" = "1 2"', env: {{GIVEN: "${{{{ join(needs.*.outputs.number, ' ') }}}}"}}}}]
  second:
    {JOB}
    needs: first
    outputs: {{number: "${{{{ steps.say.outputs.number }}}}"}}
    steps: [{{id: say, run: 'echo number=2 >> "$GITHUB_OUTPUT"'}}]
  first:
    {JOB}
    outputs: {{number: "${{{{ steps.say.outputs.number }}}}"}}
    steps: [{{id: say, run: 'echo number=1 >> "$GITHUB_OUTPUT"'}}]
""")

    assert list(run.results) == ["first", "second", "last"]
    assert run.result == "success", run.log


CHAIN = f"""
on: push
jobs:
  a: {{{JOB}, steps: [{{run: "exit ${{{{ vars.CODE }}}}"}}]}}
  b: {{{JOB}, needs: a, if: "vars.CODE == '0'", steps: [{{run: "true"}}]}}
  c: {{{JOB}, needs: b, steps: [{{run: "true"}}]}}
  after: {{{JOB}, needs: c, if: failure(), steps: [{{run: "true"}}]}}
  always: {{{JOB}, needs: c, if: always(), steps: [{{run: "true"}}]}}
  unless: {{{JOB}, needs: c, if: "!cancelled()", steps: [{{run: "true"}}]}}
  cancelled: {{{JOB}, needs: c, if: cancelled(), steps: [{{run: "true"}}]}}
"""


@pytest.mark.parametrize(
    ("code", "cancels", "results"),
    [
        (
            "0",
            frozenset[str](),
            ["success", "success", "success", "skipped", "success", "success", "skipped"],
        ),
        (
            "1",
            frozenset[str](),
            ["failure", "skipped", "skipped", "success", "success", "success", "skipped"],
        ),
        (
            "0",
            frozenset({"a"}),
            ["cancelled", "skipped", "skipped", "skipped", "success", "skipped", "success"],
        ),
    ],
)
def test_a_result_travels_down_the_chain_of_needs(
    site: Site, code: str, cancels: frozenset[str], results: list[str]
) -> None:
    run = site.run(CHAIN, variables={"CODE": code}, cancels=cancels)

    found = [run.results[name] for name in ("a", "b", "c", "after", "always", "unless", "cancelled")]
    assert found == results, run.log


RIGHTS = one_job(
    """
- run: echo "secret=${{ secrets.KEY }} variable=${{ vars.NAME }} ${ACTIONS_ID_TOKEN_REQUEST_URL:-no identity}"
""",
    "on: [pull_request, push]\npermissions: {contents: write, id-token: write, issues: none}",
)


def test_a_pull_request_of_the_repository_has_its_secrets_and_rights(site: Site) -> None:
    site.propose({"params.yaml": "C: 0.3\n"})

    job = site.run(RIGHTS, "pull_request", secrets={"KEY": "k3y"}, variables={"NAME": "ours"}).jobs["it"]

    assert job.permissions == {"contents": "write", "id-token": "write"}
    assert job.steps[0].raw == "secret=k3y variable=ours http://127.0.0.1:9/\n"


def test_a_fork_s_pull_request_gets_no_secrets_and_only_reads(site: Site) -> None:
    site.propose({"params.yaml": "C: 0.3\n"})

    around: Any = {"secrets": {"KEY": "k3y"}, "variables": {"NAME": "ours"}}
    job = site.run(RIGHTS, "pull_request_from_fork", **around).jobs["it"]

    assert job.permissions == {"contents": "read"}
    assert job.steps[0].raw == "secret= variable= no identity\n"


def test_a_pull_request_of_a_fork_that_is_gone_is_a_stranger_s(site: Site) -> None:
    site.propose({"params.yaml": "C: 0.3\n"})

    gone: Any = {"pull_request": {"head": {"repo": None}}}
    job = site.run(RIGHTS, "pull_request", gone, secrets={"KEY": "k3y"}).jobs["it"]

    assert job.permissions == {"contents": "read"}
    assert job.steps[0].raw.startswith("secret= ")


def test_what_a_job_may_is_what_it_says_or_else_the_workflow_or_else_to_read(site: Site) -> None:
    steps = "steps: [{run: 'true'}]"
    said = site.run(f"""
on: push
permissions: {{}}
jobs:
  nothing: {{runs-on: x, {steps}}}
  its_own: {{runs-on: x, permissions: {{issues: write}}, {steps}}}
""")
    unsaid = site.run(one_job("- run: 'true'"))

    assert said.jobs["nothing"].permissions == {}
    assert said.jobs["its_own"].permissions == {"issues": "write"}
    assert unsaid.jobs["it"].permissions == {"contents": "read", "packages": "read"}


MATRIX = f"""
on: push
jobs:
  it:
    {JOB}
    strategy: {{fail-fast: FAST, matrix: {{os: [a, b], n: [1, 2], exclude: [{{os: b, n: 1}}], include: [{{os: a, deep: true}}, {{os: c}}]}}}}
    steps: [{{run: 'echo "${{{{ matrix.os }}}} ${{{{ matrix.n }}}} ${{{{ matrix.deep }}}}"; test "${{{{ matrix.n }}}}" != BAD'}}]
  after: {{runs-on: x, needs: it, if: always(), steps: [{{run: 'echo ${{{{ needs.it.result }}}}'}}]}}
"""


def test_a_matrix_runs_every_combination(site: Site) -> None:
    run = site.run(MATRIX.replace("FAST", "true"))

    said = [job.steps[0].output for name, job in run.jobs.items() if name.startswith("it")]
    assert said == ["a 1 true\n", "a 2 true\n", "b 2 \n", "c  \n"]
    assert run.jobs["after"].steps[0].output == "success\n"


@pytest.mark.parametrize(("fast", "third"), [("true", "cancelled"), ("false", "success")])
def test_a_matrix_stops_at_a_failure_unless_told_otherwise(site: Site, fast: str, third: str) -> None:
    run = site.run(MATRIX.replace("FAST", fast).replace("BAD", "1"))

    assert list(run.results.values())[:3] == ["failure", third, third]
    assert run.jobs["after"].steps[0].output == "failure\n"


CALLED = f"""
on:
  workflow_call:
    inputs: {{environment: {{type: string, required: true}}, dry: {{type: boolean, default: true}}}}
    secrets: {{key: {{required: true}}}}
    outputs: {{url: {{value: "${{{{ jobs.plan.outputs.url }}}}"}}}}
jobs:
  plan:
    {JOB}
    permissions: {{contents: LEVEL}}
    outputs: {{url: "https://${{{{ inputs.environment }}}}"}}
    steps: [{{run: 'echo "${{{{ inputs.dry }}}} ${{{{ secrets.key }}}} $OURS"'}}]
"""
CALLER = """
on: push
permissions: {contents: read}
env: {OURS: ours}
jobs:
  deploy: {uses: ./.github/workflows/called.yml, with: {environment: staging}, secrets: {key: "${{ secrets.KEY }}"}}
  after: {runs-on: x, needs: deploy, steps: [{run: 'echo ${{ needs.deploy.outputs.url }}'}]}
"""


def test_a_called_workflow_has_inputs_secrets_and_outputs_and_not_the_caller_s_variables(site: Site) -> None:
    site.workflow(CALLED.replace("LEVEL", "read"), "called.yml")

    run = site.run(CALLER, secrets={"KEY": "k3y"})

    assert list(run.results) == ["deploy", "deploy / plan", "after"]
    assert run.jobs["deploy / plan"].steps[0].raw == "true k3y \n"
    assert run.jobs["after"].steps[0].output == "https://staging\n"


def test_a_called_workflow_may_not_ask_for_more_than_its_caller_has(site: Site) -> None:
    site.workflow(CALLED.replace("LEVEL", "write"), "called.yml")

    with pytest.raises(WorkflowError, match="contents: write, and its caller has contents: read"):
        site.run(CALLER, secrets={"KEY": "k3y"})


@pytest.mark.parametrize(
    ("caller", "said"),
    [
        (CALLER.replace("environment: staging", "enviroment: staging"), "unknown: enviroment"),
        (CALLER.replace("{environment: staging}", "{}"), "missing: environment"),
        (CALLER.replace("{key: ", "{kye: "), "unknown: kye"),
        (CALLER.replace("secrets.KEY", "secrets.NONE"), "missing: key"),
        (CALLER.replace("./.github", "octo-org/other/.github"), "another repository"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(site: Site, caller: str, said: str) -> None:
    site.workflow(CALLED.replace("LEVEL", "read"), "called.yml")

    with pytest.raises(WorkflowError, match=said):
        site.run(caller, secrets={"KEY": "k3y"})


DELIVERS = f"""
on: {{workflow_call: {{secrets: {{KEY: {{}}}}}}}}
jobs:
  it:
    {JOB}
    environment: production
    steps: [{{run: 'echo "${{{{ secrets.KEY }}}} ${{{{ secrets.OTHER }}}}"'}}]
"""


@pytest.mark.parametrize(
    ("handed", "said"),
    [
        ("", " \n"),
        (', secrets: {KEY: "${{ secrets.KEY }}"}', "production \n"),
        (", secrets: inherit", "production other\n"),
    ],
)
def test_a_called_workflow_has_of_its_environment_what_the_call_lets_through(
    site: Site, handed: str, said: str
) -> None:
    site.workflow(DELIVERS, "called.yml")
    production = Environment(secrets={"KEY": "production", "OTHER": "other"})

    run = site.run(
        f"on: push\njobs: {{call: {{uses: ./.github/workflows/called.yml{handed}}}}}",
        environments={"production": production},
    )

    assert run.jobs["call / it"].steps[0].raw == said


def test_a_called_workflow_is_refused_for_a_job_that_would_be_skipped(site: Site) -> None:
    skipped = CALLED.replace("LEVEL", "write").replace("  plan:\n", "  plan:\n    if: false\n")
    site.workflow(skipped, "called.yml")

    with pytest.raises(WorkflowError, match="contents: write, and its caller has contents: read"):
        site.run(CALLER, secrets={"KEY": "k3y"})


def test_a_workflow_that_is_only_called_can_be_run_by_itself(site: Site) -> None:
    workflow = CALLED.replace("LEVEL", "read").replace(
        "required: true}}\n    out", "required: false}}\n    out"
    )

    run = site.run(workflow, "workflow_call")

    assert run.outputs == {"url": "https://staging"}


DEPLOY = f"""
on: [push]
jobs:
  it:
    {JOB}
    environment: {{name: production, url: "https://example.org"}}
    concurrency: {{group: "deploy-${{{{ github.ref_name }}}}", cancel-in-progress: false}}
    steps: [{{run: 'echo "${{{{ secrets.KEY }}}} ${{{{ vars.ROLE }}}}"'}}]
"""


def test_an_environment_has_secrets_and_variables_of_its_own(site: Site) -> None:
    around: Any = {"secrets": {"KEY": "repository"}, "variables": {"ROLE": "repository"}}
    production = Environment(secrets={"KEY": "production"}, variables={"ROLE": "apply"})

    job = site.run(DEPLOY, **around, environments={"production": production}).jobs["it"]

    assert job.steps[0].raw == "production apply\n"
    assert job.environment == "production"
    assert job.concurrency == {"group": "deploy-main", "cancel-in-progress": False}


@pytest.mark.parametrize("production", [Environment(approved=False), Environment(refs=("*#production#*",))])
def test_an_environment_that_does_not_let_a_job_in_fails_it_before_its_first_step(
    site: Site, production: Environment
) -> None:
    run = site.run(DEPLOY, environments={"production": production})

    assert run.results == {"it": "failure"}
    assert run.jobs["it"].steps == []


def test_an_environment_that_nobody_made_is_refused(site: Site) -> None:
    with pytest.raises(WorkflowError, match="'production' is not an environment"):
        site.run(DEPLOY)
