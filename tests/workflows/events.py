"""Events as GitHub sends them: recorded in `events/`, with the commits of the repository at hand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.workflows.workflow import WorkflowError

RECORDED = Path(__file__).parent / "events"
DEFAULT_BRANCH = "main"
NOTHING = "0" * 40


@dataclass(frozen=True)
class Event:
    """What happened, where; `called` holds the inputs where the workflow is not started but called."""

    name: str
    payload: Mapping[str, Any]
    origin: Path
    called: Mapping[str, Any] | None = field(default=None)

    @property
    def ref(self) -> str:
        """`github.ref`."""
        if self.name == "pull_request":
            return f"refs/pull/{self.payload['number']}/merge"
        return str(self.payload.get("ref") or f"refs/heads/{DEFAULT_BRANCH}")

    @property
    def ref_name(self) -> str:
        return self.ref.removeprefix("refs/heads/").removeprefix("refs/tags/").removeprefix("refs/pull/")

    @property
    def ref_type(self) -> str:
        return "tag" if self.ref.startswith("refs/tags/") else "branch"

    @property
    def sha(self) -> str:
        """`github.sha`: of a tag its commit, of a pull request the merge that GitHub has made."""
        return git(self.origin, "rev-parse", "--verify", f"{self.ref}^{{commit}}")

    @property
    def head_ref(self) -> str:
        return str(self.payload["pull_request"]["head"]["ref"]) if self.name == "pull_request" else ""

    @property
    def base_ref(self) -> str:
        return str(self.payload["pull_request"]["base"]["ref"]) if self.name == "pull_request" else ""

    @property
    def from_fork(self) -> bool:
        """Whether the run is one of a stranger's code: it gets no secrets, no variables, and a token that only reads."""
        if self.name != "pull_request":
            return False
        # Of a fork that is gone, there is none.
        source = self.payload["pull_request"]["head"]["repo"] or {}
        return bool(source.get("full_name") != self.payload["repository"]["full_name"])

    def changed(self) -> list[str]:
        """The paths that it changes, which filters of paths look at."""
        if self.name == "pull_request":
            span = f"refs/heads/{self.base_ref}...refs/pull/{self.payload['number']}/head"
        elif self.payload["before"] == NOTHING:
            span = f"refs/heads/{DEFAULT_BRANCH}...{self.sha}"
        else:
            span = f"{self.payload['before']}..{self.sha}"
        return git(self.origin, "diff", "--name-only", span).splitlines()


def git(folder: Path, *arguments: str) -> str:
    """What git says; it must succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {f"GIT_{who}_{part}": value for who in ("AUTHOR", "COMMITTER") for part, value in _BOT.items()}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**kept, **identity, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise WorkflowError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


_BOT = {"NAME": "GitHub", "EMAIL": "noreply@github.com"}


def recorded(name: str, origin: Path, changes: Mapping[str, Any] | None = None) -> Event:
    """A recorded event, with some of its fields changed, about the commits that `origin` has now."""
    file = RECORDED / f"{name}.json"
    if not file.exists():
        raise WorkflowError(
            f"no event {name} is recorded: {sorted(each.stem for each in RECORDED.glob('*.json'))}"
        )
    record = json.loads(file.read_text())
    payload = _merged(record["payload"], changes or {})
    event = Event(record["event"], payload, origin, record.get("called"))
    if event.name == "push":
        payload["after"] = payload["head_commit"]["id"] = event.sha
        payload["before"] = NOTHING if event.ref_type == "tag" else _parent(origin, event.sha)
    if event.name == "pull_request":
        payload["pull_request"]["head"]["sha"] = git(
            origin, "rev-parse", f"refs/pull/{payload['number']}/head"
        )
        payload["pull_request"]["base"]["sha"] = git(origin, "rev-parse", f"refs/heads/{event.base_ref}")
        payload["pull_request"]["merge_commit_sha"] = event.sha
    return event


def _merged(into: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    nested = {
        name: _merged(into[name], value)
        for name, value in changes.items()
        if isinstance(value, Mapping) and isinstance(into.get(name), Mapping)
    }
    return {**into, **changes, **nested}


def _parent(origin: Path, sha: str) -> str:
    parents = git(origin, "rev-list", "--parents", "--max-count=1", sha).split()[1:]
    return parents[0] if parents else NOTHING


def open_pull_request(origin: Path, number: int, head: str, base: str = DEFAULT_BRANCH) -> None:
    """Make the refs that GitHub makes of a pull request: `head` is a branch, or a commit that was fetched from a fork."""
    commit = git(origin, "rev-parse", "--verify", f"{head}^{{commit}}")
    tree = git(origin, "merge-tree", "--write-tree", base, commit).splitlines()[0]
    message = f"Merge {commit} into {base}"
    merge = git(origin, "commit-tree", tree, "-p", f"refs/heads/{base}", "-p", commit, "-m", message)
    git(origin, "update-ref", f"refs/pull/{number}/head", commit)
    git(origin, "update-ref", f"refs/pull/{number}/merge", merge)
