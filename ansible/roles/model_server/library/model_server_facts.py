"""Ansible module: what a host serves, keeps and lacks, seen in one look. It changes nothing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_host import (
    MANAGERS,
    PARTIAL,
    SLOTS,
    WRITTEN,
    alone,
    asked,
    live_slot,
    logged,
    read,
    record,
    report,
    runtime_folder,
    runtime_whole,
    settled,
    text,
    whole,
)

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
  machine: {description: What kind of machine the runtime is for., type: str, default: x86_64}
  thorough: {description: Whether the report compares the runtime's files by digest., type: bool, default: false}
  keep: {description: How many releases stay on the host., type: int, default: 5}
"""

EXAMPLES = r"""
- name: Observe the host
  model_server_facts: {home: /srv/slipway, release: {release: v1.0.0}, address: 0.0.0.0, port: 80, python: /usr/bin/python3}
"""

RETURN = r"""
report:
  description:
    - What the host says of itself where no release is wanted - slot, live, installed, damaged, log, answers, and faults, a
      sentence for each thing that is not as a roll-out left it.
  type: dict
  returned: without release
wrong:
  description: Where no release is wanted, a sentence for everything that does not agree - bytes, links, units, process.
  type: list
  returned: without release
live_slot: {description: blue or green; empty before the first roll-out., type: str, returned: always}
target_slot: {description: The slot for the release that is wanted., type: str, returned: always}
target_serves: {description: Whether the process of that slot serves it already., type: bool, returned: always}
target_open: {description: Whether that process answers at the front door., type: bool, returned: always}
folders_missing: {description: Folders that the role needs and that are not there., type: list, returned: always}
owners: {description: Whose the folders are that the service writes to; empty where there is none., type: dict, returned: always}
manager_runs: {description: Whether the service manager runs., type: bool, returned: always}
manager_enabled: {description: Whether it does so with the machine., type: bool, returned: always}
orphaned: {description: Whether it does not but what it kept alive does., type: bool, returned: always}
configuration: {description: Text of the files that tell the service manager what to run., type: dict, returned: always}
written: {description: Digests of those files as the last roll-out wrote them., type: dict, returned: always}
strangers: {description: What lies beside those files and was not written by a roll-out., type: list, returned: always}
release_installed: {description: Whether the release is on the host and whole., type: bool, returned: always}
release_damaged: {description: Whether it is there but not whole., type: bool, returned: always}
runtime_installed: {description: Whether its runtime is., type: bool, returned: always}
superfluous: {description: Folders that nothing goes back to., type: list, returned: always}
free_bytes: {description: Free space under home., type: int, returned: always}
problems: {description: Why the host cannot serve the release., type: list, returned: always}
"""

OWNED = ("run", "predictions")
"""Folders that the service writes to."""
FOLDERS = ("releases", "runtimes", "slots", "run", "log")
PYTHON = "3.11"


def superfluous(home: Path, wanted: dict, log: list[str], keep: int) -> list[str]:
    """Releases beyond the `keep` last ones that were live, runtimes that none of these needs, and leftovers."""
    recent = list(dict.fromkeys([wanted["release"], *reversed(log)]))[:keep]
    serving = {path.resolve().name for path in (home / "slots").glob("*") if path.name == live_slot(home)}
    kept = {home / "releases" / name for name in {*recent, *serving}}
    # The wanted release may not be here yet, but its runtime may: of a release that was never made live.
    runtimes = {(release / "runtime").resolve() for release in kept} | {
        runtime_folder(home, wanted).resolve()
    }
    # Where the log is lost, nobody knows what was live: then only what was never finished goes.
    unfinished = f"*{'' if log else PARTIAL}"
    old = [path for path in (home / "releases").glob(unfinished) if path not in kept]
    unused = [path for path in (home / "runtimes").glob("*") if path.resolve() not in runtimes]
    return sorted(str(path.relative_to(home)) for path in [*old, *unused])


def problems(
    home: Path, wanted: dict, address: str, port: int, python: str, manager: str = "supervisord",
    machine: str = "x86_64",
) -> list[str]:  # fmt: skip
    door = taken(home, address, port, manager)
    looks = (unwritable(home), wrong_python(python, machine), door, another(home, wanted))
    return [found for found in looks if found]


def another(home: Path, wanted: dict) -> str:
    """Whether the host knows another release by the name of the one that is wanted."""
    there = record(home / "releases" / wanted["release"])
    if not there or there == wanted or not whole(home / "releases" / wanted["release"], there):
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


def wrong_python(python: str, machine: str) -> str:
    """Whether the runtime's wheels would not run: another Python, or another kind of machine."""
    code = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.machine())"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        version, kind = done.stdout.split()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        return f"{python} does not run: {error}"
    if version != PYTHON:
        return f"{python} is Python {version}, the runtime is for {PYTHON}"
    return "" if kind == machine else f"this machine is {kind}, the runtime is for {machine}"


