"""Ansible module: what a host serves, keeps and lacks, seen in one look. It changes nothing."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: model_server_facts
short_description: Observe a host of the model_server role
description:
  - Tells which slot is live and what its process answers, what is installed, and what is superfluous.
  - Changes nothing.
author: Slipway
options:
  home: {description: The environment's folder., type: path, required: true}
  manager:
    description: What keeps the slots alive.
    type: str
    choices: [supervisord, systemd]
    default: supervisord
  release:
    description: The record of the release that is wanted. Without it, only the report is made.
    type: dict
  address: {description: Address of the front door., type: str}
  port: {description: Port of the front door., type: int}
  python: {description: Interpreter for the runtime., type: path}
  keep: {description: How many releases stay on the host., type: int, default: 5}
"""

EXAMPLES = r"""
- name: Observe the host
  model_server_facts: {home: /srv/slipway, release: {release: v1.0.0}, address: 0.0.0.0, port: 80, python: /usr/bin/python3}
"""

RETURN = r"""
report:
  description: What the host says of itself - slot, live, installed, log, answers - where no release is wanted.
  type: dict
  returned: without release
live_slot: {description: blue or green; empty before the first roll-out., type: str, returned: always}
target_slot: {description: The slot for the release that is wanted., type: str, returned: always}
target_serves: {description: Whether the process of that slot serves it already., type: bool, returned: always}
target_open: {description: Whether that process answers at the front door., type: bool, returned: always}
running: {description: Whether each slot has a process., type: dict, returned: always}
folders_missing: {description: Folders that the role needs and that are not there., type: list, returned: always}
owners: {description: Whose the folders are that the service writes to; empty where there is none., type: dict, returned: always}
manager_runs: {description: Whether the service manager runs., type: bool, returned: always}
orphaned: {description: Whether it does not but what it kept alive does., type: bool, returned: always}
configuration: {description: Text of the files that tell the service manager what to run., type: dict, returned: always}
release_installed: {description: Whether the release is on the host and whole., type: bool, returned: always}
release_damaged: {description: Whether it is there but not whole., type: bool, returned: always}
runtime_installed: {description: Whether its runtime is., type: bool, returned: always}
shadowed: {description: Whether the live slot is told to ask another one the same., type: bool, returned: always}
last_logged: {description: The last release of the log., type: str, returned: always}
superfluous: {description: Folders that nothing goes back to., type: list, returned: always}
free_bytes: {description: Free space under home., type: int, returned: always}
problems: {description: Why the host cannot serve the release., type: list, returned: always}
"""

WRITTEN = ("run", "predictions")
FOLDERS = ("releases", "runtimes", "slots", "run", "log")
UNITS = Path("/etc/systemd/system")
SLOTS = {"blue": "green", "green": "blue"}
PYTHON = "3.11"


