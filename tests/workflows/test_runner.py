"""Steps run as a runner runs them: shells, files, variables, secrets, time limits, actions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from tests.workflows.actions import ACTIONS
from tests.workflows.github import Action
from tests.workflows.site import JOB, one_job
from tests.workflows.workflow import WorkflowError

if TYPE_CHECKING:
    from tests.workflows.runner import Step
    from tests.workflows.site import Site


def test_a_failed_step_skips_the_rest_but_what_is_meant_for_it(site: Site) -> None:
    run = site.run(
        one_job("""
- {id: bad, run: "echo before; false; echo after"}
- run: echo not this
- {if: failure(), run: "echo because ${{ steps.bad.outcome }}"}
- {if: always(), run: "echo status ${{ job.status }}"}
""")
    )
    steps = run.jobs["it"].steps

    assert [step.outcome for step in steps] == ["failure", "skipped", "success", "success"]
    assert steps[0].code == 1
    assert [step.output for step in steps] == ["before\n", "", "because failure\n", "status failure\n"]
    assert run.result == "failure"


def test_a_step_that_may_fail_has_failed_and_is_no_failure(site: Site) -> None:
    run = site.run(
        one_job("""
- {id: bad, run: exit 3, continue-on-error: true}
- run: echo "${{ steps.bad.outcome }} ${{ steps.bad.conclusion }}"
""")
    )

    assert run.result == "success"
    assert run.jobs["it"].steps[1].output == "failure success\n"


def test_bash_stops_at_a_failed_pipe_only_where_it_is_named(site: Site) -> None:
    run = site.run(one_job("- run: 'false | true'"))
    named = site.run(one_job("- {run: 'false | true', shell: bash}"))
    by_default = site.run(one_job("- run: 'false | true'", "on: push\ndefaults: {run: {shell: bash}}"))

    assert [run.result, named.result, by_default.result] == ["success", "failure", "failure"]


def test_steps_hand_on_variables_paths_outputs_and_summaries_by_files(site: Site) -> None:
    run = site.run(
        one_job("""
- id: write
  env: {ONLY_HERE: "yes"}
  run: |
    echo "WORD=one" >> "$GITHUB_ENV"
    printf 'LINES<<END\\nfirst=1\\nsecond\\nEND\\n' >> "$GITHUB_OUTPUT"
    mkdir tools && printf '#!/bin/sh\\necho from a tool' > tools/tool && chmod +x tools/tool
    echo "$PWD/tools" >> "$GITHUB_PATH"
    echo "# A summary" >> "$GITHUB_STEP_SUMMARY"
- run: |
    tool; echo "$WORD ${{ env.WORD }} ${ONLY_HERE:-nothing} $LINES"
  env: {LINES: "${{ steps.write.outputs.LINES }}"}
- run: echo "$WORD"
  env: {WORD: two}
""")
    )
    steps = run.jobs["it"].steps

    assert steps[0].summary == "# A summary\n"
    assert steps[1].output == "from a tool\none one nothing first=1\nsecond\n"
    assert steps[2].output == "two\n"


@pytest.mark.parametrize("line", ["NODE_OPTIONS=--inspect", "GITHUB_SHA=0", "no sign", "OPEN<<END"])
def test_what_a_runner_refuses_in_a_file_is_refused(site: Site, line: str) -> None:
    with pytest.raises(WorkflowError):
        site.run(one_job(f"""- run: echo "{line}" >> "$GITHUB_ENV" """))


def test_a_variable_of_the_step_hides_that_of_the_job_and_that_of_the_workflow(site: Site) -> None:
    run = site.run(f"""
on: push
env: {{A: workflow, B: workflow, C: "3.10", D: true}}
jobs:
  it:
    {JOB}
    env: {{A: job, B: job}}
    steps: [{{run: 'echo "$A $B $C $D ${{{{ env.B }}}}"', env: {{A: step}}}}]
""")

    assert run.jobs["it"].steps[0].output == "step job 3.10 true job\n"


def test_a_step_finds_what_github_tells_it_of_the_event(site: Site) -> None:
    site.git("tag", "-a", "-m", "deploy", "churn#production#3")
    site.git("push", "--quiet", "origin", "churn#production#3")
    run = site.run(
        one_job("""
