"""The lab's network: a bridge in a namespace of its own, a namespace for each host, and one way in, ours.

Nothing leads out of it: there is no route, no forwarding, no NAT, and the machine's own rules are not touched.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from lab.shell import LabError, attempt, run

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Interface

    from lab.plan import Plan

NAME_LENGTH = 11
"""Of a lab at most: the kernel's names of links have 15 characters."""
BRIDGE = "bridge0"
_RULES = """\
table bridge lab {
    set cut { type ipv4_addr . ipv4_addr; }
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip saddr . ip daddr @cut drop
    }
    chain chance {
        type filter hook forward priority 1; policy accept;
    }
}
"""


class Network:
    """The network of one lab."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._link = f"lab-{lab}"
        self._space = f"slipway-{lab}"

    def space(self, host: str) -> str:
        """The name of a host's network namespace."""
        return f"{self._space}.{host}"

    def up(self, controller: IPv4Interface) -> None:
        """Make the bridge, and this machine's link to it."""
        run("ip", "netns", "add", self._space)
        self._inside(f"link add {BRIDGE} type bridge forward_delay 0\nlink set {BRIDGE} up\nlink set lo up\n")
        run("ip", "link", "add", self._link, "type", "veth", "peer", "name", "way-in", "netns", self._space)
        self._inside(f"link set way-in master {BRIDGE} up\n")
        run("ip", "address", "add", str(controller), "dev", self._link)
        run("ip", "link", "set", self._link, "up")
        run("ip", "netns", "exec", self._space, "nft", "-f", "-", text=_RULES)

    def attach(self, host: str, address: IPv4Interface) -> None:
        """Make a host's namespace, with its link to the bridge."""
        space = self.space(host)
        run("ip", "netns", "add", space)
        self._inside(
            f"link add {host} type veth peer name host0 netns {space}\nlink set {host} master {BRIDGE} up\n"
        )
        run(
            *("ip", "-n", space, "-batch", "-"),
            text=f"address add {address} dev host0\nlink set host0 up\nlink set lo up\n",
        )

    def detach(self, host: str) -> None:
        """Remove a host's namespace, and its link with it."""
        attempt("ip", "netns", "delete", self.space(host))

    def cut(self, host: str) -> None:
        """Pull a host's cable."""
        self._inside(f"link set {host} down\n")

    def mend(self, host: str) -> None:
        """Put a host's cable back."""
        self._inside(f"link set {host} up\n")

    def drop(self, one: IPv4Address, other: IPv4Address) -> None:
        """Lose every packet between two addresses, both ways."""
        self._rule(f"add element bridge lab cut {{ {one} . {other}, {other} . {one} }}\n")

    def lose(self, one: IPv4Address, other: IPv4Address, percent: int) -> None:
        """Lose some packets between two addresses, both ways, by chance."""
        both = f"{{ {one}, {other} }}"
        chance = f"numgen random mod 100 < {percent}"
        self._rule(f"add rule bridge lab chance ip saddr {both} ip daddr {both} {chance} drop\n")

    def pass_all(self) -> None:
        """Lose no packet any more."""
        self._rule("flush set bridge lab cut\nflush chain bridge lab chance\n")

    def down(self, hosts: list[str]) -> None:
        """Remove all of it, or what is there of it."""
        attempt("ip", "link", "delete", self._link)
        for space in (*map(self.space, hosts), self._space):
            attempt("ip", "netns", "delete", space)

    def _inside(self, commands: str) -> None:
        run("ip", "-n", self._space, "-batch", "-", text=commands)

    def _rule(self, rule: str) -> None:
        run("ip", "netns", "exec", self._space, "nft", "-f", "-", text=rule)


def refuse_overlap(plan: Plan) -> None:
    """Raise LabError where this machine reaches others by addresses that the lab would take."""
    for route in json.loads(run("ip", "-json", "-4", "route", "show")):
        if route["dst"] == "default":
            continue
        if IPv4Network(route["dst"], strict=False).overlaps(plan.controller.network):
            raise LabError(
                f"{plan.controller.network} overlaps {route['dst']}, which this machine reaches by {route['dev']}"
            )
