"""One job on one machine: its steps in order, each with the environment, the files and the shell that GitHub gives it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.workflows.expressions import Scope, fill, holds
from tests.workflows.github import ActionFailed, GitHub, JobResult, Mask, StepResult
from tests.workflows.triggers import expression
from tests.workflows.values import Exact, number, text, truth
from tests.workflows.workflow import WorkflowError, known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SHELLS = {
    None: ["bash", "-e"],
    "bash": ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"],
    "sh": ["sh", "-e"],
    "python": ["python"],
}
_JOB_MINUTES = 360.0
_KILLED = "cancelled"
_BEFORE_STEPS = ("github", "inputs", "vars", "needs", "strategy", "matrix")
_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")


class Job:
    """A job as it runs. Actions read and change it: `workspace`, `permissions`, `token`, `env`, `paths`, `mask`."""

    def __init__(
        self,
        github: GitHub,
        result: JobResult,
        body: Mapping[str, Any],
        contexts: Mapping[str, Any],
        env: Mapping[str, Any],
    ) -> None:
        self.github, self.result, self.body = github, result, body
        self.home = github.folder / re.sub(r"[^\w.-]+", "-", result.name)
        self.workspace = self.home / "work"
        self.temp = self.home / "temp"
        self.token = f"ghs_{secrets.token_hex(18)}"
        self.permissions = result.permissions
        given = contexts["github"]
        mine = {"job": result.name.partition(" ")[0], "workspace": str(self.workspace), "token": self.token}
        self.contexts = {**contexts, "github": {**given, **mine}}
        self.contexts["secrets"] = {**contexts["secrets"], "GITHUB_TOKEN": self.token}
        self.mask = Mask(self.contexts["secrets"])
        self.status = "success"
        self.paths: list[str] = []
        self.steps: dict[str, Any] = {}
        self._groups: list[int] = []
        self.env: dict[str, str] = {}
        self.env = self._words({**env, **body.get("env", {})}, (*_BEFORE_STEPS, "secrets"))

    def run(self) -> JobResult:
        """Run the steps, and say what became of the job."""
        for folder in (self.workspace, self.temp, self.home / "files", self.home / "home"):
            folder.mkdir(parents=True)
        (self.home / "event.json").write_text(json.dumps(self.contexts["github"]["event"]))
        minutes = number(self.filled(self.body.get("timeout-minutes", _JOB_MINUTES), _BEFORE_STEPS))
        self._deadline = time.monotonic() + minutes * self.github.minute
        try:
            for position, step in enumerate(self.body["steps"], start=1):
                self.result.steps.append(Step(self, step, position).run())
        finally:
            self._sweep()
        self.result.result = self.status
        self.result.outputs = self._outputs()
        return self.result

    def scope(self, *names: str) -> Scope:
        """What an expression may name beside a step; without names, everything."""
        every = {
            **self.contexts, "steps": self.steps, "env": Exact(self.env), "job": {"status": self.status},
            "runner": {"os": "Linux", "arch": "X64", "name": "local", "temp": str(self.temp), "environment": "github-hosted"},
        }  # fmt: skip
        return Scope({name: every[name] for name in names or every}, {"hashFiles": self._hash_files})

    def condition(self) -> Scope:
        scope = self.scope()
        status = {
            "success": lambda: self.status == "success", "failure": lambda: self.status == "failure",
            "cancelled": lambda: self.status == _KILLED, "always": lambda: True,
        }  # fmt: skip
        contexts = {name: value for name, value in scope.contexts.items() if name != "secrets"}
        return Scope(contexts, {**scope.functions, **status})

    def filled(self, value: Any, names: tuple[str, ...] = ()) -> Any:
        return fill(value, self.scope(*names))

    def _words(self, values: Mapping[str, Any], names: tuple[str, ...] = ()) -> dict[str, str]:
        return {name: text(value) for name, value in self.filled(dict(values), names).items()}

    def words(self, values: Mapping[str, Any] | None) -> dict[str, str]:
        """Values of `env:` or `with:` as strings, beside a step."""
        return self._words(values or {})

    def environment(self) -> dict[str, str]:
        """What every step finds in its environment, before `env:`."""
        github = self.contexts["github"]
        names = (
            "actor", "api_url", "base_ref", "event_name", "head_ref", "job", "ref", "ref_name", "ref_type", "repository",
            "repository_owner", "run_attempt", "run_id", "run_number", "server_url", "sha", "triggering_actor", "workflow",
            "workspace",
        )  # fmt: skip
        variables = {f"GITHUB_{name.upper()}": text(github[name]) for name in names}
        oidc = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:9/",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.token,
        }
        image = {"PATH": os.environ["PATH"], **self.github.environ}
        return {
            "LANG": "C.UTF-8", "HOME": str(self.home / "home"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "file",
            "GIT_TERMINAL_PROMPT": "0", "CI": "true", "GITHUB_ACTIONS": "true", **image, **variables,
            **(oidc if self.permissions.get("id-token") == "write" else {}),
            "GITHUB_EVENT_PATH": str(self.home / "event.json"), "RUNNER_TEMP": str(self.temp), "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64", "RUNNER_TOOL_CACHE": str(self.home / "tools"),
            "PATH": os.pathsep.join([*reversed(self.paths), image["PATH"]]),
        }  # fmt: skip

    def execute(
        self, command: list[str], folder: Path, env: Mapping[str, str], seconds: float
    ) -> tuple[int | None, str]:
        """Run a command as long as the step and the job may take; its exit code, or None where time was up, and its output."""
        log = self.home / "output.txt"
        left = max(0.0, min(seconds, self._deadline - time.monotonic()))
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            try:
                code: int | None = process.wait(left)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = None
        return code, log.read_text(errors="replace")

    @property
    def late(self) -> bool:
        return time.monotonic() >= self._deadline

    def more_time(self) -> None:
        """After its time a job is cancelled, and has five minutes for what it does always."""
        self._deadline = time.monotonic() + 5 * self.github.minute

    def _sweep(self) -> None:
        """End what steps have left behind."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._groups.clear()

    def _outputs(self) -> dict[str, str]:
        """The outputs of the job; one that holds a secret is not given away."""
        names = tuple(self.scope().contexts)
        values = self._words(self.body.get("outputs", {}), names)
        return {name: value for name, value in values.items() if self.mask(value) == value}

    def _hash_files(self, *patterns: str) -> str:
        wanted = [expression(pattern) for pattern in patterns]
        files = sorted(path for path in self.workspace.rglob("*") if path.is_file())
        found = [
            path
            for path in files
            if any(each.fullmatch(str(path.relative_to(self.workspace))) for each in wanted)
        ]
        digests = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in found)
        return hashlib.sha256(digests).hexdigest() if found else ""


