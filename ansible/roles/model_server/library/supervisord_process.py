"""Ansible module: the supervisord of a folder, and the process that holds its front door."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_supervisord import (
    PAUSE_SECONDS,
    STOP_SECONDS,
    NotReadyError,
    Process,
    answering,
    supervisor,
    supervisord_runs,
)

DOCUMENTATION = r"""
module: supervisord_process
short_description: Start a process of supervisord, or end them all
description:
  - Talks to supervisord by its socket, run/supervisord.sock in its folder.
  - supervisorctl waits until a process has run for some time; this does not.
author: Slipway
options:
  home: {description: Folder of supervisord., type: path, required: true}
  name: {description: "The process, as group:name, where C(started).", type: str}
  state:
    description:
      - C(started) leaves a process alone that runs.
      - C(shut_down) ends supervisord and all its processes, or those that one that was killed has left.
    type: str
    choices: [started, shut_down]
    required: true
"""

EXAMPLES = r"""
- name: Hold the front door's socket
  supervisord_process: {home: /srv/slipway, name: "slipway:0", state: started}
"""

ANNOUNCEMENTS = "run/*.json"
"""A process that serves holds a lock on its own."""
DOOR_SECONDS = 5
FRONT_DOOR = r"^socket = tcp://(.+):(\d+)$"


def shut_down() -> bool:
    """End supervisord and its processes, and wait for it; whether anything ran."""
    changed = supervisord_runs()
    if changed:
        supervisor().shutdown()
    until = time.monotonic() + STOP_SECONDS
    while supervisord_runs():
        if time.monotonic() > until:
            raise NotReadyError(f"supervisord has not ended after {STOP_SECONDS} s")
        time.sleep(PAUSE_SECONDS)
    left = serving()
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    while serving():
        if time.monotonic() > until:
            raise NotReadyError(f"the processes {serving()} have not ended after {STOP_SECONDS} s")
        time.sleep(PAUSE_SECONDS)
    _until_the_socket_is_free(until)
    return changed or bool(left)


def _until_the_socket_is_free(until: float) -> None:
    """Wait for the door's process: it sees within a second that a supervisord was killed, and lets the socket go."""
    if not (match := re.search(FRONT_DOOR, text(Path("supervisord.conf")), re.MULTILINE)):
        return
    until = min(until, time.monotonic() + DOOR_SECONDS)  # another program may have it by then
    while time.monotonic() < until and not free(match[1], int(match[2])):
        time.sleep(PAUSE_SECONDS)


def free(address: str, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError:
            return False
    return True


def text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def serving() -> list[int]:
    """The processes that serve, by the locks that they hold."""
    found = []
    for announcement in Path().glob(ANNOUNCEMENTS):
        try:
            with announcement.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(json.load(file)["pid"])
        except (FileNotFoundError, ValueError):
            continue
    return found


def bring(given: dict) -> bool:
    """Bring the process into the state that is asked for; whether that changed something."""
    if given["state"] == "shut_down":
        return shut_down()
    process = Process(given["name"])
    if process.runs():
        return False
    process.stop()
    process.start()
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "name": {"type": "str"},
            "state": {"type": "str", "choices": ["started", "shut_down"], "required": True},
        },
        required_if=[("state", "started", ["name"])],
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        os.chdir(module.params["home"])
        with answering():
            changed = bring(module.params)
    except (NotReadyError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
