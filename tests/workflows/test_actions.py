"""The actions do to a job what GitHub's do: above all, what a clone has and where it may push."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workflows.events import git, open_pull_request
from tests.workflows.site import one_job

if TYPE_CHECKING:
    from tests.workflows.site import Site

LOOK = """
- {uses: actions/checkout@v7, with: WITH}
- run: |
    git rev-list --count HEAD; git rev-parse HEAD; echo "on $(git branch --show-current)"
    git tag --list; git for-each-ref --format='%(refname:short)' refs/remotes/origin
"""


def looked(site: Site, given: str = "{}", event: str = "push_to_main") -> list[str]:
    workflow = one_job(LOOK.replace("WITH", given), "on: [push, pull_request]")
    run = site.run(workflow, event)
    assert run.result == "success", run.log
    return run.jobs["it"].steps[1].output.splitlines()


@pytest.fixture
def tagged(site: Site) -> Site:
    site.git("tag", "-a", "-m", "deploy", "churn#production#3", "HEAD~1")
    site.git("push", "--quiet", "origin", "churn#production#3")
    return site


def test_a_checkout_is_the_event_s_commit_alone_and_knows_no_tags(tagged: Site) -> None:
    assert looked(tagged) == ["1", tagged.git("rev-parse", "main"), "on main", "origin/main"]


def test_a_checkout_of_all_depth_knows_every_branch_and_tag(tagged: Site) -> None:
    head = tagged.commit({"a": "b"}, "other")

    assert looked(tagged, "{fetch-depth: 0}") == [
        "2", tagged.git("rev-parse", "main"), "on main", "churn#production#3", "origin/main", "origin/other"
    ]  # fmt: skip
    assert looked(tagged, "{ref: other}")[1:3] == [head, "on other"]
    assert looked(tagged, f"{{ref: {head}}}")[:2] == ["1", head]


@pytest.mark.parametrize("given", ["{}", "{fetch-depth: 0}"])
def test_a_checkout_of_a_tag_is_on_no_branch_and_keeps_the_tag_whole(tagged: Site, given: str) -> None:
    found = looked(tagged, given, "push_of_tag")

    assert found[:3] == ["1", tagged.git("rev-parse", "main~1"), "on "]
    assert found[3] == "churn#production#3"
    workflow = one_job(
        f"- {{uses: actions/checkout@v7, with: {given}}}\n- run: git cat-file -t 'churn#production#3'"
    )
    assert tagged.run(workflow, "push_of_tag").jobs["it"].steps[1].output == "tag\n"


def test_a_checkout_of_a_pull_request_is_its_merge_with_the_base(site: Site) -> None:
    commit = site.propose({"params.yaml": "C: 0.3\n"})
    site.commit({"other": "x"})
    open_pull_request(site.origin, 7, commit)
    merge = git(site.origin, "rev-parse", "refs/pull/7/merge")

    for event in ("pull_request", "pull_request_from_fork"):
        assert looked(site, "{fetch-depth: 0}", event)[:3] == ["5", merge, "on "]


def test_a_fork_s_code_is_not_checked_out_where_there_are_secrets(site: Site) -> None:
    site.propose({"params.yaml": "C: 0.3\n"})
    workflow = one_job(
        "- {uses: actions/checkout@v7, with: {ref: refs/pull/7/head}}", "on: {workflow_run: {workflows: CI}}"
    )

    run = site.run(workflow, "workflow_run")

    assert run.result == "failure"
    assert "a fork's code is not checked out" in run.log


PUSH = """
- {uses: actions/checkout@v7, with: {persist-credentials: PERSIST}}
- run: |
    git config user.name Bot; git config user.email bot@example.org
    git tag -a -m released "wear@v1.0.0"; git push --quiet origin "wear@v1.0.0"
"""


@pytest.mark.parametrize(
    ("persist", "level", "said"),
    [
        ("true", "write", None),
        ("false", "write", "persist-credentials-is-false"),
        ("true", "read", "the-token-may-not-write-contents"),
    ],
)
def test_a_clone_pushes_only_with_credentials_that_may(
    site: Site, persist: str, level: str, said: str | None
) -> None:
    steps = PUSH.replace("PERSIST", persist)

    run = site.run(one_job(steps, f"on: push\npermissions: {{contents: {level}}}"))

    pushed = git(site.origin, "tag", "--list")
    assert (run.result, pushed) == (("failure", "") if said else ("success", "wear@v1.0.0")), run.log
    assert said is None or said in run.log


OLDER = """
- {uses: actions/checkout@v7, with: {fetch-depth: 0, persist-credentials: true, token: "TOKEN"}}
- run: |
    git config user.name Bot; git config user.email bot@example.org
    git tag -a -m deploy "wear#production#1" HEAD~1; git push --quiet origin "wear#production#1"
