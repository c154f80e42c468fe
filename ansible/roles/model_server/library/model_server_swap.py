"""Ansible module: let a slot take over from the other, on the release that is wanted, and prove it at the front door."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_host import SLOTS, alone, logged
from ansible.module_utils.model_server_slots import (
    MANAGERS,
    StepError,
    is_open,
    leads,
    open_door,
    point,
    prove,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.model_server_slots import Manager

DOCUMENTATION = r"""
module: model_server_swap
short_description: Make a release live in a slot
description:
  - Links the slot to the release, starts it, and asks it the golden rows by its side door.
  - Points C(live) to it, tells its process, and waits until the release answers at the front door. Only then is the other
    slot told to end. Last it writes down what went live.
  - Where a step fails before the other slot has been told to end, C(live) leads where it led before, and the slot is told to.
  - All steps of a host in one module, because each task of its own costs almost half a second on every host.
author: Slipway
options:
  home: {description: The environment's folder., type: path, required: true}
  manager:
    description: What keeps the slots alive.
    type: str
    choices: [supervisord, systemd]
    default: supervisord
  slot: {description: The slot., type: str, choices: [blue, green], required: true}
  serves: {description: Whether its process serves the release already., type: bool, required: true}
  line:
    description: The line of the release log - the release's record, and what was done, by whom, and when.
    type: dict
    required: true
  url: {description: Of the front door., type: str, required: true}
  seconds:
    description: How long the process may take to be ready. Under systemd its unit says so, and this must be the same.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: Make the release live
  model_server_swap:
    home: /srv/slipway
    manager: systemd
    slot: green
    serves: false
    line: {release: v1.0.0, runtime: 1111111111111111, action: deploy, by: ada, at: "2026-01-01T00:00:00Z"}
    url: http://10.30.0.11:8080
"""

RETURN = r"""
done: {description: What was done., type: list, returned: success}
step: {description: What failed., type: str, returned: on failure}
"""

PAUSE_SECONDS = 0.02
OPEN_SECONDS = 5
ANSWER_SECONDS = 10
"""How long the slot before may go on answering."""
LINK = "Link the slot to the release"
OPEN = "Open the front door"
ASK = "Ask the front door which release it is"
STOP = "Stop the other slot"
LOG = "Write down what went live"


def swap(home: Path, given: dict) -> list[str]:
    """What was done.

    Raises:
        StepError: A step failed. As long as the other slot has not been told to end, `live` leads where it led before then,
            and this slot is told to end; from then on this slot serves, and goes on.
    """
    slot, line = given["slot"], given["line"]
    manager = MANAGERS[given["manager"]](home)
    with step(LINK):
        before = str((home / "live").readlink()) if (home / "live").is_symlink() else ""
    try:
        done = taken_over(home, manager, given)
    except StepError:
        # Here and not in the role only, which may have lost the host by now.
        put_back(home, manager, slot, before)
        raise
    with step(STOP):
        if manager.stop(SLOTS[slot]):
            done.append("other slot stopped")
    with step(LOG):
        if is_news(home, line):
            append(home / "releases.jsonl", line)
            done.append("written down")
    return done


def taken_over(home: Path, manager: Manager, given: dict) -> list[str]:
    """Bring the slot so far that it answers at the front door, beside the other one; what was done."""
    slot, line, done = given["slot"], given["line"], []
    with step(LINK):
        if (order := home / "run" / "shadow.json").exists():
            order.unlink()
            done.append("shadow forgotten")
        if point(home / "slots" / slot, f"../releases/{line['release']}"):
            done.append("slot linked")
    if not given["serves"]:
        prove(home, manager, slot, line, given["seconds"])
        done.append("slot started")
    with step(OPEN):
        if point(home / "live", f"slots/{slot}"):
            done.append("live linked")
        if not is_open(home, slot):
            open_door(home, manager, slot, OPEN_SECONDS)
            done.append("front door opened")
    answers = proven(given["url"], line["release"], ANSWER_SECONDS)
    if answers != line["release"]:
        said = f"{given['url']} should be answered by {line['release']}, but is answered by {answers}"
        raise StepError(ASK, said)
    return done


def put_back(home: Path, manager: Manager, slot: str, before: str) -> None:
    """Let `live` lead where it led, and end the slot where that is another one."""
    with suppress(OSError):
        if before:
            point(home / "live", before)
        else:
            (home / "live").unlink(missing_ok=True)
    with suppress(OSError):
        if before != f"slots/{slot}":
            manager.stop(slot)


@contextmanager
def step(name: str) -> Iterator[None]:
    """What the machine refuses meanwhile is a failure of this step."""
    try:
        yield
    except OSError as error:
        raise StepError(name, str(error)) from error


def would(home: Path, given: dict) -> list[str]:
    """What `swap` would do, as far as can be seen."""
    slot, line = given["slot"], given["line"]
    steps = {
        "shadow forgotten": (home / "run" / "shadow.json").exists(),
        "slot linked": not leads(home / "slots" / slot, f"../releases/{line['release']}"),
        "slot started": not given["serves"],
        "live linked": not leads(home / "live", f"slots/{slot}"),
        "front door opened": not is_open(home, slot),
        "other slot stopped": _runs(home, given["manager"], SLOTS[slot]),
        "written down": is_news(home, line),
    }
    return [name for name, needed in steps.items() if needed]


def _runs(home: Path, manager: str, slot: str) -> bool:
    if not home.is_dir():
        return False
    os.chdir(home)
    return MANAGERS[manager](home).runs(slot)


def is_news(home: Path, line: dict) -> bool:
    """Whether the log's last line is of another release."""
    return (logged(home) or [""])[-1] != line["release"]


def proven(url: str, release: str, seconds: float) -> str:
    """What answers, as soon as it is the release; else what did last."""
    until = time.monotonic() + seconds
    while (found := answering(url)) != release and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
    return found


def answering(url: str) -> str:
    """The release that answers; else why none does."""
    direct = build_opener(ProxyHandler({}))  # whatever proxy the host is told to use
    try:
        with direct.open(f"{url}/metadata", timeout=3) as answer:
            return json.load(answer)["release"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return f"nothing of Slipway's ({error})"


def append(log: Path, line: dict) -> None:
    """Append a line, on a line of its own even where a crash has cut the last one short."""
    whole = not log.exists() or log.read_bytes()[-1:] in {b"", b"\n"}
    with log.open("a") as file:
        file.write(f"{'' if whole else chr(10)}{json.dumps(line)}\n")
        file.flush()
        os.fsync(file.fileno())
    log.chmod(0o644)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "manager": {"type": "str", "choices": list(MANAGERS), "default": "supervisord"},
            "slot": {"type": "str", "choices": list(SLOTS), "required": True},
            "serves": {"type": "bool", "required": True},
            "line": {"type": "dict", "required": True},
            "url": {"type": "str", "required": True},
            "seconds": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    home = Path(module.params["home"])
    try:
        if module.check_mode:
            done = would(home, module.params)
            module.exit_json(changed=bool(done), done=done)
        os.chdir(home)
        with alone(home):
            done = swap(home, module.params)
    except StepError as error:
        module.fail_json(msg=str(error), step=error.step)
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
