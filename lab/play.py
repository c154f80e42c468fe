"""Runs the repository's playbooks on hosts of a lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lab.lab import Lab

REPOSITORY = Path(__file__).parents[1]
_ANSIBLE = REPOSITORY / "ansible"
_SECONDS = 300


class Played(NamedTuple):
    """How a playbook ended."""

    code: int
    changed: dict[str, int]
    """Changed tasks by host."""
    failed: str
    """The message of the last task that failed."""
    output: str


def play(folder: Path, inventory: dict[str, Any], playbook: str, *arguments: str) -> Played:
    """Run a playbook; Ansible keeps what belongs to it in `folder`."""
    binaries = Path(sys.executable).parent
    (folder / "inventory.json").write_text(json.dumps(inventory))
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(_ANSIBLE / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl",
    }
    program, file = str(binaries / "ansible-playbook"), str(_ANSIBLE / "playbooks" / f"{playbook}.yml")
    done = subprocess.run(
        [program, f"--inventory={folder / 'inventory.json'}", *arguments, file],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = [
        result.get("msg", "")
        for event in events
        if event["_event"] in {"v2_runner_on_failed", "v2_runner_on_unreachable"}
        for result in event["hosts"].values()
    ]
    stats = events[-1]["stats"] if events else {}
    changed = {host: found["changed"] for host, found in stats.items()}
    return Played(done.returncode, changed, failed[-1] if failed else "", done.stdout + done.stderr)


def reached(lab: Lab) -> dict[str, Any]:
    """The variables by which Ansible reaches the hosts of a lab."""
    return {
        "ansible_ssh_common_args": f"-F {lab.plan.folder / 'ssh_config'}",
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
