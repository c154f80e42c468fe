"""What the hosts of an environment say of themselves, and which of them say nothing."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from slipway.fleet import host, playbook, unreachable
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
        folder, manager = context.environment.folder, fleet.service_manager if fleet else "supervisord"
        account = _account(context.environment.repository.root)
        with account.settled(folder):
            told = account.report(folder, manager)
        report = host.report(folder, host.record(told["answers"]))
        report = report._replace(
            slot=told["slot"], damaged=tuple(told["damaged"]), faults=tuple(told["faults"])
        )
        return Collected({"local-1": report}, {})
    if fleet is None:
        return Collected({}, {})
    found = playbook.run(context.environment, "collect", {}, lambda _: None, held, may_fail=True)
    reports = {name: host.told(result["report"]) for name, result in sorted(found.results.items())}
    lost = {
        name: unreachable.reason(str(failure)) if failure.unreachable else str(failure)
        for name, failure in found.failures.items()
    }
    return Collected(reports, lost)


def _account(root: Path) -> Any:
    """The code by which hosts find out what is wrong with them; it needs no Ansible."""
    file = root / "ansible" / "roles" / "model_server" / "module_utils" / "model_server_host.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None  # noqa: S101 - for the type checker: it is a file of Python
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
