"""Ansible module: make a slot that serves answer at the front door, in one step."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_host import MANAGERS, SLOTS, asked, read

DOCUMENTATION = r"""
module: model_server_live
short_description: Make a slot live
description:
  - Points the link C(live) to the slot, tells the slot's process, and waits until it answers at the front door.
  - Three steps of a host in one, because each task of its own costs a third of a second on every host.
author: Slipway
options:
  home: {description: The environment's folder., type: path, required: true}
  manager:
    description: What keeps the slots alive.
    type: str
    choices: [supervisord, systemd]
    default: supervisord
  slot: {description: The slot., type: str, choices: [blue, green], required: true}
  seconds: {description: How long the process may take to open the front door., type: float, default: 5}
"""

EXAMPLES = r"""
- name: Make the slot live
  model_server_live: {home: /srv/slipway, manager: systemd, slot: green}
"""

RETURN = r"""
pointed: {description: Whether the link led elsewhere before., type: bool, returned: success}
told: {description: Whether the process had not opened the front door yet., type: bool, returned: success}
"""

PAUSE_SECONDS = 0.02


def point(link: Path, target: str) -> bool:
    """Let a link lead to the target, with no moment in between at which it leads nowhere; whether it did not before."""
    if link.is_symlink() and str(link.readlink()) == target:
        return False
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    return True


def tell(home: Path, manager: str, slot: str) -> None:
    """Let the slot's process look where `live` leads.

    Systemd knows the process by itself: what the service's user has written is nothing for root to send signals by.

    Raises:
        OSError: There is no such process.
    """
    if manager == "systemd":
        command = ["systemctl", "kill", "--kill-whom=main", "--signal=USR1", f"slipway@{slot}.service"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProcessLookupError(done.stderr.strip())
        return
    if not (pid := read(home / "run" / f"{slot}.json").get("pid")):
        raise ProcessLookupError(f"{slot} has no process")
    os.kill(pid, signal.SIGUSR1)


def is_open(home: Path, slot: str) -> bool:
    """Whether the slot's process says that it answers at the front door."""
    return asked(home, slot, "/readyz").get("live") is True


def make(home: Path, manager: str, slot: str, seconds: float) -> dict:
    """Make the slot live; what there was to do, as documented in RETURN.

    Raises:
        OSError: It has no process, or does not open the front door in time.
    """
    pointed = point(home / "live", f"slots/{slot}")
    if is_open(home, slot):
        return {"pointed": pointed, "told": False}
    tell(home, manager, slot)
    until = time.monotonic() + seconds
    while not is_open(home, slot):
        if time.monotonic() > until:
            raise TimeoutError(f"{slot} is ready, but does not answer at the front door after {seconds:g} s")
        time.sleep(PAUSE_SECONDS)
    return {"pointed": pointed, "told": True}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "manager": {"type": "str", "choices": list(MANAGERS), "default": "supervisord"},
            "slot": {"type": "str", "choices": list(SLOTS), "required": True},
            "seconds": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    given = module.params
    home = Path(given["home"])
    if module.check_mode:
        leads = (home / "live").is_symlink() and str((home / "live").readlink()) == f"slots/{given['slot']}"
        told = not is_open(home, given["slot"])
        module.exit_json(changed=told or not leads, pointed=not leads, told=told)
    try:
        done = make(home, given["manager"], given["slot"], given["seconds"])
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=any(done.values()), **done)


if __name__ == "__main__":
    main()
