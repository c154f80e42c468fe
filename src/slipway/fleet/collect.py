"""What the hosts of an environment say of themselves, and which of them say nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from slipway.fleet import host, playbook
from slipway.fleet.context import Context
from slipway.fleet.environment import Fleet
from slipway.fleet.host import Report


class Collected(NamedTuple):
    """The accounts of a fleet."""

    reports: dict[str, Report]
    """By host."""
    lost: dict[str, str]
    """Hosts that cannot be reached, and why."""


def collect(context: Context, fleet: Fleet | None, held: Sequence[int] = ()) -> Collected:
    """Ask every host of a fleet; this machine is asked by its folder, since it needs no connection.

    Args:
        context: The command.
        fleet: None where nothing has been provisioned yet.
        held: The descriptors of the environment's locks, where it is locked.
    """
    if context.environment.is_here:
        return Collected({"local-1": host.report(context.environment.folder)}, {})
    if fleet is None:
        return Collected({}, {})
    found = playbook.run(context.environment, "collect", {}, lambda _: None, held, may_fail=True)
    reports = {name: host.told(result["report"]) for name, result in found.results.items()}
    return Collected(reports, {name: str(failure) for name, failure in found.failures.items()})