- run: echo "$GITHUB_EVENT_NAME $GITHUB_REF $GITHUB_REF_NAME $GITHUB_REF_TYPE $GITHUB_REPOSITORY $GITHUB_ACTOR $GITHUB_JOB $CI"
- run: 'test "$GITHUB_SHA" = ${{ github.event.head_commit.id }}'
- run: grep -q 'churn#production#3' "$GITHUB_EVENT_PATH"; test ! -e ~/.gitconfig
"""),
        "push_of_tag",
    )

    assert run.result == "success", run.log
    said = "push refs/tags/churn#production#3 churn#production#3 tag octo-org/slipway ada it true\n"
    assert run.jobs["it"].steps[0].output == said


SECRET = "hunter2\nand a second line"  # noqa: S105


def test_secrets_are_masked_as_a_runner_masks_them(site: Site) -> None:
    encoded = base64.b64encode(SECRET.encode()).decode()
    run = site.run(
        one_job(f"""
- run: |
    echo "whole: $KEY"; echo "a line: hunter2"; echo "base64: {encoded}"; echo "token: ${{{{ github.token }}}}"
    echo "::add-mask::learnt"; echo "said: learnt"; echo "hunter2" >> "$GITHUB_STEP_SUMMARY"
  env: {{KEY: "${{{{ secrets.KEY }}}}"}}
"""),
        secrets={"KEY": SECRET},
    )
    step = run.jobs["it"].steps[0]

    assert step.output == "whole: ***\na line: ***\nbase64: ***\ntoken: ***\n::add-mask::***\nsaid: ***\n"
    assert step.summary == "***\n"
    assert "hunter2" in step.raw
    assert "hunter2" not in run.log


def test_an_output_that_holds_a_secret_does_not_leave_its_job(site: Site) -> None:
    run = site.run(f"""
on: push
jobs:
  it:
    {JOB}
    outputs: {{safe: word, leak: "${{{{ steps.say.outputs.leak }}}}"}}
    steps: [{{id: say, run: 'echo "leak=my $KEY" >> "$GITHUB_OUTPUT"', env: {{KEY: "${{{{ secrets.KEY }}}}"}}}}]
""", secrets={"KEY": "hunter2"})  # fmt: skip

    assert run.jobs["it"].outputs == {"safe": "word"}


LATE = f"""
on: push
jobs:
  it:
    {JOB}
    timeout-minutes: 1
    steps: [{{run: sleep 60 & sleep 60}}, {{run: echo no}}, {{if: always(), run: echo after}}]
"""


def test_a_job_that_takes_too_long_is_cancelled_and_a_step_fails(site: Site) -> None:
    step = site.run(
        one_job("- {run: sleep 60, timeout-minutes: 1}\n- {if: always(), run: echo after}"), minute=0.3
    )
    job = site.run(LATE, minute=0.3)

    assert step.results == {"it": "failure"}
    assert job.results == {"it": "cancelled"}
    assert [each.outcome for each in job.jobs["it"].steps] == ["cancelled", "skipped", "success"]


def test_an_action_of_the_test_is_given_its_inputs_and_gives_outputs(site: Site) -> None:
    seen = []

    def greet(step: Step) -> dict[str, str]:
        seen.append(step.inputs)
        step.export("GREETED", "yes")
        return {"text": f"Hello, {step.inputs['who']}"}

    steps = """
- {id: it, uses: "octo-org/greet@v1", with: {who: "${{ github.actor }}"}}
- run: echo "${{ steps.it.outputs.text }} $GREETED"
"""
    actions = {"octo-org/greet": Action(frozenset({"who"}), greet)}
    run = site.run(one_job(steps), actions=actions)

    assert seen == [{"who": "ada"}]
    assert run.jobs["it"].steps[1].output == "Hello, ada yes\n"
    with pytest.raises(WorkflowError, match="unknown: whom"):
        site.run(one_job(steps.replace("who:", "whom:")), actions=actions)
    with pytest.raises(WorkflowError, match="octo-org/greet@v1 is not an action"):
        site.run(one_job(steps), actions=ACTIONS)
