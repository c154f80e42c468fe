"""Runs Ansible playbooks, and turns their events into steps and failures that a person can read."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from slipway.errors import SlipwayError
from slipway.fleet.environment import Environment


class TaskFailed(SlipwayError):  # noqa: N818 - an outcome, not a defect
    """A task failed on a host; the role has put back what was."""

    def __init__(self, host: str, message: str, phase: str = "") -> None:
        super().__init__(f"{host}: {message}")
        self.phase = phase


class Step(NamedTuple):
    """A task that begins, in a phase of the role."""

    phase: str
    """Empty where it goes on with the phase before."""
    task: str


class Outcome(NamedTuple):
    """What a playbook has done."""

    changed: int
    """Tasks that changed something, over all hosts."""


def command(
    environment: Environment, playbook: str, variables: Mapping[str, Any], limit: Sequence[str] = ()
) -> list[str]:
    """The command line of a playbook for the hosts of an environment, or for some of them."""
    ansible = environment.repository.root / "ansible"
    return [
        str(Path(sys.executable).parent / "ansible-playbook"),
        f"--inventory={ansible / 'inventory' / environment.name}",
        f"--inventory={environment.folder / 'inventory.yml'}",
        f"--extra-vars={json.dumps(variables)}",
        *([f"--limit={','.join(limit)}"] if limit else []),
        str(ansible / "playbooks" / f"{playbook}.yml"),
    ]


def run(
    environment: Environment,
    playbook: str,
    variables: Mapping[str, Any],
    on_step: Callable[[Step], None],
    lock: int,
    on_cancel: Callable[[], None] = lambda: None,
    limit: Sequence[str] = (),
) -> Outcome:
    """Run a playbook, in a session of its own: an interrupt reaches us, and the host finishes its step.

    Args:
        environment: Whose hosts.
        playbook: Name of a file of `ansible/playbooks`.
        variables: Extra variables.
        on_step: Called as each task begins.
        lock: Descriptor that the playbook holds as long as it runs.
        on_cancel: Called when somebody interrupts; the playbook goes on to its end.

    Raises:
        TaskFailed: A task failed; the message names host, task and reason.
    """
    argv = command(environment, playbook, variables, limit)
    with (
        (environment.folder / "ansible.log").open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            argv, env=_environment(environment), stdout=subprocess.PIPE, stderr=errors, text=True,
            stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=[lock],
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        interrupted = False
        failure: TaskFailed | None = None
        changed = 0
        while True:
            try:
                if not (line := process.stdout.readline()):
                    break
                event = _event(line)
                if step := step_of(event):
                    on_step(step)
                failure = failure_of(event) or failure
                changed += changes_of(event)
            except KeyboardInterrupt:
                interrupted = True
                on_cancel()
    if interrupted:
        raise KeyboardInterrupt
    if process.returncode:
        # A failure is none where the play went on and came to its end.
        if failure:
            raise failure
        words = (environment.folder / "ansible.log").read_text(encoding="utf-8").strip().splitlines()
        raise TaskFailed("ansible", words[-1] if words else f"exit code {process.returncode}")
    return Outcome(changed)


def step_of(event: Mapping[str, Any]) -> Step | None:
    """The step that an event begins, its phase being the role's file: `.../tasks/install.yml:12`."""
    if event.get("_event") != "v2_playbook_on_task_start":
        return None
    task = event["task"]
    return Step(_phase(task), task["name"].removeprefix("model_server : "))


def _phase(task: Mapping[str, Any]) -> str:
    """A file in a folder below, as a service manager's, belongs to the phase that includes it: it has none."""
    file = Path(task.get("path", "").rpartition(":")[0])
    return file.stem if file.parent.name == "tasks" else ""


def failure_of(event: Mapping[str, Any]) -> TaskFailed | None:
    """The failure that an event reports."""
    if event.get("_event") not in {"v2_runner_on_failed", "v2_runner_on_unreachable"}:
        return None
    ((host, result), *_) = event["hosts"].items()
    task = event["task"]["name"].removeprefix("model_server : ")
    reason = result.get("stderr") or result.get("msg") or "no reason given"
    message = str(reason).strip() if task == "Say what failed" else f"{task}: {str(reason).strip()}"
    return TaskFailed(host, message, _phase(event["task"]))


def changes_of(event: Mapping[str, Any]) -> int:
    """Changed tasks, which the last event of a playbook counts."""
    if event.get("_event") != "v2_playbook_on_stats":
        return 0
    return sum(host["changed"] for host in event["stats"].values())


def _event(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _environment(environment: Environment) -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(environment.repository.root / "ansible" / "ansible.cfg"),
        "ANSIBLE_HOME": str(environment.folder / "ansible"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "PYTHONWARNINGS": "ignore",
    }
