"""Runs Ansible playbooks, and turns their events into steps and failures that a person can read."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.errors import SlipwayError
from slipway.fleet.environment import Environment
from slipway.release import keys

if TYPE_CHECKING:
    from tempfile import _TemporaryFileWrapper


class TaskFailed(SlipwayError):  # noqa: N818 - an outcome, not a defect
    """A task failed on a host; the role has put back what was."""

    def __init__(self, host: str, message: str, phase: str = "", *, unreachable: bool = False) -> None:
        super().__init__(f"{host}: {message}")
        self.host = host
        self.phase = phase
        self.unreachable = unreachable

    def together_with(self, others: Sequence["TaskFailed"]) -> "TaskFailed":
        """One failure for all, in the first one's phase."""
        self.args = ("\n  ".join(str(each) for each in (self, *others)),)
        return self


class Step(NamedTuple):
    """A task that begins, in a phase of the role."""

    phase: str
    """Empty where it goes on with the phase before."""
    task: str


class Outcome(NamedTuple):
    """What a playbook has done."""

    changed: int
    """Tasks that changed something, over all hosts."""
    results: dict[str, dict[str, Any]]
    """By host: what the last task that went well returned."""
    failures: dict[str, TaskFailed]
    """By host: what failed there last, or that it cannot be reached."""


class _Play:
    """What the events of a playbook add up to."""

    def __init__(self) -> None:
        self._changed = 0
        self._results: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, TaskFailed] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        self._failures |= failures_of(event)
        if event.get("_event") == "v2_runner_on_ok":
            self._results |= event["hosts"]
        self._changed += changes_of(event)
        if event.get("_event") == "v2_playbook_on_stats":
            # Of those where something failed, some went on and came to their end.
            stats = event["stats"]
            self._failures = {
                host: failure
                for host, failure in self._failures.items()
                if stats[host]["failures"] or stats[host]["unreachable"]
            }

    @property
    def outcome(self) -> Outcome:
        return Outcome(self._changed, self._results, self._failures)


def command(environment: Environment, playbook: str, variables: Path, limit: Sequence[str] = ()) -> list[str]:
    """The command line of a playbook for the hosts of an environment, or for some of them.

    Of the environment's own inventories only the one that names no hosts is read: Terraform has put them out, and no
    roll-out waits for a cloud to tell them again. Variables lie in a file, as everybody can read a command line.
    """
    ansible = environment.repository.root / "ansible"
    return [
        str(Path(sys.executable).parent / "ansible-playbook"),
        f"--inventory={ansible / 'inventory' / environment.name / 'hosts.yml'}",
        f"--inventory={environment.folder / 'inventory.yml'}",
        f"--extra-vars=@{variables}",
        *([f"--limit={','.join(limit)}"] if limit else []),
        str(ansible / "playbooks" / f"{playbook}.yml"),
    ]


def run(
    environment: Environment,
    playbook: str,
    variables: Mapping[str, Any],
    on_step: Callable[[Step], None],
    locks: Sequence[int],
    on_cancel: Callable[[], None] = lambda: None,
    limit: Sequence[str] = (),
    *,
    may_fail: bool = False,
) -> Outcome:
    """Run a playbook, in a session of its own: an interrupt reaches us, and the host finishes its step.

    Args:
        environment: Whose hosts.
        playbook: Name of a file of `ansible/playbooks`.
        variables: Extra variables.
        on_step: Called as each task begins.
        locks: Descriptors that the playbook holds as long as it runs, even where the command is killed meanwhile.
        on_cancel: Called when somebody interrupts; the playbook goes on to its end.
        limit: Names of the hosts; all of them where there are none.
        may_fail: Whether failures on hosts are a part of the outcome, and no error.

    Raises:
        TaskFailed: The playbook did not run at all, or a task failed; the message names hosts, tasks and reasons.
    """
    with (
        NamedTemporaryFile("w", dir=environment.folder, prefix="variables-", suffix=".json") as given,
        (environment.folder / "ansible.log").open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command(environment, playbook, _written(given, variables), limit), env=settings(environment), stdout=subprocess.PIPE, stderr=errors, text=True,
            stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=locks,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        interrupted = False
        play = _Play()
        while True:
            try:
                if not (line := process.stdout.readline()):
                    break
                event = _event(line)
                if step := step_of(event):
                    on_step(step)
                play.take(event)
            except KeyboardInterrupt:
                interrupted = True
                on_cancel()
    if interrupted:
        raise KeyboardInterrupt
    outcome = play.outcome
    if not process.returncode:
        # A failure is none where the play went on and came to its end.
        return outcome._replace(failures={})
    if not outcome.failures:
        words = (environment.folder / "ansible.log").read_text(encoding="utf-8").strip().splitlines()
        raise TaskFailed("ansible", words[-1] if words else f"exit code {process.returncode}")
    if not may_fail:
        first, *others = outcome.failures.values()
        raise first.together_with(others)
    return outcome


def _written(file: "_TemporaryFileWrapper[str]", variables: Mapping[str, Any]) -> Path:
    json.dump(variables, file)
    file.flush()
    return Path(file.name)


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


def failures_of(event: Mapping[str, Any]) -> dict[str, TaskFailed]:
    """The failures that an event reports, by host."""
    lost = event.get("_event") == "v2_runner_on_unreachable"
    if not lost and event.get("_event") != "v2_runner_on_failed":
        return {}
    task, phase = event["task"]["name"].removeprefix("model_server : "), _phase(event["task"])
    found = {}
    for host, result in event["hosts"].items():
        reason = str(result.get("stderr") or result.get("msg") or "no reason given").strip()
        message = reason if task == "Say what failed" else f"{task}: {reason}"
        found[host] = TaskFailed(host, message, phase, unreachable=lost)
    return found


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


def settings(environment: Environment) -> dict[str, str]:
    return {
        **keys.withheld(),
        "ANSIBLE_CONFIG": str(environment.repository.root / "ansible" / "ansible.cfg"),
        "ANSIBLE_HOME": str(environment.folder / "ansible"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "PYTHONWARNINGS": "ignore",
    }
