"""Ansible module: the supervisord of a folder and its processes. It waits for readiness, not for seconds."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import signal
import socket
import time
import xmlrpc.client
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: supervisord_process
short_description: Start, stop or signal a process of supervisord, or end them all
description:
  - Talks to supervisord by its socket, run/supervisord.sock in its folder.
  - supervisorctl waits until a process has run for some time; this waits until the process says that it is ready, and
    fails with its last words where it ends before that. What has failed is stopped, and not tried again.
author: Slipway
options:
  home: {description: Folder of supervisord., type: path, required: true}
  name: {description: "The process, as group:name; not where C(shut_down).", type: str}
  state:
    description:
      - C(started) leaves a process alone that runs. C(stopped) does not wait for the end of it.
      - C(shut_down) ends supervisord and all its processes, or those that one that was killed has left.
    type: str
    choices: [started, restarted, stopped, signalled, shut_down]
    required: true
  signal: {description: What to send where C(signalled)., type: str, default: TERM}
  ready:
    description: File, below home, in which a process says its id when it is ready. Without it, nothing is waited for.
    type: str
  seconds: {description: How long it may take to be ready., type: int, default: 20}
"""

EXAMPLES = r"""
- name: Start the slot's process
  supervisord_process: {home: /srv/slipway, name: "slipway:1", state: restarted, ready: run/blue.json}
"""

RETURN = r"""
words: {description: The last line that a process wrote before it failed., type: str, returned: on failure}
"""

SOCKET = "run/supervisord.sock"
ANNOUNCEMENTS = "run/*.json"
"""A process that serves holds a lock on its own."""
RUNNING = {"STARTING", "RUNNING"}
ENDING = {"STOPPING", "STOPPED", "FATAL"}
NOT_WAITING = False
PAUSE_SECONDS = 0.02
STOP_SECONDS = 60
DOOR_SECONDS = 5
FRONT_DOOR = r"^socket = tcp://(.+):(\d+)$"


class NotReadyError(Exception):
    """The process has ended, or takes too long; `words` is the last line that it wrote."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(f"{reason}: {words}" if words else reason)
        self.words = words


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)  # relative: an absolute path may be too long for a socket


class _Transport(xmlrpc.client.Transport):
    def make_connection(self, host: str) -> http.client.HTTPConnection:
        return _Connection(host)


class Process:
    """A process of supervisord."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._supervisor = xmlrpc.client.ServerProxy("http://localhost", _Transport()).supervisor

    def info(self) -> dict:
        return self._supervisor.getProcessInfo(self._name)

    def signal(self, signal: str) -> None:
        self._supervisor.signalProcess(self._name, signal)

    def start(self, ready: str | None, seconds: float) -> None:
        """Start it, and wait until it is ready.

        Raises:
            NotReadyError: It has ended, or is not ready in time.
        """
        self._until_ended()
        log = Path(self.info()["stdout_logfile"])
        before = log.stat().st_size if log.exists() else 0
        self._supervisor.startProcess(self._name, NOT_WAITING)
        pid = self.info()["pid"]
        until = time.monotonic() + seconds
        while ready and announced(ready) != pid:
            info = self.info()
            if info["pid"] != pid or info["statename"] not in RUNNING:
                raise NotReadyError("it ended before it was ready", last_line(log, before))
            if time.monotonic() > until:
                raise NotReadyError(f"it is not ready after {seconds:g} s", last_line(log, before))
            time.sleep(PAUSE_SECONDS)

    def stop(self) -> bool:
        """Tell it to end, and see that it is not started again; whether there was anything to do."""
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until:
            try:
                return self._supervisor.stopProcess(self._name, NOT_WAITING)
            except xmlrpc.client.Fault:
                info = self.info()
            if info["statename"] in ENDING or (info["statename"] == "EXITED" and info["exitstatus"] == 0):
                return False
            # It has crashed, and supervisord will start it again in a moment.
            time.sleep(PAUSE_SECONDS)
        return False

    def _until_ended(self) -> None:
        """Wait for the end of a process that has been told to stop."""
        until = time.monotonic() + STOP_SECONDS
        while self.info()["statename"] == "STOPPING" and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)


def shut_down() -> bool:
    """End supervisord and its processes, and wait for it; whether anything ran."""
    changed = supervisord_runs()
    if changed:
        xmlrpc.client.ServerProxy("http://localhost", _Transport()).supervisor.shutdown()
    until = time.monotonic() + STOP_SECONDS
    while supervisord_runs():
        if time.monotonic() > until:
            raise NotReadyError(f"supervisord has not ended after {STOP_SECONDS} s", "")
        time.sleep(PAUSE_SECONDS)
    left = serving()
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    while serving():
        if time.monotonic() > until:
            raise NotReadyError(f"the processes {serving()} have not ended after {STOP_SECONDS} s", "")
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


def supervisord_runs() -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(SOCKET)
    except OSError:
        return False
    return True


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


def announced(ready: str) -> int | None:
    """The process that says in the file that it is ready."""
    try:
        return json.loads(Path(ready).read_text())["pid"]
    except (OSError, ValueError, KeyError):
        return None


def last_line(log: Path, offset: int) -> str:
    """What the process said last, since the log had `offset` bytes."""
    try:
        with log.open("rb") as file:
            file.seek(offset if log.stat().st_size >= offset else 0)
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def bring(given: dict) -> bool:
    """Bring the process into the state that is asked for; whether that changed something."""
    if given["state"] == "shut_down":
        return shut_down()
    process = Process(given["name"])
    runs = process.info()["statename"] in RUNNING
    if given["state"] == "stopped":
        return process.stop()
    if given["state"] == "signalled":
        process.signal(given["signal"])
        return True
    if given["state"] == "started" and runs:
        return False
    process.stop()
    try:
        process.start(given["ready"], given["seconds"])
    except NotReadyError:
        process.stop()
        raise
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "name": {"type": "str"},
            "state": {
                "type": "str",
                "choices": ["started", "restarted", "stopped", "signalled", "shut_down"],
                "required": True,
            },
            "signal": {"type": "str", "default": "TERM"},
            "ready": {"type": "str"},
            "seconds": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        os.chdir(module.params["home"])
        changed = bring(module.params)
    except NotReadyError as error:
        module.fail_json(msg=str(error), words=error.words)
    except OSError as error:
        if module.params["state"] == "stopped":
            module.exit_json(changed=False)  # where no supervisord runs, no process does
        module.fail_json(msg=f"supervisord does not answer: {error}", words="")
    except xmlrpc.client.Fault as error:
        module.fail_json(msg=f"supervisord refuses: {error.faultString}", words="")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