def taken(home: Path, address: str, port: int, manager: str = "supervisord") -> str:
    """Whether another program has the front door's port; the environment's own may have it."""
    managed = MANAGERS[manager](home)
    if managed.runs() or managed.orphaned():
        told = "".join(text(file) for file in managed.files().values())
        # Where somebody has changed the files since, who answers tells.
        if managed.door.format(address=address, port=port) in told or ours(home, address, port):
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


def ours(home: Path, address: str, port: int) -> bool:
    """Whether the live slot answers at a front door."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://{address}:{port}/metadata", timeout=1) as answer:
            said = json.load(answer)
    except (OSError, HTTPException, ValueError):
        return False
    return bool(said) and said == asked(home, live_slot(home), "/metadata")


def observe(home: Path, wanted: dict, keep: int, manager: str = "supervisord") -> dict:
    """Everything but the problems, as documented in RETURN."""
    managed = MANAGERS[manager](home)
    folder, release = runtime_folder(home, wanted), home / "releases" / wanted["release"]
    installed, runtime_installed = whole(release, wanted), runtime_whole(folder)
    live = live_slot(home)
    is_live = bool(live) and record((home / "slots" / live).resolve()) == wanted
    # What runs from files that are brought again goes on until the other slot has been proven on them.
    stays = is_live and installed and runtime_installed
    target = live if stays else SLOTS.get(live, "blue")
    # What serves without a manager is ended, and started anew.
    runs = managed.runs()
    served = asked(home, target, "/metadata") if runs else {}
    return {
        "live_slot": live,
        "target_slot": target,
        "target_serves": bool(served) and all(served.get(key) == value for key, value in wanted.items()),
        "target_open": runs and stays and asked(home, target, "/readyz").get("live") is True,
        "folders_missing": [str(home / name) for name in FOLDERS if not (home / name).is_dir()],
        "owners": {name: owner(home / name) for name in OWNED},
        "manager_runs": runs,
        "manager_enabled": managed.enabled(),
        "orphaned": managed.orphaned(),
        "configuration": {name: text(file) for name, file in managed.files().items()},
        "written": read(home / WRITTEN),
        "strangers": managed.strangers(),
        "release_installed": installed,
        "release_damaged": release.exists() and not installed,
        "runtime_installed": runtime_installed,
        "superfluous": superfluous(home, wanted, logged(home), keep),
        "free_bytes": shutil.disk_usage(existing(home)).free,
    }


def wrong(home: Path, said: dict, address: str | None, port: int | None) -> list[str]:
    """Everything in a report that does not agree, a sentence each."""
    slot, live, answers = said["slot"], said["live"], said["answers"]
    if not slot:
        return ["nothing is deployed"]
    if "release" not in live:
        return [f"the release that {slot} should serve is gone, or has no record", *said["faults"]]
    name, found = live["release"], []
    if not answers:
        found.append(f"{name} should be serving, but does not answer")
    elif any(answers.get(key) != value for key, value in live.items()):
        found.append(f"{name} should be serving, but {answers.get('release')} answers, or other bytes of it")
    elif replaced(home, slot):
        found.append(f"the process of {name} runs files that have been replaced since it was started")
    if address and port and answers and not ours(home, address, port):
        found.append(f"at the front door, {address}:{port}, {name} does not answer")
    found += [f"{label} is on the host, but its files are not whole" for label in said["damaged"]]
    return [*found, *said["faults"]]


def replaced(home: Path, slot: str) -> bool:
    """Whether a slot's process has loaded files of its runtime that are no longer there."""
    try:
        maps = Path("/proc", str(read(home / "run" / f"{slot}.json")["pid"]), "maps").read_text()
    except (OSError, KeyError):
        return False
    return any(f"{home}/runtimes/" in line and line.endswith(" (deleted)") for line in maps.splitlines())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "manager": {"type": "str", "choices": list(MANAGERS), "default": "supervisord"},
            "release": {"type": "dict"},
            "address": {"type": "str"},
            "port": {"type": "int"},
            "python": {"type": "path"},
            "machine": {"type": "str", "default": "x86_64"},
            "thorough": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 5},
        },
        required_by={"release": ["address", "port", "python"]},
        supports_check_mode=True,
    )
    given = module.params
    home = Path(given["home"])
    if given["release"] is None:
        with settled(home):
            said = report(home, given["manager"], thorough=given["thorough"])
        found = wrong(home, said, given["address"], given["port"])
        module.exit_json(changed=False, report=said, wrong=found)
    wanted, manager = given["release"], given["manager"]
    try:
        with alone(home, looking=True):
            found = observe(home, wanted, given["keep"], manager)
    except TimeoutError as error:
        module.fail_json(msg=str(error))
    found["problems"] = problems(
        home, wanted, given["address"], given["port"], given["python"], manager, given["machine"]
    )
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
