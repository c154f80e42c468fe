"""The control group of a host: everything that runs there is in it, and can be frozen or killed by it.

Where PID 1 is systemd, the group is a service of its, with everything below delegated. Elsewhere it is a folder in every
hierarchy (one with cgroup v2, one for each controller before that): a host that shares one is slow to stop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.shell import LabError, attempt, run

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUPS = Path("/sys/fs/cgroup")
_END_SECONDS = 20
_PAUSE_SECONDS = 0.01


def systemd_is_first() -> bool:
    """Whether PID 1 is systemd, to which the control groups then belong."""
    return Path("/run/systemd/system").is_dir() and Path("/proc/1/comm").read_text() == "systemd\n"


def unified(cgroups: Path = CGROUPS) -> bool:
    """Whether there is one hierarchy for all controllers."""
    return (cgroups / "cgroup.controllers").is_file()


def hierarchies(cgroups: Path = CGROUPS) -> list[Path]:
    """Where the hierarchies are mounted."""
    if unified(cgroups):
        return [cgroups]
    return sorted(path.parent for path in cgroups.glob("*/cgroup.procs"))


class Group:
    """The control group of one host."""

    def __init__(self, name: str) -> None:
        self._managed = systemd_is_first()
        self._unit = f"{name}.service"
        place = f"system.slice/{self._unit}" if self._managed else name
        self._folders = [hierarchy / place for hierarchy in hierarchies()]

    def make(self) -> None:
        """Make the group, where systemd does not."""
        if self._managed:
            return
        for folder in self._folders:
            folder.mkdir(exist_ok=True)
            for limit in folder.glob("cpuset.[cm][pe][um]s"):
                # An empty set takes no process.
                limit.write_text((folder.parent / limit.name).read_text())
        if unified():
            (CGROUPS / "cgroup.subtree_control").write_text("+cpu +io +memory +pids")

    def launch(self, script: Path) -> None:
        """Run a script as the group's first process; it must begin with `entry`."""
        if not self._managed:
            run("setsid", "--fork", "/bin/sh", str(script))
            return
        settings = ("Delegate=yes", "OOMPolicy=continue", "TasksMax=infinity", "KillMode=mixed")
        run(
            *("systemd-run", "--quiet", "--collect", f"--unit={self._unit}"),
            *(f"--property={setting}" for setting in settings),
            *("/bin/sh", str(script)),
        )

    def entry(self) -> str:
        """The lines with which a script enters the group."""
        if self._managed:
            return ""
        return "".join(f"echo $$ >{folder}/cgroup.procs\n" for folder in self._folders)

    def processes(self) -> list[int]:
        """Everything that runs in the group, and below it."""
        found: set[int] = set()
        for file in self._files("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(map(int, file.read_text().split()))
        return sorted(found - {0})

    @property
    def frozen(self) -> bool:
        return any(
            file.read_text().strip() in {"1", "FROZEN", "FREEZING"}
            for file in self._freezers()
            if file.exists()
        )

    def freeze(self) -> None:
        """Stop everything in the middle of what it does."""
        self._turn("FROZEN", "1")

    def thaw(self) -> None:
        """Let everything go on."""
        self._turn("THAWED", "0")

    def kill(self) -> None:
        """End everything at once, as a power cut does.

        Raises:
            LabError: Something does not end.
        """
        self.thaw()  # what is frozen does not die, before cgroup v2
        until = time.monotonic() + _END_SECONDS
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise LabError(f"the processes {left} of {self._unit} do not end")
            time.sleep(_PAUSE_SECONDS)

    def remove(self) -> None:
        """Remove the group; nothing may run in it."""
        if self._managed:
            attempt("systemctl", "stop", self._unit)
            attempt("systemctl", "reset-failed", self._unit)
            return
        for top in self._folders:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()

    def _turn(self, state: str, number: str) -> None:
        for file in self._freezers():
            with contextlib.suppress(FileNotFoundError):
                file.write_text(state if file.name == "freezer.state" else number)

    def _freezers(self) -> list[Path]:
        if unified():
            return [self._folders[0] / "cgroup.freeze"]
        return [folder / "freezer.state" for folder in self._folders if "freezer" in folder.parts]

    def _files(self, name: str) -> Iterator[Path]:
        for top in self._folders:
            for folder, _, _ in os.walk(top):
                yield Path(folder) / name
