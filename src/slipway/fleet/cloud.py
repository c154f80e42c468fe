"""What the cloud says of an environment's machines: an account beside git's, the hosts' and their processes'."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from slipway.errors import MachineError
from slipway.fleet import playbook
from slipway.fleet.environment import Environment, Host

_SECONDS = 60
_STRICT = {
    "ANSIBLE_INVENTORY_ENABLED": "amazon.aws.aws_ec2",
    # An inventory that cannot be read is by itself an empty one.
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
}


class Machine(NamedTuple):
    """A machine that has the environment's tags."""

    id: str
    address: str
    state: str
    """`running`, or why it is not."""


def machines(environment: Environment) -> dict[str, Machine] | None:
    """The machines by host, as Ansible's inventory of the cloud finds them; None where there is no such inventory.

    Raises:
        MachineError: The cloud does not answer, or not to us.
    """
    if not (inventory := environment.cloud_inventory):
        return None
    program = Path(sys.executable).parent / "ansible-inventory"
    given = {**playbook.settings(environment), **_STRICT}
    try:
        done = subprocess.run(
            [str(program), f"--inventory={inventory}", "--list"], env=given, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"the cloud does not answer in {_SECONDS} s") from error
    if done.returncode:
        raise MachineError(f"the cloud cannot be asked: {_reason(done.stderr)}")
    found = json.loads(done.stdout)["_meta"]["hostvars"]
    return {
        name: Machine(
            _plain(each["instance_id"]), _plain(each["private_ip_address"]), _plain(each["state"]["name"])
        )
        for name, each in found.items()
    }


def problems(hosts: Mapping[str, Host], machines: Mapping[str, Machine]) -> list[str]:
    """Where the cloud differs from what Terraform has put out."""
    gone = [f"{name} is gone from the cloud" for name in hosts if name not in machines]
    found = []
    for name, machine in machines.items():
        if name not in hosts:
            found.append(f"{name} ({machine.id}) is in the cloud, but Terraform does not put it out")
        elif machine.state != "running":
            found.append(f"{name} ({machine.id}) is {machine.state} in the cloud")
        elif machine.address != hosts[name].address:
            found.append(f"{name} has the address {machine.address} in the cloud, not {hosts[name].address}")
    return [*gone, *found]


def _reason(said: str) -> str:
    """The line that says why, and not those around it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line.partition(" plugin: ")[2] for line in lines if " plugin: " in line]
    return ([each for each in telling if each] or lines or ["no reason given"])[0]


def _plain(value: Any) -> str:
    """Ansible wraps what it was told by others."""
    return str(value["__ansible_unsafe"] if isinstance(value, dict) else value)
