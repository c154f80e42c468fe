"""A lab as a whole: brought up, found again, and removed to the last trace."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from lab import plan as plans
from lab import root, ssh
from lab.machine import Host
from lab.network import NAME_LENGTH, Network, refuse_overlap
from lab.plan import Plan, Process
from lab.shell import LabError, alone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address

_NETWORKS = IPv4Network("10.213.0.0/16")
"""Where labs are that are not told otherwise; each takes the first /24 that is free."""
_FIRST_HOST = 11
_STATE_MODE = 0o700


class Lab:
    """The hosts of a plan, and their network."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.network = Network(plan.name)
        self.hosts = {name: Host(plan, name, self.network) for name in plan.hosts}

    @property
    def complete(self) -> bool:
        return all(host.state == "running" for host in self.hosts.values())

    def make(self) -> None:
        """Make everything, and wait until every host answers."""
        base = root.ensure()
        ssh.prepare(self.plan)
        self.network.up(self.plan.controller)
        for host in self.hosts.values():
            host.create(base)
            host.start()
        for host in self.hosts.values():
            host.wait()

    def prepare(self) -> None:
        """Make the network, in which there are no hosts yet; `add` brings them."""
        ssh.prepare(self.plan)
        self.network.up(self.plan.controller)

    def add(self, name: str, address: IPv4Address) -> Host:
        """Switch one more host on, which `wait` waits for."""
        base = root.ensure()
        self._replan({**self.plan.hosts, name: address})
        host = self.hosts[name] = Host(self.plan, name, self.network)
        host.create(base)
        host.start()
        return host

    def drop(self, name: str) -> None:
        """Remove a host and all that it had."""
        self.hosts.pop(name).destroy()
        self.network.detach(name)
        self._replan({host: address for host, address in self.plan.hosts.items() if host != name})

    def _replan(self, hosts: dict[str, IPv4Address]) -> None:
        self.plan = self.plan._replace(hosts=hosts)
        # Before there is anything of it: so `down` finds it.
        self.plan.write()
        ssh.prepare(self.plan)

    def remove(self) -> None:
        """Remove everything, or what is there of it."""
        for host in self.hosts.values():
            host.destroy()
        self.network.down(list(self.hosts))
        shutil.rmtree(self.plan.folder, ignore_errors=True)


def free_plan(name: str, hosts: Sequence[str], owner: Process | None = None) -> Plan:
    """A plan for hosts of these names in the first network that no lab has."""
    taken = {plan.controller.network for plan in plans.known() if plan.name != name}
    network = next(each for each in _NETWORKS.subnets(new_prefix=24) if each not in taken)
    addresses = {host: network[_FIRST_HOST + number] for number, host in enumerate(hosts)}
    return Plan(name, IPv4Interface(f"{network[1]}/24"), addresses, owner)


def up(name: str, hosts: Sequence[str], owner: Process | None = None) -> Lab:
    """Bring a lab up, in the first network that is free; one that is up already is left as it is.

    Raises:
        LabError: It cannot be; nothing is left of it then.
    """
    with alone(plans.FOLDER / ".lock"):
        sweep()
        return _bring_up(free_plan(name, hosts, owner))


def up_as_planned(plan: Plan) -> Lab:
    """As `up`, with the addresses that the plan gives."""
    with alone(plans.FOLDER / ".lock"):
        sweep()
        return _bring_up(plan)


def _bring_up(plan: Plan) -> Lab:
    _refuse_names(plan)
    there = plans.read(plan.name)
    if there and there.owner is None:
        found = Lab(there)
        if there.hosts.keys() == plan.hosts.keys() and found.complete:
            return found
    if there:
        Lab(there).remove()
    refuse_overlap(plan)
    lab = Lab(plan)
    # Until it is whole, it is its maker's: where that is killed, the next command removes it.
    plan._replace(owner=Process.current()).write()
    plan.folder.chmod(_STATE_MODE)
    try:
        lab.make() if plan.hosts else lab.prepare()
    except BaseException:
        lab.remove()
        raise
    plan.write()
    return lab


def down(name: str) -> bool:
    """Remove a lab, or what a command that was killed has left of it; whether there was anything."""
    with alone(plans.FOLDER / ".lock"):
        sweep()
        there = plans.read(name)
        if there:
            Lab(there).remove()
        return there is not None


def sweep() -> None:
    """Remove the labs whose owner has ended without removing them."""
    for plan in plans.known():
        if plan.abandoned:
            Lab(plan).remove()


def _refuse_names(plan: Plan) -> None:
    if len(plan.name) > NAME_LENGTH:
        raise LabError(f"{plan.name!r} is too long for a lab's name: {NAME_LENGTH} characters at most")
