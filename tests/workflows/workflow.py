"""A workflow file, read and checked: an unknown key, job, permission or event is an error, as it is to GitHub."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TRIGGERS = {
    "push": {"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"},
    "pull_request": {"types", "branches", "branches-ignore", "paths", "paths-ignore"},
    "workflow_run": {"workflows", "types", "branches", "branches-ignore"},
    "workflow_dispatch": {"inputs"},
    "workflow_call": {"inputs", "secrets", "outputs"},
    "schedule": {"cron"},
}
"""The events that are known here, and what each may be narrowed by. `pull_request_target` is not: it hands secrets to forks."""

_WORKFLOW = {"name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"}
_ANY_JOB = {"name", "needs", "if", "permissions", "concurrency", "strategy"}
_JOB = _ANY_JOB | {
    "runs-on",
    "environment",
    "outputs",
    "env",
    "defaults",
    "timeout-minutes",
    "continue-on-error",
    "steps",
}
_CALLING_JOB = _ANY_JOB | {"uses", "with", "secrets"}
_ANY_STEP = {"id", "if", "name", "env", "continue-on-error", "timeout-minutes"}
_RUN_STEP = _ANY_STEP | {"run", "shell", "working-directory"}
_ACTION_STEP = _ANY_STEP | {"uses", "with"}

LEVELS = ("none", "read", "write")
SCOPES = frozenset(
    {
        "actions", "artifact-metadata", "attestations", "checks", "contents", "deployments", "discussions", "id-token",
        "issues", "models", "packages", "pages", "pull-requests", "security-events", "statuses",
    }
)  # fmt: skip
DEFAULT_PERMISSIONS = {"contents": "read", "packages": "read"}
"""What a workflow gets that says nothing of them, in a repository with GitHub's restricted setting."""


class WorkflowError(Exception):
    """A workflow or an event that GitHub would refuse, or that this interpreter does not know."""


@dataclass(frozen=True)
class Workflow:
    """A workflow that has been checked; the jobs are as they stand in the file."""

    path: Path
    document: Mapping[str, Any]
    on: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.document.get("name") or self.path.name)

    @property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        jobs: Mapping[str, Mapping[str, Any]] = self.document["jobs"]
        return jobs

    @property
    def order(self) -> list[str]:
        """The jobs, each after those that it needs."""
        try:
            graph = {job: needs(body) for job, body in self.jobs.items()}
            return list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise WorkflowError(f"{self.path.name}: jobs need each other: {error.args[1]}") from error

    def called(self, uses: str) -> Workflow:
        """The workflow of the same repository that a job calls."""
        if not uses.startswith("./.github/workflows/"):
            raise WorkflowError(
                f"{self.path.name}: a workflow of another repository is not known here: {uses}"
            )
        return read(self.path.parents[2] / uses)


def read(path: Path) -> Workflow:
    """Read a workflow file and check it."""
    document = YAML(typ="safe", pure=True).load(path.read_text())
    where = path.name
    known(document, _WORKFLOW, where)
    missing({"on", "jobs"} - set(document), where)
    workflow = Workflow(path, document, _triggers(document["on"], where))
    permissions(document.get("permissions"), where)
    for name, body in workflow.jobs.items():
        _check_job(body, f"{where}: {name}", set(workflow.jobs))
    _ = workflow.order
    return workflow


def known(found: Any, names: Iterable[str], where: str) -> None:
    """Refuse what is not a mapping, and a key that has no meaning."""
    if not isinstance(found, Mapping):
        raise WorkflowError(f"{where}: expected a mapping, got {found!r}")
    strangers = sorted(map(str, set(found) - set(names)))
    if strangers:
        raise WorkflowError(f"{where}: unknown: {', '.join(strangers)}")


def missing(names: Iterable[str], where: str) -> None:
    if names := sorted(names):
        raise WorkflowError(f"{where}: missing: {', '.join(names)}")


def listed(value: Any) -> list[Any]:
    """A value that may be written as one or as several."""
    return [] if value is None else value if isinstance(value, list) else [value]


def needs(body: Mapping[str, Any]) -> list[str]:
    return listed(body.get("needs"))


def permissions(given: Any, where: str) -> dict[str, str] | None:
    """What `permissions:` grants, by scope; None where it is not said."""
    if given is None:
        return None
    if given in {"read-all", "write-all"} if isinstance(given, str) else False:
        return dict.fromkeys(sorted(SCOPES), given.removesuffix("-all"))
    known(given, SCOPES, f"{where}: permissions")
    for scope, level in given.items():
        if level not in LEVELS or (scope, level) == ("id-token", "read"):
            raise WorkflowError(f"{where}: permissions: {scope}: {level} is no level of it")
    return {scope: level for scope, level in given.items() if level != "none"}


def _triggers(on: Any, where: str) -> dict[str, Any]:
    triggers = dict(on) if isinstance(on, Mapping) else dict.fromkeys(listed(on))
    known(triggers, _TRIGGERS, f"{where}: on")
    for event, narrowed in triggers.items():
        for part in listed(narrowed) or [{}]:
            known(part, _TRIGGERS[event], f"{where}: on: {event}")
            for name in ("branches", "tags", "paths"):
                if {name, f"{name}-ignore"} <= set(part):
                    raise WorkflowError(f"{where}: on: {event}: {name} and {name}-ignore exclude each other")
        for name, given in ((narrowed or {}) if event.startswith("workflow_") else {}).items():
            _check_declared(name, given, f"{where}: on: {event}")
    return triggers


_DECLARED = {
    "inputs": {"description", "type", "required", "default", "options"},
    "secrets": {"description", "required"},
    "outputs": {"description", "value"},
}


def _check_declared(kind: str, declared: Any, where: str) -> None:
    for name, body in (declared or {}).items() if kind in _DECLARED else ():
        known(body or {}, _DECLARED[kind], f"{where}: {name}")


def _check_job(body: Any, where: str, jobs: set[str]) -> None:
    known(body, _CALLING_JOB if "uses" in body else _JOB, where)
    missing({"uses"} - set(body) if "uses" in body else {"runs-on", "steps"} - set(body), where)
    missing((f"the job {need!r}, which it needs" for need in set(needs(body)) - jobs), where)
    permissions(body.get("permissions"), where)
    ids = [step["id"] for step in body.get("steps", ()) if "id" in step]
    if len(ids) != len(set(ids)):
        raise WorkflowError(f"{where}: two steps have one id: {', '.join(ids)}")
    for number, step in enumerate(body.get("steps", ()), start=1):
        place = f"{where}: step {number}"
        if ("run" in step) == ("uses" in step):
            raise WorkflowError(f"{place}: a step has either run or uses")
        known(step, _RUN_STEP if "run" in step else _ACTION_STEP, place)
