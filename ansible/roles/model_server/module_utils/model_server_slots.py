"""Starts, tells and ends the slots of a host, by whatever keeps them alive, and lets one take over from the other."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible.module_utils.model_server_host import asked, read, runtime_folder, serves
from ansible.module_utils.model_server_supervisord import (
    NotReadyError,
    Process,
    answering,
    failure,
    supervisord_runs,
)

if TYPE_CHECKING:
    from pathlib import Path

PAUSE_SECONDS = 0.02
GOLDEN_SECONDS = 60
PROCESSES = {"blue": "slipway:1", "green": "slipway:2"}
"""Supervisord knows processes of one socket by number only."""
START = "Start the slot's process, and wait until it is ready"
HAVE_STARTED = "Have the service manager start the slot"
GOLDEN = "Ask the slot its golden rows"


class StepError(Exception):
    """A step of several failed."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class Supervisord:
    """Slots as processes of the supervisord of the current folder."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def start(self, slot: str, seconds: float) -> None:
        """Start a slot anew, and wait until it is ready; what has failed is stopped, and not tried again.

        Raises:
            NotReadyError: It ends before that, or takes longer than `seconds`.
            OSError: There is nothing to start it, or that refuses.
        """
        process = Process(PROCESSES[slot])
        with answering():
            try:
                process.stop()
                process.start(f"run/{slot}.json", seconds)
            except NotReadyError:
                process.stop()
                raise

    def resume(self, slot: str, seconds: float) -> None:
        """Start a slot that has served before, and wait until it is ready.

        Raises:
            NotReadyError: It is not.
            OSError: There is nothing to start it, or that refuses.
        """
        self.start(slot, seconds)

    def runs(self, slot: str) -> bool:
        """Whether it is there, or about to be.

        Raises:
            OSError: What keeps it alive does not say.
        """
        if not supervisord_runs():
            return False
        with answering():
            return Process(PROCESSES[slot]).runs()

    def tell(self, slot: str) -> None:
        """Let its process look where `live` leads.

        Raises:
            OSError: There is no such process.
        """
        announcement = self._home / "run" / f"{slot}.json"
        # Who is killed leaves its id behind, and it may be another's now.
        if not serves(announcement) or not (pid := read(announcement).get("pid")):
            raise ProcessLookupError(f"{slot} has no process")
        os.kill(pid, signal.SIGUSR1)

    def stop(self, slot: str) -> bool:
        """Let it answer what it has, and end; whether there was anything to do. Waits for nothing.

        Raises:
            OSError: What keeps it alive refuses.
        """
        if not supervisord_runs():
            return False  # and so no process does
        with answering():
            return Process(PROCESSES[slot]).stop()


class Systemd:
    """Slots as units of the host's systemd, which say themselves how long they may take."""

    def __init__(self, home: Path) -> None:
        del home  # systemd knows it

    def start(self, slot: str, seconds: float) -> None:
        """As Supervisord.start does; `seconds` are those of the unit, for the message."""
        self._asked("reset-failed", slot)  # a unit that has failed too often is started no more
        since = datetime.now(UTC)
        started = self._asked("restart", slot)
        if not started.returncode:
            return
        # Before systemd has tried so often that it closes the front door.
        self._asked("stop", slot)
        self._asked("reset-failed", slot)
        raise NotReadyError(self._failure(slot, started.stderr, since, seconds))

    def resume(self, slot: str, seconds: float) -> None:
        """As Supervisord.resume does; but systemd goes on trying where it takes too long."""
        self._asked("reset-failed", slot)
        since = datetime.now(UTC)
        started = self._asked("start", slot)
        if started.returncode:
            raise NotReadyError(self._failure(slot, started.stderr, since, seconds))

    def runs(self, slot: str) -> bool:
        """As Supervisord.runs does."""
        said = self._told("show", slot, "--property=ActiveState", "--value")
        return said.strip() in {"active", "activating", "reloading"}

    def tell(self, slot: str) -> None:
        """As Supervisord.tell does.

        Systemd knows the process by itself: what the service's user has written is nothing for root to send signals by.
        """
        self._told("kill", slot, "--kill-whom=main", "--signal=USR1")

    def stop(self, slot: str) -> bool:
        """As Supervisord.stop does."""
        # Where a first roll-out failed early there is no such unit, and nothing runs.
        if not self.runs(slot):
            return False
        self._told("stop", slot, "--no-block")
        return True

    def _asked(self, verb: str, slot: str, *options: str) -> subprocess.CompletedProcess[str]:
        return output(["systemctl", verb, *options, f"slipway@{slot}.service"])

    def _told(self, verb: str, slot: str, *options: str) -> str:
        done = self._asked(verb, slot, *options)
        if done.returncode:
            raise OSError(done.stderr.strip() or f"systemctl {verb} ends with {done.returncode}")
        return done.stdout

    def _failure(self, slot: str, errors: str, since: datetime, seconds: float) -> str:
        """Why a slot did not start, and its last words or, where there are none, systemd's."""
        late = "timeout" in errors
        reason = f"it is not ready after {seconds:g} s" if late else "it ended before it was ready"
        cause = re.search(r"because .*", errors)
        unit, moment = f"_SYSTEMD_UNIT=slipway@{slot}.service", f"{since:%Y-%m-%d %H:%M:%S.%f} UTC"
        command = ["journalctl", unit, f"--since={moment}", "--lines=1", "--output=cat", "--no-pager"]
        return failure(reason, output(command).stdout.strip() or (cause[0] if cause else errors.strip()))


MANAGERS = {"supervisord": Supervisord, "systemd": Systemd}
Manager = Supervisord | Systemd


def output(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
    """What a program says, in English; bytes that are no text are replaced."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=environment, **settings
    )  # fmt: skip


def point(link: Path, target: str) -> bool:
    """Let a link lead to the target, with no moment in between at which it leads nowhere; whether it did not before."""
    if leads(link, target):
        return False
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    return True


def leads(link: Path, target: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == target


def prove(home: Path, manager: Manager, slot: str, record: dict, seconds: float) -> None:
    """Start a slot on the release that it is linked to, and ask it the golden rows by its side door.

    Raises:
        StepError: It is not ready in time, or answers something else; or there is nothing to start it.
    """
    try:
        manager.start(slot, seconds)
    except NotReadyError as error:
        raise StepError(START, str(error)) from error
    except OSError as error:
        raise StepError(HAVE_STARTED, str(error)) from error
    python = runtime_folder(home, record) / "bin" / "python"
    probe = [str(python), "-m", "slipway.serving.probe", f"--home={home}", f"--slot={slot}"]
    try:
        done = output([*probe, "golden", "--seconds", "5"], cwd="/", timeout=GOLDEN_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StepError(GOLDEN, str(error)) from error
    if done.returncode:
        raise StepError(GOLDEN, done.stderr.strip() or f"exit code {done.returncode}")


def is_open(home: Path, slot: str) -> bool:
    """Whether the slot's process says that it answers at the front door."""
    return asked(home, slot, "/readyz").get("live") is True


def open_door(home: Path, manager: Manager, slot: str, seconds: float) -> None:
    """Tell a slot to which `live` leads, and wait until it answers at the front door.

    Raises:
        OSError: There is no such process, or it does not in time.
    """
    manager.tell(slot)
    until = time.monotonic() + seconds
    while not is_open(home, slot):
        if time.monotonic() > until:
            raise TimeoutError(f"{slot} is ready, but does not answer at the front door after {seconds:g} s")
        time.sleep(PAUSE_SECONDS)