class Step:
    """A step as it runs, which is what a function of an action is given: `inputs`, `job`, and `say`."""

    def __init__(self, job: Job, body: Mapping[str, Any], position: int) -> None:
        self.job, self.body, self.position = job, body, position
        self.result = StepResult(str(body.get("name") or body.get("run", body.get("uses"))).strip())
        self.inputs: dict[str, str] = {}
        self._files = {name: job.home / "files" / f"{name.lower()}_{position}" for name in _FILES}

    def run(self) -> StepResult:
        if holds(self.body.get("if"), self.job.condition()):
            self._run()
        self._conclude()
        return self.result

    def say(self, line: str) -> None:
        """Print a line to the log of the step."""
        self.result.raw += f"{line}\n"

    def export(self, name: str, value: str) -> None:
        """Set a variable for this job's later steps."""
        self.job.env[name] = value

    def _run(self) -> None:
        for file in self._files.values():
            file.touch()
        env = self.job.words(self.body.get("env"))
        before = self.job.env
        self.job.env = {**before, **env}
        try:
            code = self._script() if "run" in self.body else self._action()
        finally:
            added = {
                name: value
                for name, value in self.job.env.items()
                if before.get(name) != value and name not in env
            }
            self.job.env = {**before, **added}
        late = code is None and self.job.late
        self.result.code = code
        self.result.outcome = "success" if code == 0 else _KILLED if late else "failure"
        if late:
            self.job.status = _KILLED
            self.job.more_time()
        self._read_files()

    def _conclude(self) -> None:
        result, job = self.result, self.job
        forgiven = result.outcome == "failure" and truth(
            job.filled(self.body.get("continue-on-error", False))
        )
        result.conclusion = "success" if forgiven else result.outcome
        if result.conclusion == "failure" and job.status == "success":
            job.status = "failure"
        result.name, result.output = job.mask(result.name), job.mask(result.raw)
        if "id" in self.body:
            job.steps[self.body["id"]] = {
                "outputs": result.outputs, "outcome": result.outcome, "conclusion": result.conclusion
            }  # fmt: skip

    def _script(self) -> int | None:
        job, defaults = self.job, self.job.filled(self.job.body.get("defaults", {}).get("run", {}))
        shell = self.body.get("shell", defaults.get("shell"))
        if shell not in _SHELLS:
            raise WorkflowError(f"{job.result.name}: {shell} is not a shell that is known here")
        script = job.temp / f"step_{self.position}"
        script.write_text(text(job.filled(self.body["run"])) + "\n")
        folder = job.workspace / text(
            job.filled(self.body.get("working-directory", defaults.get("working-directory", ".")))
        )
        files = {name: str(path) for name, path in self._files.items()}
        everything = {**job.environment(), **job.env, **files}
        minutes = number(job.filled(self.body.get("timeout-minutes", _JOB_MINUTES)))
        code, printed = job.execute(
            [*_SHELLS[shell], str(script)], folder, everything, minutes * job.github.minute
        )
        self.result.raw = printed
        for secret in re.findall(r"^::add-mask::(.*)$", printed, re.MULTILINE):
            job.mask.add(secret)
        return code

    def _action(self) -> int:
        action = self.job.github.action(self.body["uses"])
        self.inputs = self.job.words(self.body.get("with"))
        known(self.inputs, action.inputs, f"{self.job.result.name}: {self.body['uses']}: with")
        try:
            self.result.outputs = dict(action.does(self) or {})
        except ActionFailed as error:
            self.say(f"Error: {error}")
            return 1
        return 0

    def _read_files(self) -> None:
        where = f"{self.job.result.name}: {self.result.name}"
        self.result.outputs |= pairs(self._files["GITHUB_OUTPUT"].read_text(), where)
        for name, value in pairs(self._files["GITHUB_ENV"].read_text(), where).items():
            if name == "NODE_OPTIONS" or name.startswith(("GITHUB_", "RUNNER_")):
                raise WorkflowError(f"{where}: {name} cannot be set by GITHUB_ENV")
            self.job.env[name] = value
        self.job.paths += self._files["GITHUB_PATH"].read_text().split("\n")[:-1]
        self.result.summary = self.job.mask(self._files["GITHUB_STEP_SUMMARY"].read_text())


def pairs(written: str, where: str) -> dict[str, str]:
    """What `NAME=value` and `NAME<<END` lines of a command file say."""
    found, lines = {}, iter(written.splitlines())
    for line in lines:
        name, sign, rest = re.match(r"([^=<]*)(=|<<|$)(.*)", line).groups()  # type: ignore[union-attr]
        if not line:
            continue
        if not name or not sign or (sign == "<<" and not rest):
            raise WorkflowError(f"{where}: expected NAME=value or NAME<<END, got {line!r}")
        found[name] = rest if sign == "=" else "\n".join(_until(rest, lines, where))
    return found


def _until(end: str, lines: Any, where: str) -> list[str]:
    taken: list[str] = []
    for line in lines:
        if line == end:
            return taken
        taken.append(line)
    raise WorkflowError(f"{where}: the end {end!r} never comes")
