"""Hosts of a cloud are new, or have an old baseline: before a release comes to them, `provision` is played on them."""

import hashlib
import subprocess
import time
from collections.abc import Callable, Sequence

from slipway.errors import MachineError
from slipway.fleet import playbook
from slipway.fleet.context import Context
from slipway.fleet.environment import Environment, Fleet
from slipway.fleet.session import Session

_BOOT_SECONDS = 600
_TRY_SECONDS = 60
_PAUSE_SECONDS = 1.0
_READY = "! command -v cloud-init >/dev/null || cloud-init status --wait >/dev/null || [ $? -eq 2 ]"
"""Whoever is let in while a machine still sets itself up, finds it locked. 2 is: done, with warnings."""


def bring(session: Session, fleet: Fleet) -> int:
    """Bring the hosts that are new, or whose baseline is not the repository's, to it; the tasks that changed something.

    Raises:
        MachineError: A new host does not answer SSH.
        TaskFailed: A host does not come to the baseline.
    """
    context = session.context
    environment, progress = context.environment, context.progress
    if environment.is_here:
        return 0
    known, wanted = session.reports, digest(environment)
    new = [name for name in sorted(fleet.hosts) if name not in known and name not in session.lost]
    if new:
        progress.begin("provision", f"{', '.join(new)}  answer SSH")
        wait({name: environment.ssh(fleet.hosts[name]) for name in new})
        progress.end()
    due = [*new, *(name for name in sorted(known) if name in fleet.hosts and known[name].baseline != wanted)]
    if not due:
        return 0
    return _play(context, due, wanted, session.held)


def digest(environment: Environment) -> str:
    """Of all that the baseline of an environment is made of: the role, and its variables."""
    ansible = environment.repository.root / "ansible"
    folders = (ansible / "roles" / "host_baseline", ansible / "inventory" / environment.name / "group_vars")
    found = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.resolve().rglob("*") if file.is_file()):
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def wait(
    hosts: dict[str, list[str]],
    seconds: float = _BOOT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until machines have started and let SSH in.

    Args:
        hosts: How each is reached, by name.
        seconds: How long, at the most.
        clock: Monotonic seconds.
        sleep: Lets seconds pass.

    Raises:
        MachineError: One does not; with what SSH said last.
    """
    until = clock() + seconds
    for name, ssh in hosts.items():
        while said := _refusal(ssh):
            if clock() > until:
                raise MachineError(
                    f"{name} is there, but cannot be reached after {seconds:g} s: {said}",
                    next_command="mend that, then the same command again",
                )
            sleep(_PAUSE_SECONDS)


def _refusal(ssh: Sequence[str]) -> str:
    """Why a machine is not ready; empty where it is."""
    try:
        done = subprocess.run(
            [*ssh, f"sh -c '{_READY}'"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=_TRY_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it says nothing for {_TRY_SECONDS} s"
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return said[-1] if done.returncode else ""


def _play(context: Context, hosts: Sequence[str], wanted: str, locks: Sequence[int]) -> int:
    progress, names = context.progress, ", ".join(hosts)

    def on_step(step: playbook.Step) -> None:
        progress.begin("provision", f"{names}  baseline", f"{names}  {step.task}")

    variables = {"host_baseline_digest": wanted}
    done = playbook.run(context.environment, "provision", variables, on_step, locks, limit=hosts)
    progress.end(f"{done.changed} changes")
    return done.changed
