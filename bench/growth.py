"""How the time of a deploy grows with the number of hosts: real ones, and the controller's part for more."""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.lab.yard import ENVIRONMENT, Yard

from bench.verbs import does
from slipway.fleet import playbook
from slipway.fleet.batches import batches
from slipway.fleet.environment import Environment
from slipway.fleet.settings import Rollout
from slipway.release.git import Repository

MORE_HOSTS = tuple(f"model-{number}" for number in range(4, 9))
_CROWDS = (3, 8, 50)
_TASKS = 25
"""About as many as a roll-out has on a host."""


class Growth(NamedTuple):
    """What was done on so many hosts, and how long it took."""

    what: str
    hosts: int
    seconds: float


def measure(yard: Yard) -> list[Growth]:
    """Deploys to three hosts and to eight, and plays without work on up to fifty that are no machines."""
    found = [_deploy(yard)]
    yard.hosts = {name: host for name, host in yard.lab.hosts.items() if name.startswith("model-")}
    yard.build()
    does(yard, "deploy", ENVIRONMENT, "v1.0.0")  # brings the runtime to those that are new
    found.append(_deploy(yard))
    return [*found, *(_crowd(yard.root, hosts) for hosts in _CROWDS)]


def _deploy(yard: Yard) -> Growth:
    began = time.monotonic()
    does(yard, "deploy", ENVIRONMENT, "v1.1.0")
    seconds = time.monotonic() - began
    does(yard, "rollback", ENVIRONMENT)
    return Growth("deploy, runtime in place", len(yard.hosts), seconds)


def _crowd(root: Path, count: int) -> Growth:
    """The plays of a roll-out, through the same code, with as many tasks, which do nothing."""
    environment = Environment("crowd", Repository(root))
    environment.prepare()
    (root / "ansible" / "inventory" / "crowd").mkdir(exist_ok=True)
    (root / "ansible" / "inventory" / "crowd" / "hosts.yml").write_text("---\nmodel_servers:\n")
    names = [f"none-{number:02}" for number in range(1, count + 1)]
    hosts = {name: {"ansible_connection": "local"} for name in names}
    (environment.folder / "inventory.yml").write_text(json.dumps({"model_servers": {"hosts": hosts}}))
    task = {"name": "Do nothing", "ansible.builtin.raw": "true", "changed_when": False}
    play = {"hosts": "model_servers", "gather_facts": False, "tasks": [task] * _TASKS}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nothing.yml").write_text(json.dumps([play]))
        began = time.monotonic()
        for batch in batches(names, Rollout().batches):
            playbook.run(environment, f"{folder}/nothing", {}, lambda _: None, (), limit=batch)
        seconds = time.monotonic() - began
    return Growth(f"{_TASKS} tasks that do nothing, simulated hosts", count, seconds)


def show(grown: Sequence[Growth]) -> None:
    if grown:
        print("\n| what | hosts | seconds |\n|---|---|---|")
    for what, hosts, seconds in grown:
        print(f"| {what} | {hosts} | {seconds:.1f} s |")
