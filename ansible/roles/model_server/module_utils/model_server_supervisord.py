"""Talks to the supervisord of the current folder, by its socket. It waits for readiness, not for seconds."""

from __future__ import annotations

import http.client
import json
import socket
import time
import xmlrpc.client
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = "run/supervisord.sock"
RUNNING = {"STARTING", "RUNNING"}
ENDING = {"STOPPING", "STOPPED", "FATAL"}
NOT_WAITING = False
PAUSE_SECONDS = 0.02
STOP_SECONDS = 60


class NotReadyError(Exception):
    """A process has ended before it was ready, or takes too long."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(SOCKET)  # relative: an absolute path may be too long for a socket
        except OSError:
            self.close()
            raise


class _Transport(xmlrpc.client.Transport):
    def make_connection(self, host: str) -> http.client.HTTPConnection:
        return _Connection(host)


def supervisor() -> xmlrpc.client.ServerProxy:
    """What supervisord can be asked to do (its `supervisor` namespace)."""
    return xmlrpc.client.ServerProxy("http://localhost", _Transport()).supervisor


@contextmanager
def answering() -> Iterator[None]:
    """Whatever supervisord does not do is an OSError that says so."""
    try:
        yield
    except xmlrpc.client.Fault as error:
        raise OSError(f"supervisord refuses: {error.faultString}") from error
    except OSError as error:
        raise OSError(f"supervisord does not answer: {error}") from error


def supervisord_runs() -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(SOCKET)
    except OSError:
        return False
    return True


class Process:
    """A process of supervisord."""

    def __init__(self, name: str) -> None:
        """`name` is `group:name`."""
        self._name = name
        self._supervisor = supervisor()

    def runs(self) -> bool:
        return self._info()["statename"] in RUNNING

    def start(self, ready: str | None = None, seconds: float = 0) -> None:
        """Start it, and wait until it says in the file `ready` that it is; without one, wait for nothing.

        Raises:
            NotReadyError: It has ended, or is not ready in time; with the last line that it wrote.
        """
        self._until_ended()
        log = Path(self._info()["stdout_logfile"])
        before = log.stat().st_size if log.exists() else 0
        self._supervisor.startProcess(self._name, NOT_WAITING)
        pid = self._info()["pid"]
        until = time.monotonic() + seconds
        while ready and announced(ready) != pid:
            info = self._info()
            if info["pid"] != pid or info["statename"] not in RUNNING:
                raise NotReadyError(failure("it ended before it was ready", last_line(log, before)))
            if time.monotonic() > until:
                raise NotReadyError(failure(f"it is not ready after {seconds:g} s", last_line(log, before)))
            time.sleep(PAUSE_SECONDS)

    def stop(self) -> bool:
        """Tell it to end, and see that it is not started again; whether there was anything to do."""
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until:
            try:
                return self._supervisor.stopProcess(self._name, NOT_WAITING)
            except xmlrpc.client.Fault:
                info = self._info()
            if info["statename"] in ENDING or (info["statename"] == "EXITED" and info["exitstatus"] == 0):
                return False
            # It has crashed, and supervisord will start it again in a moment.
            time.sleep(PAUSE_SECONDS)
        return False

    def _info(self) -> dict:
        return self._supervisor.getProcessInfo(self._name)

    def _until_ended(self) -> None:
        """Wait for the end of a process that has been told to stop."""
        until = time.monotonic() + STOP_SECONDS
        while self._info()["statename"] == "STOPPING" and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)


def failure(reason: str, words: str) -> str:
    return f"{reason}: {words}" if words else reason


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
