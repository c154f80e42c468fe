"""Runs a workflow file as GitHub would, without GitHub.

    github = GitHub(origin=bare_repository, folder=tmp_path / "run", actions=ACTIONS, secrets={"KEY": "..."},
                    environments={"production": Environment()}, environ={"PATH": f"{stubs}:{os.environ['PATH']}"})
    event = recorded("push_of_tag", origin, {"ref": "refs/tags/churn#production#4"})
    run = interpret(Path(".github/workflows/deploy.yml"), event, github)

    assert run.started and run.results == {"deploy": "success"}, run.log
    run.jobs["deploy"].outputs, .permissions, .environment, .concurrency, .commands, .steps[0].code, .output, .summary

`recorded` (events.py) makes an event of a file in `events/`, about the commits that the origin has; `open_pull_request` makes the refs
of a pull request first. `Event.called` gives a workflow that is only called its inputs. `github.py` says what a
test can set up; `actions.py` has the usual actions, and a test may put its own in their place: an `Action` of inputs and
a function of the running `Step`. Every `run:` line is executed, in the clone that `actions/checkout` made, with a home of
its own, and with git allowed files only. Jobs run one after another, those of a matrix too.

What GitHub would refuse, and what is not known here, is a `WorkflowError` or an `ExpressionError`: unknown keys, events, permissions,
inputs, actions, environments (GitHub would make one), jobs that need each other, a called workflow that asks for more than its caller
may, also in a job that would be skipped. A called workflow has those secrets of its caller and of its environments that the call lets
through. A run of a fork's pull request has no secrets, no variables, and a token that only reads.

Not here: containers, services, composite actions, concurrency between runs (it is recorded), `runs-on` (one machine).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.workflows import triggers
from tests.workflows.expressions import Scope, fill, holds
from tests.workflows.github import Environment, GitHub, JobResult, Run, worst
from tests.workflows.runner import Job
from tests.workflows.values import equal, text, truth
from tests.workflows.workflow import (
    DEFAULT_PERMISSIONS,
    LEVELS,
    Workflow,
    WorkflowError,
    known,
    listed,
    missing,
    needs,
    permissions,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workflows.events import Event

_BEFORE_NEEDS = ("github", "inputs", "vars")
_BEFORE_MATRIX = (*_BEFORE_NEEDS, "needs")
_BEFORE_STEPS = (*_BEFORE_MATRIX, "strategy", "matrix")


def interpret(path: Path, event: Event, github: GitHub) -> Run:
    """Run the workflow, if the event starts it."""
    workflow = read(path)
    if event.called is None and not triggers.starts(workflow, event):
        return Run(started=False)
    if event.called is not None:
        missing({"workflow_call"} - set(workflow.on), f"{path.name}: on")
    kind = "workflow_call" if event.called is not None else "workflow_dispatch"
    given = event.called if event.called is not None else event.payload.get("inputs") or {}
    declared = (workflow.on.get(kind) or {}).get("inputs") if kind in workflow.on else None
    started = event.called is not None or event.name == "workflow_dispatch"
    inputs = triggers.inputs(declared, given, path.name) if started else {}
    known_to = replace(github, secrets={}, variables={}) if event.from_fork else github
    contexts = {
        "github": _context(workflow, event, github.api_url),
        "inputs": inputs,
        "vars": dict(known_to.variables),
    }
    return _Graph(workflow, event, known_to, {**contexts, "secrets": dict(known_to.secrets)}).run()


def _context(workflow: Workflow, event: Event, api_url: str) -> dict[str, Any]:
    """The context `github`."""
    repository, actor = (
        event.payload["repository"]["full_name"],
        event.payload.get("sender", {}).get("login", "github-actions"),
    )
    file = f"{repository}/.github/workflows/{workflow.path.name}@{event.ref}"
    return {
        "event_name": event.name, "event": event.payload, "ref": event.ref, "ref_name": event.ref_name,
        "ref_type": event.ref_type, "sha": event.sha, "head_ref": event.head_ref, "base_ref": event.base_ref,
        "repository": repository, "repository_owner": repository.partition("/")[0], "actor": actor, "triggering_actor": actor,
        "repository_id": text(event.payload["repository"]["id"]), "repository_owner_id": text(event.payload["repository"]["owner"]["id"]),
        "workflow": workflow.name, "workflow_ref": file, "workflow_sha": event.sha, "run_id": "1001", "run_number": "1",
        "run_attempt": "1", "server_url": "https://github.com", "api_url": api_url,
    }  # fmt: skip


class _Graph:
    """The jobs of one workflow, and of those that it calls."""

    def __init__(
        self, workflow: Workflow, event: Event, github: GitHub, contexts: Mapping[str, Any],
        cap: Mapping[str, str] | None = None, prefix: str = "", *, inherits: bool = True,
    ) -> None:  # fmt: skip
        self.workflow, self.event, self.github, self.contexts = workflow, event, github, contexts
        self.cap, self.prefix, self.inherits = cap, prefix, inherits
        self.done: dict[str, dict[str, Any]] = {}
        self.cancelled = False
        self.jobs: dict[str, JobResult] = {}

    def run(self) -> Run:
        for name, body in self.workflow.jobs.items():
            self._permissions(name, body)
        for name in self.workflow.order:
            self._job(name, self.workflow.jobs[name])
        scope = Scope({**self._some(_BEFORE_NEEDS), "jobs": self.done})
        outputs = (self.workflow.on.get("workflow_call") or {}).get("outputs") or {}
        given = {name: text(fill(body["value"], scope)) for name, body in outputs.items()}
        concurrency = self._concurrency(self.workflow.document, self._some(_BEFORE_NEEDS))
        return Run(started=True, jobs=self.jobs, concurrency=concurrency, outputs=given)

    def _some(self, names: tuple[str, ...], **more: Any) -> dict[str, Any]:
        every = {**self.contexts, **more}
        return {name: every[name] for name in names}

    def _job(self, name: str, body: Mapping[str, Any]) -> None:
        wanted = {each: self.done[each] for each in needs(body)}
        if not holds(body.get("if"), Scope(self._some(_BEFORE_MATRIX, needs=wanted), self._status(name))):
            self._skip(name)
            return
        self.cancelled = self.cancelled or name in self.github.cancels
        strategy = fill(body.get("strategy", {}), Scope(self._some(_BEFORE_MATRIX, needs=wanted)))
        known(
            strategy, {"matrix", "fail-fast", "max-parallel"}, f"{self.workflow.path.name}: {name}: strategy"
        )
        parts: list[JobResult] = []
        for number, matrix in enumerate(combinations(strategy.get("matrix", {}))):
            stopped = (
                truth(strategy.get("fail-fast", True)) and worst(part.result for part in parts) == "failure"
            )
            label = f"{name} ({', '.join(map(text, matrix.values()))})" if matrix else name
            place = {"job-index": number, "fail-fast": strategy.get("fail-fast", True)}
            contexts = {**self.contexts, "needs": wanted, "matrix": matrix, "strategy": place}
            parts.append(self._part(f"{self.prefix}{label}", name, body, contexts, stopped=stopped))
        outputs = {key: value for part in parts for key, value in part.outputs.items()}
        self.done[name] = {"result": worst(part.result for part in parts), "outputs": outputs}

    def _skip(self, name: str) -> None:
        self.jobs[f"{self.prefix}{name}"] = JobResult(
            f"{self.prefix}{name}", why="its condition does not hold"
        )
        self.done[name] = {"result": "skipped", "outputs": {}}

    def _part(
        self, label: str, name: str, body: Mapping[str, Any], contexts: Mapping[str, Any], *, stopped: bool
    ) -> JobResult:
        """A job, or one combination of its matrix."""
        scope = Scope({each: contexts[each] for each in _BEFORE_STEPS})
        result = JobResult(label, permissions=self._permissions(name, body))
        result.concurrency = self._concurrency(body, scope.contexts)
        self.jobs[label] = result
        if stopped or name in self.github.cancels:
            result.result, result.why = (
                "cancelled",
                "somebody cancelled it" if not stopped else "another of its matrix failed",
            )
        elif "uses" in body:
            self._call(result, body, contexts)
        else:
            self._steps(result, body, contexts, scope)
        if result.result == "failure" and truth(fill(body.get("continue-on-error", False), scope)):
            result.result, result.why = "success", "it failed, and may"
        return result

    def _steps(
        self, result: JobResult, body: Mapping[str, Any], contexts: Mapping[str, Any], scope: Scope
    ) -> None:
        said = fill(body.get("environment"), scope)
        result.environment = text(said["name"]) if isinstance(said, Mapping) else said or None
        environment = self.github.environment(result.environment) if result.environment else Environment()
        if not environment.approved or not triggers.passes(environment.refs, self.event.ref_name):
            result.result = "failure"
            result.why = (
                "its environment does not let it" if environment.approved else "the reviewers rejected it"
            )
            return
        mine = {
            **contexts,
            "secrets": {**contexts["secrets"], **self._let_through(environment, contexts["secrets"])},
            "vars": {**contexts["vars"], **({} if self.event.from_fork else environment.variables)},
        }
        document = self.workflow.document
        defaults = {**document.get("defaults", {}).get("run", {}), **body.get("defaults", {}).get("run", {})}
        granted = self._granted(result.permissions)
        result.permissions.clear()
        result.permissions.update(granted)
        Job(self.github, result, {**body, "defaults": {"run": defaults}}, mine, document.get("env", {})).run()

    def _let_through(self, environment: Environment, known_secrets: Mapping[str, str]) -> dict[str, str]:
        """The environment's secrets, as far as the call lets them: without `inherit`, only those of names that it hands over."""
        if self.event.from_fork:
            return {}
        return {
            name: value
            for name, value in environment.secrets.items()
            if self.inherits or name in known_secrets
        }

    def _call(self, result: JobResult, body: Mapping[str, Any], contexts: Mapping[str, Any]) -> None:
        """Run the workflow that the job calls; its jobs are named after this one."""
        called = self.workflow.called(body["uses"])
        where = f"{self.workflow.path.name}: {result.name}"
        missing({"workflow_call"} - set(called.on), f"{where}: {called.path.name}: on")
        declared = called.on["workflow_call"] or {}
        scope = Scope({each: contexts[each] for each in _BEFORE_STEPS})
        inputs = triggers.inputs(declared.get("inputs"), fill(body.get("with", {}), scope), where)
        secrets = self._handed(declared.get("secrets") or {}, body.get("secrets", {}), contexts, where)
        inner = {"github": contexts["github"], "vars": contexts["vars"], "inputs": inputs, "secrets": secrets}
        run = _Graph(
            called, self.event, self.github, inner, result.permissions, f"{result.name} / ",
            inherits=self.inherits and body.get("secrets") == "inherit",
        ).run()  # fmt: skip
        self.jobs.update(run.jobs)
        result.result, result.outputs = run.result, run.outputs

    def _handed(
        self, declared: Mapping[str, Any], given: Any, contexts: Mapping[str, Any], where: str
    ) -> dict[str, str]:
        if given == "inherit":
            return dict(contexts["secrets"])
        known(given, declared, f"{where}: secrets")
        scope = Scope({each: contexts[each] for each in (*_BEFORE_STEPS, "secrets")})
        handed = {name: text(fill(value, scope)) for name, value in given.items()}
        required = {name for name, body in declared.items() if (body or {}).get("required")}
        if not self.event.from_fork:
            missing(required - {name for name, value in handed.items() if value}, f"{where}: secrets")
        return handed

    def _permissions(self, name: str, body: Mapping[str, Any]) -> dict[str, str]:
        """What the job's token may, of what the workflow says; never more than the caller's."""
        where = f"{self.workflow.path.name}: {name}"
        asked = permissions(body.get("permissions"), where)
        if asked is None:
            asked = permissions(self.workflow.document.get("permissions"), where)
        if asked is None:
            asked = dict(DEFAULT_PERMISSIONS if self.cap is None else self.cap)
        for scope, level in asked.items() if self.cap is not None else ():
            allowed = self.cap.get(scope, "none") if self.cap else "none"
            if LEVELS.index(level) > LEVELS.index(allowed):
                raise WorkflowError(
                    f"{where}: it asks for {scope}: {level}, and its caller has {scope}: {allowed}"
                )
        return asked

    def _granted(self, asked: Mapping[str, str]) -> dict[str, str]:
        """What is left of it to a stranger's code."""
        if not self.event.from_fork:
            return dict(asked)
        return {scope: "read" for scope in asked if scope != "id-token"}

    def _status(self, name: str) -> dict[str, Callable[[], bool]]:
        """The status functions of a job: they ask all jobs that it comes after, near and far."""
        before = {self.done[each]["result"] for each in self._ancestors(name)}
        return {
            "success": lambda: before <= {"success"} and not self.cancelled,
            "failure": lambda: "failure" in before,
            "cancelled": lambda: self.cancelled,
            "always": lambda: True,
        }

    def _ancestors(self, name: str) -> set[str]:
        near = set(needs(self.workflow.jobs[name]))
        return near.union(*(self._ancestors(each) for each in near))

    def _concurrency(self, body: Mapping[str, Any], contexts: Mapping[str, Any]) -> dict[str, Any] | None:
        said = fill(body.get("concurrency"), Scope(contexts))
        if said is None:
            return None
        whole = said if isinstance(said, Mapping) else {"group": said}
        known(whole, {"group", "cancel-in-progress"}, f"{self.workflow.path.name}: concurrency")
        return {
            "group": text(whole["group"]),
            "cancel-in-progress": truth(whole.get("cancel-in-progress", False)),
        }


def combinations(matrix: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The combinations of a matrix: every one of its lists, without `exclude`, with `include`; one empty one of none."""
    axes = {name: listed(values) for name, values in matrix.items() if name not in {"include", "exclude"}}
    every = (
        [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    )
    kept = [each for each in every if not any(_fits(each, part) for part in matrix.get("exclude", ()))]
    whole = [dict(each) for each in kept]
    for extra in matrix.get("include", ()):
        shared = {name: value for name, value in extra.items() if name in axes}
        places = [at for at, each in enumerate(kept) if _fits(each, shared)]
        for at in places:
            whole[at] |= extra
        if not places:
            whole.append(dict(extra))
    return whole or ([{}] if not matrix else [])


def _fits(combination: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(equal(combination.get(name), value) for name, value in part.items())