"""


@pytest.mark.parametrize(
    ("token", "changes", "pushed"),
    [
        ("${{ github.token }}", "docs/index.md", True),
        ("${{ github.token }}", ".github/workflows/ci.yml", False),
        ("${{ secrets.PUSH_TOKEN || github.token }}", ".github/workflows/ci.yml", True),
    ],
)
def test_the_token_of_a_workflow_tags_no_commit_with_the_workflows_of_no_branch(
    site: Site, token: str, changes: str, *, pushed: bool
) -> None:
    site.commit({changes: "other\n"})

    workflow = one_job(OLDER.replace("TOKEN", token), "on: push\npermissions: {contents: write}")
    run = site.run(workflow, secrets={"PUSH_TOKEN": "github_pat_x"})

    assert run.result == ("success" if pushed else "failure"), run.log
    assert git(site.origin, "tag", "--list") == ("wear#production#1" if pushed else "")
    assert pushed or "without workflows permission" in run.log


def test_a_job_that_may_read_nothing_checks_nothing_out(site: Site) -> None:
    run = site.run(one_job("- uses: actions/checkout@v7", "on: push\npermissions: {}"))

    assert run.result == "failure"
    assert "it needs contents: read" in run.log


def test_nothing_reaches_another_machine_by_git(site: Site) -> None:
    run = site.run(one_job("- run: git ls-remote https://127.0.0.1:9/x.git"))

    assert "transport 'https' not allowed" in run.log


ARTIFACTS = """\
on: push
jobs:
  write:
    runs-on: x
    steps:
      - run: mkdir -p out/.hidden && echo a > out/a.txt && echo b > out/.hidden/b.txt
      - {uses: actions/upload-artifact@v7, with: {name: NAME, path: out, include-hidden-files: HIDDEN}}
  read:
    runs-on: x
    needs: write
    steps:
      - {uses: actions/download-artifact@v8, with: {name: report, path: in}}
      - run: cd in && find . -type f | sort
"""


def test_an_artifact_goes_from_job_to_job_without_hidden_files_unless_told(site: Site) -> None:
    plain = site.run(ARTIFACTS.replace("NAME", "report").replace("HIDDEN", "false"))
    hidden = site.run(ARTIFACTS.replace("NAME", "report").replace("HIDDEN", "true"))

    assert plain.jobs["read"].steps[1].output == "./a.txt\n"
    assert hidden.jobs["read"].steps[1].output == "./.hidden/b.txt\n./a.txt\n"


PLANS = """\
on: push
jobs:
  write:
    runs-on: x
    strategy: {matrix: {environment: ENVIRONMENTS}}
    steps:
      - run: mkdir plan && echo {} > plan/infrastructure.json
      - {uses: actions/upload-artifact@v7, with: {name: "plan-${{ matrix.environment }}", path: plan}}
  read:
    runs-on: x
    needs: write
    steps:
      - {uses: actions/download-artifact@v8, with: {pattern: plan-*, path: plans}}
      - run: find plans -type f | sort
"""


@pytest.mark.parametrize(
    ("environments", "found"),
    [
        ("[a, b]", "plans/plan-a/infrastructure.json\nplans/plan-b/infrastructure.json\n"),
        ("[a]", "plans/infrastructure.json\n"),
    ],
)
def test_an_artifact_that_alone_matches_has_no_folder_of_its_own(
    site: Site, environments: str, found: str
) -> None:
    run = site.run(PLANS.replace("ENVIRONMENTS", environments))

    assert run.jobs["read"].steps[1].output == found, run.log


def test_an_artifact_that_nobody_made_is_a_failure(site: Site) -> None:
    run = site.run(ARTIFACTS.replace("NAME", "other").replace("HIDDEN", "false"))

    assert run.results == {"write": "success", "read": "failure"}


@pytest.mark.parametrize(
    ("uses", "rights"),
    [
        ("{uses: actions/attest@v4, with: {subject-path: a.txt}}", ["id-token", "attestations"]),
        (
            "{uses: aws-actions/configure-aws-credentials@v6, with: {role-to-assume: r, aws-region: e}}",
            ["id-token"],
        ),
    ],
)
def test_an_action_needs_the_rights_that_github_s_needs(site: Site, uses: str, rights: list[str]) -> None:
    def run(granted: list[str]) -> str:
        said = ", ".join(f"{right}: write" for right in granted)
        return site.run(one_job(f"- run: touch a.txt\n- {uses}", f"on: push\npermissions: {{{said}}}")).result

    assert run(rights) == "success"
    assert [run([each for each in rights if each != right]) for right in rights] == ["failure"] * len(rights)


def test_credentials_of_aws_reach_the_next_steps_and_no_log(site: Site) -> None:
    run = site.run(
        one_job(
            """
- {uses: aws-actions/configure-aws-credentials@v6, with: {role-to-assume: r, aws-region: eu-north-1}}
- run: echo "$AWS_SECRET_ACCESS_KEY $AWS_REGION"
""",
            "on: push\npermissions: {id-token: write}",
        )
    )

    assert run.jobs["it"].steps[1].output == "*** eu-north-1\n"
