"""A command that changes an environment, from its lock to the hosts' own account of themselves."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from slipway.fleet import hold, infrastructure, lock
from slipway.fleet.collect import collect
from slipway.fleet.context import Context
from slipway.fleet.environment import Fleet
from slipway.fleet.host import Report


class Session(NamedTuple):
    """An environment that nobody else changes meanwhile."""

    context: Context
    fleet: Fleet | None
    """Its machines when it began; None on this machine, which is not asked for them, and where nothing is provisioned."""
    held: tuple[int, ...]
    """The descriptors of the locks, here and on the hosts, for programs that work on the environment."""
    reports: dict[str, Report]
    """What the hosts said when it began."""
    lost: dict[str, str]
    """Hosts that cannot be reached, and why."""
    ended: Callable[[], list[str]]
    """The hosts whose lock has been lost since."""


@contextmanager
def opened(context: Context, on_unread: Callable[[str], None] | None = None) -> Iterator[Session]:
    """Lock an environment, here and on its hosts, and ask these what they serve.

    Args:
        context: The command.
        on_unread: As `infrastructure.known` has it.

    Raises:
        Locked: Another command is changing it.
    """
    with context.locked() as held:
        fleet = None if context.environment.is_here else infrastructure.known(context, on_unread)
        if fleet is None:
            yield Session(context, None, (held,), *collect(context, None, (held,)), list)
            return
        owner = lock.owner(context.command, getpass.getuser(), os.getpid(), context.now())
        hosts = {name: context.environment.ssh(fleet.hosts[name]) for name in sorted(fleet.hosts)}
        context.progress.begin("collect", f"{len(hosts)} hosts")
        with hold.held(hosts, lock_file(fleet), owner) as holding:
            locks = (held, *holding.descriptors)
            reports, lost = collect(context, fleet, locks)
            context.progress.end(", ".join(f"{name} cannot be reached" for name in lost))
            for who in sorted(set(holding.dead.values())):
                on = ", ".join(name for name, dead in holding.dead.items() if dead == who)
                context.progress.say("lock", on, f"taken over from a command that never ended: {who}")
            # What SSH itself says of a host is more than what Ansible makes of it.
            yield Session(context, fleet, locks, reports, lost | holding.lost, holding.ended)


def lock_file(fleet: Fleet) -> str:
    """On each host; a host may serve several environments from several folders."""
    homes = sorted({str(host.home) for host in fleet.hosts.values()})
    return f"/run/lock/slipway{homes[0].replace('/', '-')}"
