"""What a cloud does with what its API is told: machines that start and end, a balancer that follows its target groups.

Terraform and Slipway speak to the emulated API only. This looks at that API again and again, and lets the lab's hosts and
the HAProxy on one of them follow: an instance that runs is a host at its address; weights and registrations of the
load balancer are weights and states of HAProxy's servers.
"""

from __future__ import annotations

import csv
import json
import socket
import threading
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from lab.play import play, reached
from lab.shell import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lab.aws import Aws
    from lab.lab import Lab

BALANCER = "balancer-1"
_ROUND_SECONDS = 1.0
_HEAVIEST = 100
"""HAProxy's weights go to 256."""


class Instance(NamedTuple):
    """A machine, as EC2 tells of it."""

    id: str
    name: str
    address: str
    state: str


class Target(NamedTuple):
    """A host behind the balancer."""

    address: str
    port: int
    weight: int


class Cloud:
    """The machines and the balancer of one environment."""

    def __init__(self, lab: Lab, aws: Aws, certificate: Path) -> None:
        self._lab = lab
        self._aws = aws
        self._certificate = certificate
        self._known: dict[str, Instance] = {}
        self._targets: dict[str, Target] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="cloud")
        self.error: BaseException | None = None
        """Why it has stopped to follow."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        ec2, elb = self._aws.client("ec2"), self._aws.client("elbv2")
        try:
            while not self._over.wait(_ROUND_SECONDS):
                machines = instances(ec2)
                self.run_machines(machines)
                self.balance(targets(elb, {each.id: each for each in machines}))
        except BaseException as error:  # noqa: BLE001 - told to whoever asks
            self.error = error

    def run_machines(self, wanted: Iterable[Instance]) -> None:
        """Let the hosts be what EC2 says of its instances."""
        found = {each.name: each for each in wanted if each.state in {"pending", "running", "stopped"}}
        for name in self._known.keys() - found.keys():
            self._lab.drop(name)
        for name, instance in found.items():
            known = self._known.get(name)
            if known and known.id != instance.id:
                self._lab.drop(name)
                known = None
            self._bring(name, instance, known)
        if found != self._known:
            self._known = found
            self._write_ssh_config()

    def _bring(self, name: str, instance: Instance, known: Instance | None) -> None:
        if known is None and instance.state == "running":
            self._lab.add(name, IPv4Address(instance.address))
        elif known and known.state != instance.state:
            host = self._lab.hosts[name]
            host.stop() if instance.state == "stopped" else host.start()

    def _write_ssh_config(self) -> None:
        """Where the committed one leads ids of instances through Session Manager, this one leads them to the hosts."""
        config = self._lab.plan.folder / "ssh_config"
        hosts = "".join(
            f"Host {each.id}\n    HostName {each.address}\n    HostKeyAlias {name}\n"
            for name, each in sorted(self._known.items())
        )
        new = self.ssh_config.with_suffix(".new")
        new.write_text(f"{hosts}Match all\n    Include {config}\n")
        new.rename(self.ssh_config)

    @property
    def ssh_config(self) -> Path:
        return self._lab.plan.folder / "ssh_config.cloud"

    def balance(self, wanted: Mapping[str, Target]) -> None:
        """Let HAProxy do what the load balancer has been told."""
        if wanted == self._targets:
            return
        places = {name: (target.address, target.port) for name, target in wanted.items()}
        if not places.items() <= {name: target[:2] for name, target in self._targets.items()}.items():
            self._configure(wanted)
        for name in self._targets.keys() - wanted.keys():
            self._tell(f"set server hosts/{name} state drain")
        for name, target in wanted.items():
            self._tell(f"set server hosts/{name} state ready")
            self._tell(f"set server hosts/{name} weight {target.weight}")
        self._targets = dict(wanted)

    def _configure(self, wanted: Mapping[str, Target]) -> None:
        variables = {
            "load_balancer_certificate": str(self._certificate),
            "load_balancer_servers": {
                name: {"address": target.address, "port": target.port, "weight": target.weight}
                for name, target in wanted.items()
            },
            "host_baseline_doors": [
                {"port": port, "sources": [str(self._lab.plan.controller.network)]} for port in (80, 443)
            ],
        }
        inventory = {"load_balancers": {"hosts": {BALANCER: {}}, "vars": reached(self._lab) | variables}}
        folder = self._lab.plan.folder / "ansible"
        folder.mkdir(exist_ok=True)
        played = play(folder, inventory, "provision")
        if played.code:
            raise LabError(f"the balancer cannot be set up: {played.failed or played.output}")

    def machine(self, name: str) -> Instance:
        """The machine that is a host."""
        return self._known[name]

    def given(self) -> dict[str, int]:
        """How many requests HAProxy has given to each host so far."""
        rows = csv.DictReader(self._ask("show stat").removeprefix("# ").splitlines())
        return {
            row["svname"]: int(row["stot"])
            for row in rows
            if row["pxname"] == "hosts" and row["svname"] != "BACKEND"
        }

    def _tell(self, command: str) -> None:
        if said := self._ask(command):
            raise LabError(f"HAProxy does not do {command!r}: {said}")

    def _ask(self, command: str) -> str:
        """What HAProxy says to a command, by the socket that it has on its host."""
        place = self._lab.hosts[BALANCER].place("run/haproxy/admin.sock")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(place))
            connection.sendall(f"{command}\n".encode())
            return connection.makefile().read().strip()


def instances(ec2: Any) -> list[Instance]:
    """The machines that have the tags of a model server."""
    marked = [{"Name": "tag:role", "Values": ["model-server"]}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=marked)
    found = [each for page in pages for group in page["Reservations"] for each in group["Instances"]]
    return [
        Instance(each["InstanceId"], _tag(each, "host"), each["PrivateIpAddress"], each["State"]["Name"])
        for each in found
        if each["State"]["Name"] != "terminated"
    ]


def targets(elb: Any, machines: Mapping[str, Instance]) -> dict[str, Target]:
    """The registered hosts of every target group that a listener forwards to, with their share of the traffic."""
    found: dict[str, Target] = {}
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            for action in listener["DefaultActions"]:
                for group in action.get("ForwardConfig", {}).get("TargetGroups", []):
                    found |= _registered(elb, group, machines)
    return in_proportion(found)


def in_proportion(found: Mapping[str, Target]) -> dict[str, Target]:
    """The same shares as weights that HAProxy can be told."""
    heaviest = max((target.weight for target in found.values()), default=0) or 1
    return {
        name: target._replace(weight=-(-target.weight * _HEAVIEST // heaviest))
        for name, target in found.items()
    }


def _registered(elb: Any, group: Mapping[str, Any], machines: Mapping[str, Instance]) -> dict[str, Target]:
    health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    there = [each["Target"] for each in health if each["Target"]["Id"] in machines]
    # A group's share is shared by its hosts; by the least common multiple of up to eight, so that nothing is rounded.
    share = int(group.get("Weight", 1)) * 840 // max(1, len(there))
    named = {machines[each["Id"]].name: (machines[each["Id"]], each["Port"]) for each in there}
    return {name: Target(machine.address, port, share) for name, (machine, port) in named.items()}


def _tag(instance: Mapping[str, Any], key: str) -> str:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    if key not in tags:
        raise LabError(f"{instance['InstanceId']} has no tag {key!r}: {json.dumps(tags)}")
    return str(tags[key])