def record(folder: Path) -> dict:
    try:
        found = json.loads((folder / "release.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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


def superfluous(home: Path, wanted: dict, log: list[str], keep: int) -> list[str]:
    """Releases beyond the `keep` last ones that were live, runtimes that none of these needs, and leftovers."""
    recent = list(dict.fromkeys([wanted["release"], *reversed(log)]))[:keep]
    serving = {path.resolve().name for path in (home / "slots").glob("*") if path.name == live_slot(home)}
    kept = {home / "releases" / name for name in {*recent, *serving}}
    # The wanted release may not be here yet, but its runtime may: of a release that was never made live.
    runtimes = {(release / "runtime").resolve() for release in kept} | {
        runtime_folder(home, wanted).resolve()
    }
    old = [path for path in (home / "releases").glob("*") if path not in kept]
    unused = [path for path in (home / "runtimes").glob("*") if path.resolve() not in runtimes]
    return sorted(str(path.relative_to(home)) for path in [*old, *unused])


def runtime_whole(folder: Path) -> bool:
    """Whether a runtime was installed to the end, and every file of every wheel is still there."""
    try:
        requirements = (folder / "requirements.txt").read_text()
        (site,) = folder.glob("lib/python*/site-packages")
        records = {
            path.parent.name.split("-")[0]: path.read_text() for path in site.glob("*.dist-info/RECORD")
        }
        files = [row for record in records.values() for row in csv.reader(record.splitlines()) if row[2]]
        there = all((site / name).stat().st_size == int(size) for name, _, size in files)
    except (OSError, ValueError, IndexError):
        return False
    wanted = {
        re.split(r"[^A-Za-z0-9._-]", line)[0] for line in requirements.splitlines() if line[:1].isalnum()
    }
    return there and (folder / ".complete").is_file() and plain(wanted) <= plain(records)


def plain(names: set[str] | dict[str, str]) -> set[str]:
    """Names of packages, written the same way (PEP 503)."""
    return {re.sub(r"[-_.]+", "_", name).lower() for name in names}


def runtime_folder(home: Path, release: dict) -> Path:
    return home / "runtimes" / release["runtime"][:16]


def problems(
    home: Path, wanted: dict, address: str, port: int, python: str, manager: str = "supervisord"
) -> list[str]:
    door = taken(home, address, port, manager)
    looks = (unwritable(home), wrong_python(python), door, another(home, wanted))
    return [found for found in looks if found]


def another(home: Path, wanted: dict) -> str:
    """Whether the host knows another release by the name of the one that is wanted."""
    there = record(home / "releases" / wanted["release"])
    if not there or there == wanted:
        return ""
    return f"{wanted['release']} is on the host already, of commit {there.get('commit')} and bundle {there.get('bundle')}"


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def unwritable(home: Path) -> str:
    try:
        with tempfile.NamedTemporaryFile(dir=existing(home)):
            return ""
    except OSError as error:
        return f"{home} cannot be written to: {error.strerror}"


def wrong_python(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{python} does not run: {error}"
    return "" if found == PYTHON else f"{python} is Python {found}, the runtime is for {PYTHON}"


def taken(home: Path, address: str, port: int, manager: str = "supervisord") -> str:
    """Whether another program has the front door's port; the environment's own may have it."""
    managed = MANAGERS[manager](home)
    ours = managed.runs() or managed.orphaned()
    if ours and managed.door.format(address=address, port=port) in "".join(managed.configuration().values()):
        return ""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError as error:
            return f"port {port} on {address} cannot be had: {error.strerror}"
    return ""


def owner(folder: Path) -> str:
    """Its user's name; nothing where there is no such folder, or no such user any more."""
    try:
        return folder.owner()
    except (OSError, KeyError):
        return ""


def text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


class Supervisord:
    """The supervisord of an environment's folder."""

    door = "tcp://{address}:{port}\n"

    def __init__(self, home: Path) -> None:
        self._home = home

    def configuration(self) -> dict:
        return {name: text(self._home / name) for name in ("supervisord.conf", "slot.sh")}

    def runs(self) -> bool:
        """Whether it answers; the file with its id may outlive it."""
        try:
            os.chdir(self._home)  # its socket's full path may be longer than a socket's may be
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.connect("run/supervisord.sock")
        except OSError:
            return False
        return True

    def orphaned(self) -> bool:
        """Whether a process still serves that it has left behind when it was killed."""
        return not self.runs() and any(serves(self._home / "run" / f"{slot}.json") for slot in SLOTS)


class Systemd:
    """The units of the host's systemd."""

    door = "ListenStream={address}:{port}\n"

    def __init__(self, home: Path) -> None:
        self._home = home

    def configuration(self) -> dict:
        return {
            name: text(UNITS / name) for name in ("slipway.socket", "slipway.service", "slipway@.service")
        }

    def runs(self) -> bool:
        """Whether it holds the front door's socket, and starts the live slot."""
        try:
            asked = [
                ["systemctl", "is-active", "--quiet", unit] for unit in ("slipway.socket", "slipway.service")
            ]
            return all(subprocess.run(command, check=False).returncode == 0 for command in asked)
        except OSError:
            return False

    def orphaned(self) -> bool:
        """Never: no process of a unit outlives systemd."""
        return False


MANAGERS = {"supervisord": Supervisord, "systemd": Systemd}


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


def observe(home: Path, wanted: dict, keep: int, manager: str = "supervisord") -> dict:
    """Everything but the problems, as documented in RETURN."""
    managed = MANAGERS[manager](home)
    live = live_slot(home)
    is_live = bool(live) and record((home / "slots" / live).resolve()) == wanted
    target = live if is_live else SLOTS.get(live, "blue")
    # What serves without a manager is ended, and started anew.
    runs = managed.runs()
    served = asked(home, target, "/metadata") if runs else {}
    folder, release = runtime_folder(home, wanted), home / "releases" / wanted["release"]
    installed = whole(release, wanted)
    return {
        "live_slot": live,
        "target_slot": target,
        "target_serves": bool(served) and all(served.get(key) == value for key, value in wanted.items()),
        "target_open": runs and is_live and asked(home, target, "/readyz").get("live") is True,
        "running": {slot: (home / "run" / f"{slot}.json").exists() for slot in SLOTS},
        "folders_missing": [str(home / name) for name in FOLDERS if not (home / name).is_dir()],
        "owners": {name: owner(home / name) for name in WRITTEN},
        "manager_runs": runs,
        "orphaned": managed.orphaned(),
        "configuration": managed.configuration(),
        "release_installed": installed,
        "release_damaged": release.exists() and not installed,
        "runtime_installed": runtime_whole(folder),
        "shadowed": (home / "run" / "shadow.json").exists(),
        "last_logged": (logged(home) or [""])[-1],
        "superfluous": superfluous(home, wanted, logged(home), keep),
        "free_bytes": shutil.disk_usage(existing(home)).free,
    }


def report(home: Path) -> dict:
    """What is live, installed and logged, and what the live slot's process answers."""
    slot = live_slot(home)
    records = {folder: record(folder) for folder in sorted((home / "releases").glob("*"))}
    return {
        "slot": slot,
        "live": record((home / "slots" / slot).resolve()) if slot else {},
        "installed": {
            folder.name: found
            for folder, found in records.items()
            if found.get("release") == folder.name and whole(folder, found)
        },
        "log": text(home / "releases.jsonl"),
        "answers": asked(home, slot, "/metadata") if slot else {},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "manager": {"type": "str", "choices": list(MANAGERS), "default": "supervisord"},
            "release": {"type": "dict"},
            "address": {"type": "str"},
            "port": {"type": "int"},
            "python": {"type": "path"},
            "keep": {"type": "int", "default": 5},
        },
        required_by={"release": ["address", "port", "python"]},
        supports_check_mode=True,
    )
    given = module.params
    home = Path(given["home"])
    if given["release"] is None:
        module.exit_json(changed=False, report=report(home))
    found = observe(home, given["release"], given["keep"], given["manager"])
    found["problems"] = problems(
        home, given["release"], given["address"], given["port"], given["python"], given["manager"]
    )
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
