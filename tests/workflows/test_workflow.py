"""A workflow that GitHub would refuse is refused, with where and what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workflows.site import one_job
from tests.workflows.values import ExpressionError
from tests.workflows.workflow import WorkflowError

if TYPE_CHECKING:
    from tests.workflows.site import Site


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on: push\njobs: {}\nextra: 1", "unknown: extra"),
        ("on: pull_request_target\njobs: {}", "unknown: pull_request_target"),
        ("on: {push: {branch: main}}\njobs: {}", "unknown: branch"),
        ("on: {push: {tags: a, tags-ignore: b}}\njobs: {}", "exclude each other"),
        ("on: push\npermissions: {content: read}\njobs: {}", "unknown: content"),
        ("on: push\npermissions: {id-token: read}\njobs: {}", "is no level"),
        ("on: push", "missing: jobs"),
        ("on: push\njobs: {it: {steps: []}}", "missing: runs-on"),
        ("on: push\njobs: {it: {runs-on: x, needs: other, steps: []}}", "'other', which it needs"),
        (
            "on: push\njobs: {a: {runs-on: x, needs: b, steps: []}, b: {runs-on: x, needs: a, steps: []}}",
            "need each other",
        ),
        ("on: push\njobs: {it: {uses: ./x.yml, steps: []}}", "unknown: steps"),
        (one_job("- {run: 'true', uses: a/b@v1}"), "either run or uses"),
        (one_job("- {run: 'true', with: {}}"), "unknown: with"),
        (one_job("- {run: 'true', id: a}\n- {run: 'true', id: a}"), "two steps have one id"),
        (one_job("- {run: 'true', shell: fish}"), "fish is not a shell"),
    ],
)
def test_a_workflow_that_github_would_refuse_is_refused(site: Site, text: str, said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        site.run(text)


@pytest.mark.parametrize(
    "text",
    [
        one_job("- {if: \"secrets.KEY != ''\", run: 'true'}"),
        one_job("- run: ${{ nowhere.at.all }}"),
        "on: push\njobs: {it: {runs-on: x, if: env.A, steps: []}}",
        "on: push\nconcurrency: '${{ needs.a.result }}'\njobs: {it: {runs-on: x, steps: []}}",
        "on: push\njobs: {it: {runs-on: x, timeout-minutes: '${{ steps.a.outputs.b }}', steps: []}}",
    ],
)
def test_a_context_is_known_only_where_github_knows_it(site: Site, text: str) -> None:
    with pytest.raises(ExpressionError, match="not a context"):
        site.run(text)
