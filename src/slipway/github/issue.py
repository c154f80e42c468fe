"""The one open issue in which a workflow says what is wrong, for as long as it is."""

from collections.abc import Sequence

from slipway.errors import InputError
from slipway.github import markup
from slipway.github.answers import Comment, Issue
from slipway.github.api import Api
from slipway.github.workflow import Workflow

_TITLE_CHARACTERS = 256
_FOOT = "<!-- slipway: the run -->"
"""Parts what was found from the run that found it first, which is another one every night."""


def keep(workflow: Workflow, api: Api, title: str, words: str, labels: Sequence[str]) -> str:
    """Have one open issue of this title by this token's user, with these words; a line that tells what was done.

    Where the words have changed, a comment says so: a change of an issue's own text tells nobody.

    Raises:
        InputError: The title is none, or GitHub refuses.
        MachineError: GitHub does not answer.
    """
    _require_title(title)
    author = api.user()
    said = _body(workflow, words)
    fields = {"title": title, "body": said, "labels": list(labels)}

    def make() -> Issue:
        return api.make(Issue, f"{workflow.home}/issues", fields)

    found = api.once(lambda: _mine(workflow, api, title, author), make)
    if _found(found.body or "") == _found(said):
        return f"#{found.number} says so: {found.html_url}"
    path = f"{workflow.home}/issues/{found.number}"
    api.change(path, {"body": said})
    _comment(workflow, api, found, "It is not what it was: see above.")
    return f"#{found.number} says now what has changed: {found.html_url}"


def close(workflow: Workflow, api: Api, title: str, words: str) -> str:
    """Close the open issue of this title by this token's user, if there is one; a line that tells what was done.

    Raises:
        InputError: The title is none, or GitHub refuses.
        MachineError: GitHub does not answer.
    """
    _require_title(title)
    found = _mine(workflow, api, title, api.user())
    if found is None:
        return f"no open issue says {title!r}"
    # Closed first: a command that is killed between the two leaves no second comment to the next.
    path = f"{workflow.home}/issues/{found.number}"
    api.change(path, {"state": "closed", "state_reason": "completed"})
    _comment(workflow, api, found, words)
    return f"#{found.number} is closed: {found.html_url}"


def _require_title(title: str) -> None:
    if not title.strip() or title != " ".join(title.split()) or len(title) > _TITLE_CHARACTERS:
        raise InputError(
            f"an issue's title is one line of 1 to {_TITLE_CHARACTERS} characters, not {title!r}"
        )


def _mine(workflow: Workflow, api: Api, title: str, author: str) -> Issue | None:
    """The oldest of them."""
    asked = api.each(Issue, f"{workflow.home}/issues", state="open", sort="created", direction="asc")
    for each in asked:
        if each.pull_request is None and each.title == title and each.user and each.user.login == author:
            return each
    return None


def _comment(workflow: Workflow, api: Api, issue: Issue, words: str) -> None:
    body = markup.fitted(f"[The run]({workflow.page}) says: ", words, _cut(workflow))
    api.make(Comment, f"{workflow.home}/issues/{issue.number}/comments", {"body": body})


def _body(workflow: Workflow, words: str) -> str:
    return markup.fitted("", words, _cut(workflow), f"\n\n{_FOOT}\nFound by [this run]({workflow.page}).\n")


def _cut(workflow: Workflow) -> str:
    return f"**It is too long for an issue and is cut; [the run]({workflow.page}) has the whole.**\n\n"


def _found(body: str) -> list[str]:
    """What a body says was found, whatever its line ends have become."""
    return body.rpartition(_FOOT)[0].split()
