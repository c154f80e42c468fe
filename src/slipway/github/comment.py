"""The one comment that a pull request's report is kept in.

The report comes from a run of the pull request's own code, a fork's perhaps, and the command has a token that may
write. So nothing of it is believed: neither which pull request it is for, nor what its Markdown would do.
"""

from pathlib import Path

from slipway.github import files, markup
from slipway.github.answers import Comment, PullRequest
from slipway.github.api import Api
from slipway.github.workflow import Finished, Workflow, finished

MARKER = "<!-- slipway: the report -->"
REPORT = "report.md"


def keep(workflow: Workflow, api: Api, folder: Path) -> list[str]:
    """Say the folder's report on the pull request whose run has ended; lines that tell what was done.

    Raises:
        InputError: The report is missing or cannot be read, or GitHub refuses.
        MachineError: GitHub does not answer.
    """
    run = finished(workflow)
    said = _body(workflow, run, files.text(folder, REPORT))
    found = _pull_requests(workflow, api, run)
    if not found:
        return [f"no open pull request has brought {run.head_sha[:7]}, so there is nothing to comment on"]
    author = api.user()
    return [_keep(workflow, api, run, pull, author, said) for pull in found]


def _keep(workflow: Workflow, api: Api, run: Finished, pull: PullRequest, author: str, said: str) -> str:
    if pull.head.sha != run.head_sha:
        return f"#{pull.number} has a newer commit than {run.head_sha[:7]}, whose own run will comment"
    path = f"{workflow.home}/issues/{pull.number}/comments"

    def mine() -> list[Comment]:
        return [each for each in api.each(Comment, path) if _is_mine(each, author)]

    def make() -> list[Comment]:
        return [api.make(Comment, path, {"body": said})]

    kept, *spare = api.once(lambda: mine() or None, make)
    for each in spare:
        api.delete(f"{workflow.home}/issues/comments/{each.id}")
    if kept.body != said:
        api.change(f"{workflow.home}/issues/comments/{kept.id}", {"body": said})
    return f"#{pull.number} has the report of {run.head_sha[:7]}: {kept.html_url}"


def _is_mine(comment: Comment, author: str) -> bool:
    written = comment.user is not None and comment.user.login == author
    return written and (comment.body or "").startswith(MARKER)


def _body(workflow: Workflow, run: Finished, report: str) -> str:
    """What is ours stands above: nothing in the report can swallow or pass for what comes before it."""
    page = workflow.page_of(str(run.id))
    ours = (
        f"<sub>Written by the code of this pull request at {run.head_sha[:7]}, in [this run]({page}).</sub>"
    )
    cut = f"**It is too long for a comment and is cut; [the run]({page}) has the whole.**\n\n"
    return markup.fitted(f"{MARKER}\n{ours}\n\n", markup.harmless(report), cut).rstrip()


def _pull_requests(workflow: Workflow, api: Api, run: Finished) -> list[PullRequest]:
    """The open pull requests of the branch that was run; there is more than one where they go to several branches.

    The event's own list of them is empty for forks, so GitHub is always asked.
    """
    source = run.head_repository
    if run.event != "pull_request" or source is None or run.head_branch is None:
        return []
    head = f"{source.owner.login}:{run.head_branch}"
    asked = api.each(PullRequest, f"{workflow.home}/pulls", state="open", head=head)
    return [
        pull
        for pull in asked
        if pull.head.ref == run.head_branch
        and pull.head.repo
        and pull.head.repo.full_name == source.full_name
    ]
