"""A host's own account of itself: what is live, what is whole, and what is not as a roll-out left it.

It needs nothing but Python: the controller asks its own machine (the environment `local`) by the same code.
"""

from __future__ import annotations

import base64
import csv
import fcntl
import hashlib
import io
import json
import os
import re
import socket
import subprocess
import tarfile
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = Path("/etc/systemd/system")
BASELINE = Path("/etc/slipway/baseline")  # which the role host_baseline writes
SLOTS = {"blue": "green", "green": "blue"}
WRITTEN = "configuration.json"
"""In the environment's folder: digests of what the last roll-out wrote for the service manager, by name."""
PARTIAL = ".partial"
"""Ends the name of a folder that is being filled."""
LOCK = ".step"
"""In the environment's folder, for nobody else: whoever could open it could hold up every roll-out."""
ALONE_SECONDS = 300
"""Longer than any step takes."""
LOOK_SECONDS = 30
PAUSE_SECONDS = 0.02


def record(folder: Path) -> dict:
    return read(folder / "release.json")


def read(file: Path) -> dict:
    """A JSON object; nothing where there is none."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def whole(folder: Path, wanted: dict) -> bool:
    """Whether a folder holds the release that is wanted, byte for byte: record -> tar -> unpacked files."""
    try:
        tar = (folder / "bundle.tar").read_bytes()
        there = {path.name: path.read_bytes() for path in (folder / "bundle").iterdir()}
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            packed = {member.name: archive.extractfile(member).read() for member in archive.getmembers()}
    except (OSError, AttributeError, tarfile.TarError):
        return False
    return (
        record(folder) == wanted
        and hashlib.sha256(tar).hexdigest() == wanted.get("bundle")
        and there == packed
    )


def runtime_folder(home: Path, release: dict) -> Path:
    return home / "runtimes" / release["runtime"][:16]


def runtime_whole(folder: Path, *, thorough: bool = False) -> bool:
    """Whether a runtime was installed to the end, and every file of every wheel is still there.

    By name and size, which takes no time; `thorough`, by digest.
    """
    try:
        requirements = (folder / "requirements.txt").read_text()
        (site,) = folder.glob("lib/python*/site-packages")
        records = {
            path.parent.name.split("-")[0]: path.read_text() for path in site.glob("*.dist-info/RECORD")
        }
        files = [row for record in records.values() for row in csv.reader(record.splitlines()) if row[2]]
        there = all((site / name).stat().st_size == int(size) for name, _, size in files)
        same = not thorough or all(digest_of(site / name) == digest for name, digest, _ in files)
    except (OSError, ValueError, IndexError):
        return False
    wanted = {
        re.split(r"[^A-Za-z0-9._-]", line)[0] for line in requirements.splitlines() if line[:1].isalnum()
    }
    return there and same and (folder / ".complete").is_file() and plain(wanted) <= plain(records)


def digest_of(file: Path) -> str:
    """As a wheel's RECORD writes it."""
    found = hashlib.sha256(file.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(found).decode().rstrip("=")


def plain(names: set[str] | dict[str, str]) -> set[str]:
    """Names of packages, written the same way (PEP 503)."""
    return {re.sub(r"[-_.]+", "_", name).lower() for name in names}


def asked(home: Path, slot: str, path: str) -> dict:
    """What a slot's process answers at its side door; nothing where there is no process."""
    direct = build_opener(ProxyHandler({}))  # whatever proxy the host is told to use
    try:
        port = json.loads((home / "run" / f"{slot}.json").read_text())["port"]
        with direct.open(f"http://127.0.0.1:{port}{path}", timeout=3) as answer:
            found = json.load(answer)
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        # A process that was killed leaves its port behind, and anything may listen there now.
        return {}
    return found if isinstance(found, dict) else {}


def live_slot(home: Path) -> str:
    """The slot that `live` points to; where there is no such link, the one that answers at the front door."""
    try:
        name = (home / "live").readlink().name
    except OSError:
        name = ""
    if name in SLOTS:
        return name
    return next((slot for slot in SLOTS if asked(home, slot, "/readyz").get("live") is True), "")


def live_record(home: Path) -> dict:
    """The record of the live slot's release; nothing where there is none."""
    slot = live_slot(home)
    return record((home / "slots" / slot).resolve()) if slot else {}


def logged(home: Path) -> list[str]:
    """The releases of the log, the oldest first; a line that a crash cut short does not count."""
    releases = []
    try:
        lines = (home / "releases.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            releases.append(str(json.loads(line)["release"]))
        except (ValueError, KeyError, TypeError):
            continue
    return releases


def serves(announcement: Path) -> bool:
    """Whether the process is there that announced itself: it holds a lock on the file."""
    try:
        with announcement.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def alone(home: Path, seconds: float = ALONE_SECONDS, *, looking: bool = False) -> Iterator[None]:
    """Wait for what changes slots here, and let nothing else do so meanwhile.

    A step that has begun goes on where its command is lost, and holds no lock of the fleet then.

    Args:
        home: The environment's folder.
        seconds: How long to wait.
        looking: Whether nothing is to be changed; where no step has ever begun, there is nothing to wait for.

    Raises:
        TimeoutError: Something is at it for longer.
    """
    flags = os.O_RDWR | (0 if looking else os.O_CREAT)
    try:
        lock = os.open(home / LOCK, flags, 0o600)
    except OSError:
        if not looking:
            raise
        yield
        return
    try:
        until = time.monotonic() + seconds
        while not _locked(lock):
            if time.monotonic() > until:
                raise TimeoutError(f"a step of another command has been at work in {home} for {seconds:g} s")
            time.sleep(PAUSE_SECONDS)
        yield
    finally:
        os.close(lock)


@contextmanager
def settled(home: Path) -> Iterator[None]:
    """Wait a while for what changes slots here; who only looks says what is, even where that is for ever."""
    with suppress(TimeoutError), alone(home, LOOK_SECONDS, looking=True):
        pass
    yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Supervisord:
    """The supervisord of an environment's folder."""

    door = "tcp://{address}:{port}\n"

    def __init__(self, home: Path) -> None:
        self._home = home

    def files(self) -> dict[str, Path]:
        """What tells it what to run, by the names that a roll-out gives it."""
        return {name: self._home / name for name in ("supervisord.conf", "slot.sh")}

    def strangers(self) -> list[str]:
        """None: it reads no other file."""
        return []

    def runs(self) -> bool:
        """Whether it answers; the file with its id may outlive it."""
        # Its socket's full path may be longer than a socket's may be.
        try:
            folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.connect(f"/proc/self/fd/{folder}/run/supervisord.sock")
        except OSError:
            return False
        finally:
            os.close(folder)
        return True

    def enabled(self) -> bool:
        """Always: nothing starts it with the machine but a person."""
        return True

    def orphaned(self) -> bool:
        """Whether a process still serves that it has left behind when it was killed."""
        return not self.runs() and any(serves(self._home / "run" / f"{slot}.json") for slot in SLOTS)

    def faults(self) -> list[str]:
        """What is wrong with it, where a release is live."""
        if self.orphaned():
            return ["supervisord was killed: what it had started serves on, and nothing would start it again"]
        return []


class Systemd:
    """The units of the host's systemd."""

    door = "ListenStream={address}:{port}\n"
    started = ("slipway.socket", "slipway.service")

    def __init__(self, home: Path) -> None:
        self._home = home

    def files(self) -> dict[str, Path]:
        """What tells it what to run, by the names that a roll-out gives it."""
        return {name: UNITS / name for name in (*self.started, "slipway@.service")}

    def strangers(self) -> list[str]:
        """Units and settings of units (`systemctl edit`) that somebody has put beside those of the roll-out."""
        own = set(self.files().values())
        beside = [path for path in UNITS.glob("slipway*") if path not in own and path.suffix != ".d"]
        return sorted(map(str, [*beside, *UNITS.glob("slipway*.d/*")]))

    def runs(self) -> bool:
        """Whether it holds the front door's socket, and starts the live slot."""
        return set(self._asked("is-active").values()) == {"active"}

    def enabled(self) -> bool:
        """Whether it does so with the machine."""
        return set(self._asked("is-enabled").values()) == {"enabled"}

    def orphaned(self) -> bool:
        """Never: no process of a unit outlives systemd."""
        return False

    def faults(self) -> list[str]:
        """What is wrong with it, where a release is live."""
        active, enabled = self._asked("is-active"), self._asked("is-enabled")
        stopped = [f"{unit} is {state}" for unit, state in active.items() if state != "active"]
        late = [
            f"{unit} would not start with the machine: it is {state}"
            for unit, state in enabled.items()
            if state != "enabled"
        ]
        return [*stopped, *late]

    def _asked(self, verb: str) -> dict[str, str]:
        """What systemd says of each unit."""
        found = {}
        for unit in self.started:
            try:
                done = subprocess.run(["systemctl", verb, unit], capture_output=True, text=True, check=False)
            except OSError:
                return dict.fromkeys(self.started, "unknown: there is no systemd")
            # Of a unit that is not there, it speaks on standard error.
            found[unit] = done.stdout.strip() or "not there"
        return found


MANAGERS = {"supervisord": Supervisord, "systemd": Systemd}


def drift(home: Path, manager: str) -> list[str]:
    """What tells the service manager what to run, and is not what the last roll-out wrote.

    It is compared with what was written and not with what would be written today: another version of the role is
    no change by hand.
    """
    managed, written = MANAGERS[manager](home), read(home / WRITTEN)
    if not written:
        return [f"{home / WRITTEN} is missing: what the last roll-out wrote cannot be compared"]
    found = []
    for name, file in managed.files().items():
        try:
            same = hashlib.sha256(file.read_bytes()).hexdigest() == written.get(name)
        except OSError:
            found.append(f"{file} is gone")
            continue
        found += [] if same else [f"{file} is not as the roll-out wrote it"]
    return [*found, *(f"{file} was not written by a roll-out" for file in managed.strangers())]


def faults(home: Path, manager: str, *, thorough: bool = False) -> list[str]:
    """What is not as a roll-out left it, a sentence each; nothing before the first one."""
    live = live_record(home)
    if not live_slot(home):
        return []
    found = []
    if "runtime" in live and not runtime_whole(runtime_folder(home, live), thorough=thorough):
        found.append(f"the runtime of {live.get('release')} is not whole")
    return [*found, *MANAGERS[manager](home).faults(), *drift(home, manager)]


def report(home: Path, manager: str, *, thorough: bool = False) -> dict:
    """What is live, installed, damaged and logged, what the live slot's process answers, and what is wrong."""
    slot = live_slot(home)
    records = {
        folder: record(folder) for folder in sorted((home / "releases").glob("*")) if folder.suffix != PARTIAL
    }
    installed = {
        folder.name: found
        for folder, found in records.items()
        if found.get("release") == folder.name and whole(folder, found)
    }
    return {
        "slot": slot,
        "live": live_record(home),
        "installed": installed,
        "damaged": [folder.name for folder in records if folder.name not in installed],
        "log": text(home / "releases.jsonl"),
        "answers": asked(home, slot, "/metadata") if slot else {},
        "faults": faults(home, manager, thorough=thorough),
        "baseline": text(BASELINE).strip(),
    }
