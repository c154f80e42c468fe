"""The verbs of `python -m lab`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from lab import lab, needs
from lab import plan as plans
from lab.shell import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "lab"
HOSTS = ("model-1", "model-2", "model-3", "balancer-1")


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="Real hosts on this machine.")
    parser.add_argument("verb", choices=sorted(_VERBS))
    parser.add_argument("--name", default=NAME, help="of the lab; there can be several")
    given = parser.parse_args(arguments)
    # Where no lab can be, none needs to be removed, and what is missing can still be asked for.
    if given.verb != "needs" and (refusal := needs.refusal_here()):
        return _refused(refusal)
    try:
        _VERBS[given.verb](given.name)
    except (LabError, OSError) as error:
        return _refused(str(error))
    return 0


def _up(name: str) -> None:
    began = time.monotonic()
    made = lab.up(name, HOSTS)
    _status(name)
    config = made.plan.folder / "ssh_config"
    _say(f"up in {time.monotonic() - began:.1f} s; ssh -F {config} {next(iter(made.hosts))}")


def _down(name: str) -> None:
    _say(f"{name} is removed" if lab.down(name) else f"there is no lab {name!r}")


def _status(name: str) -> None:
    plan = plans.read(name)
    if plan is None:
        _say(f"there is no lab {name!r}")
        return
    for host in lab.Lab(plan).hosts.values():
        _say(f"{host.name:12} {host.address!s:15} {host.state}")


def _needs(_name: str) -> None:
    """Print the packages to install, for a script."""
    if missing := needs.missing():
        _say(" ".join(missing))


def _show(name: str) -> None:
    from lab import show  # noqa: PLC0415 - `needs` runs where nothing is installed

    if show.tell(name):
        raise LabError("not everything went as it should")


_VERBS = {"up": _up, "down": _down, "status": _status, "needs": _needs, "show": _show}


def _say(line: str) -> None:
    sys.stdout.write(line + os.linesep)


def _refused(reason: str) -> int:
    sys.stderr.write(f"error: {reason}\n")
    return 1
