"""The run of a GitHub workflow that a command stands in, by the variables that its runner sets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import BaseModel, ValidationError

from slipway.errors import InputError

_NAMES = (
    "GITHUB_API_URL",
    "GITHUB_REPOSITORY",
    "GITHUB_TOKEN",
    "GITHUB_EVENT_PATH",
    "GITHUB_SERVER_URL",
    "GITHUB_RUN_ID",
)
_GRAMMAR = {
    "GITHUB_REPOSITORY": re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+"),
    "GITHUB_TOKEN": re.compile(r"[!-~]+"),
    "GITHUB_RUN_ID": re.compile(r"[0-9]+"),
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Workflow:
    """A run of a workflow, and the token that GitHub gave it."""

    api: str
    server: str
    repository: str
    run: str
    event: Path
    token: str = field(repr=False)

    def page_of(self, run: str) -> str:
        """Where a run of this repository is shown."""
        return f"{self.server}/{self.repository}/actions/runs/{run}"

    @property
    def page(self) -> str:
        return self.page_of(self.run)

    @property
    def home(self) -> str:
        """The repository's place in the API."""
        return f"/repos/{self.repository}"


def anywhere(environment: Mapping[str, str], command: str) -> Workflow:
    """A repository, for a command that a person runs: of what a runner sets, only the repository and a token are needed.

    Raises:
        InputError: As `here`.
    """
    needed = ("GITHUB_REPOSITORY", "GITHUB_TOKEN")
    if missing := [name for name in needed if not environment.get(name)]:
        raise InputError(
            f"{' and '.join(missing)} not set",
            next_command=f"GITHUB_REPOSITORY=owner/name GITHUB_TOKEN=... {command}",
        )
    nowhere = {"GITHUB_EVENT_PATH": "/dev/null", "GITHUB_RUN_ID": "0"}
    public = {"GITHUB_API_URL": "https://api.github.com", "GITHUB_SERVER_URL": "https://github.com"}
    return here({**nowhere, **public, **environment}, command)


def here(environment: Mapping[str, str], command: str) -> Workflow:
    """The run that `environment` tells of.

    Raises:
        InputError: A variable is missing or is none of GitHub's; the message never has its value, which may be secret.
    """
    if missing := [name for name in _NAMES if not environment.get(name)]:
        where = "; the token comes by 'env: {GITHUB_TOKEN: ${{ github.token }}}'"
        raise InputError(
            f"{' and '.join(missing)} not set: '{command}' is for a workflow of GitHub, whose runner sets it"
            + (where if "GITHUB_TOKEN" in missing else "")
        )
    for name, grammar in _GRAMMAR.items():
        if not grammar.fullmatch(environment[name]):
            raise InputError(f"{name} is not as GitHub writes it")
    for name in ("GITHUB_API_URL", "GITHUB_SERVER_URL"):
        if not keeps_secrets(environment[name]):
            raise InputError(f"{name} is not an https address, and the token would be read on its way")
    return Workflow(
        environment["GITHUB_API_URL"].rstrip("/"),
        environment["GITHUB_SERVER_URL"].rstrip("/"),
        environment["GITHUB_REPOSITORY"],
        environment["GITHUB_RUN_ID"],
        Path(environment["GITHUB_EVENT_PATH"]),
        environment["GITHUB_TOKEN"],
    )


def keeps_secrets(address: str) -> bool:
    """Whether a token that is sent there is read by nobody on its way."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return bool(url.host) and (url.scheme == "https" or (url.scheme == "http" and url.host in _LOOPBACK))


class Owner(BaseModel):
    login: str


class Source(BaseModel):
    """The repository that a run's code came from: a fork, mostly."""

    full_name: str
    owner: Owner


class Finished(BaseModel):
    """The run that has ended, and with which the event begins."""

    id: int
    event: str
    head_sha: str
    head_branch: str | None
    head_repository: Source | None


class _Event(BaseModel):
    workflow_run: Finished


def finished(workflow: Workflow) -> Finished:
    """The run whose end started this one.

    Raises:
        InputError: The workflow was started by something else.
    """
    try:
        return _Event.model_validate_json(workflow.event.read_bytes()).workflow_run
    except OSError as error:
        raise InputError(f"{workflow.event} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(
            f"{workflow.event} is no event 'workflow_run', by which this workflow must be started"
        ) from error
