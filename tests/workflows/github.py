"""What GitHub has around a workflow, as a test sets it up; and what it says of a run afterwards."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.workflows.workflow import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.workflows.runner import Step


class ActionFailed(Exception):  # noqa: N818 - an outcome, not a defect
    """An action says that its step has failed, and why."""


@dataclass(frozen=True)
class Action:
    """An action: the inputs that it has, and a function that takes the running step and gives its outputs."""

    inputs: frozenset[str]
    does: Callable[[Step], Mapping[str, str] | None]


@dataclass(frozen=True)
class Environment:
    """A deployment environment: its own secrets and variables, the refs that may deploy to it, what the reviewers say."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    refs: Sequence[str] = ("**",)
    approved: bool = True


@dataclass(frozen=True)
class GitHub:
    """A repository on GitHub, and the machines that run its workflows.

    `origin` is a bare repository, `folder` the place for everything that a run makes. `environ` is what the runner's image
    brings into every step, such as PATH; `api_url` is where the API is asked, `minute` is how many seconds a minute of `timeout-minutes` takes; somebody cancels the run
    as it comes to one of the jobs `cancels`.
    """

    origin: Path
    folder: Path
    actions: Mapping[str, Action] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    minute: float = 60.0
    api_url: str = "https://api.github.com"
    cancels: frozenset[str] = frozenset()

    @property
    def artifacts(self) -> Path:
        """Where artifacts of the run are kept, by name."""
        return self.folder / "artifacts"

    def action(self, uses: str) -> Action:
        """The action that a step uses; its version is left to the linters."""
        name = uses.partition("@")[0]
        if name not in self.actions:
            raise WorkflowError(
                f"{uses} is not an action that this test has: {', '.join(sorted(self.actions))}"
            )
        return self.actions[name]

    def environment(self, name: str) -> Environment:
        """An environment of the repository. GitHub makes one that is not there, without protection: here it is an error."""
        if name not in self.environments:
            raise WorkflowError(
                f"{name!r} is not an environment: {', '.join(sorted(self.environments)) or 'there is none'}"
            )
        return self.environments[name]


class Mask:
    """Secrets in what is printed, as `***`: each of them, each of its lines, and its base64."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._hidden: set[str] = set()
        for secret in secrets.values():
            self.add(secret)

    def add(self, secret: str) -> None:
        encoded = base64.b64encode(secret.encode()).decode() if secret else ""
        self._hidden |= {each for each in (secret, encoded, *secret.splitlines()) if each.strip()}

    def __call__(self, text: str) -> str:
        for secret in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


@dataclass
class StepResult:
    """What became of a step; `outcome` is before `continue-on-error`, `conclusion` after it. `raw` is its output unmasked."""

    name: str
    outcome: str = "skipped"
    conclusion: str = "skipped"
    code: int | None = None
    output: str = ""
    raw: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass
class JobResult:
    """What became of a job: `success`, `failure`, `cancelled` or `skipped`."""

    name: str
    result: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[StepResult] = field(default_factory=list)
    permissions: dict[str, str] = field(default_factory=dict)
    environment: str | None = None
    concurrency: dict[str, Any] | None = None
    why: str = ""

    @property
    def commands(self) -> list[str]:
        """The names of the steps that ran, in order."""
        return [step.name for step in self.steps if step.outcome != "skipped"]

    @property
    def output(self) -> str:
        """The job's log, as a reader sees it."""
        return "".join(f"## {step.name}: {step.outcome}\n{step.output}" for step in self.steps)


@dataclass
class Run:
    """A run of a workflow: its jobs by name, `test (3.11)` for one of a matrix, `deploy / plan` for one of a called workflow."""

    started: bool
    jobs: dict[str, JobResult] = field(default_factory=dict)
    concurrency: dict[str, Any] | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    """Those of a called workflow."""

    @property
    def results(self) -> dict[str, str]:
        return {name: job.result for name, job in self.jobs.items()}

    @property
    def result(self) -> str:
        return worst(self.results.values())

    @property
    def log(self) -> str:
        return "\n".join(f"# {name}: {job.result} {job.why}\n{job.output}" for name, job in self.jobs.items())


def worst(results: Any) -> str:
    """The result of several jobs that count as one."""
    found = set(results)
    return next((each for each in ("failure", "cancelled", "success") if each in found), "skipped")
