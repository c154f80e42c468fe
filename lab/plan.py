"""What a lab consists of, written down before anything of it is made: so `down` finds it, whoever was killed."""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import NamedTuple

FOLDER = Path("/var/lib/slipway/lab")
"""A folder for each lab. Not in the repository: a lab is the machine's, whichever clone it came from."""


class Process(NamedTuple):
    """A process, told from a later one of the same number by the time of its start."""

    pid: int
    started: int
    """In clock ticks since the machine started."""

    @classmethod
    def current(cls) -> Process:
        return cls(os.getpid(), _started(os.getpid()))

    @property
    def alive(self) -> bool:
        return self.started != 0 and _started(self.pid) == self.started


class Plan(NamedTuple):
    """A lab: its hosts and the addresses they take."""

    name: str
    controller: IPv4Interface
    """This machine's own address in the lab's network, and how large that is."""
    hosts: dict[str, IPv4Address]
    owner: Process | None = None
    """Whose end is the lab's end too; None for one that stays."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def abandoned(self) -> bool:
        return self.owner is not None and not self.owner.alive

    def write(self) -> None:
        """Write it down, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / "plan.new"
        hosts = {name: str(address) for name, address in self.hosts.items()}
        new.write_text(
            json.dumps(
                {"name": self.name, "controller": str(self.controller), "hosts": hosts, "owner": self.owner}
            )
        )
        new.rename(self.folder / "plan.json")


def read(name: str) -> Plan | None:
    """The plan of a lab, or None where there is no such lab."""
    try:
        found = json.loads((FOLDER / name / "plan.json").read_text())
    except FileNotFoundError:
        return None
    return Plan(
        found["name"],
        IPv4Interface(found["controller"]),
        {host: IPv4Address(address) for host, address in found["hosts"].items()},
        Process(*found["owner"]) if found["owner"] else None,
    )


def known() -> list[Plan]:
    """The plans of all labs of this machine."""
    plans = (read(folder.name) for folder in sorted(FOLDER.glob("*")) if folder.is_dir())
    return [plan for plan in plans if plan]


def _started(pid: int) -> int:
    """When a process started; 0 where there is none, or one that has ended and was not waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
