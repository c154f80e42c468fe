"""Fetches what callers have asked, from the prediction logs of an environment's hosts (docs/decisions/0014)."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from slipway.errors import InputError, MachineError
from slipway.fleet import unreachable
from slipway.fleet.context import Context
from slipway.fleet.report import known_fleet

_UNREACHABLE = 255
"""SSH's own exit code."""
OWN = "slipway-"
"""Begins the ids of acceptance rows and replays: nobody depends on their answers."""
_SCRIPT = (
    'set -- "$1" "$2"/predictions/*.jsonl; lines=$1; shift; [ ! -e "$1" ] || '
    f"""cat -- "$@" | grep --text --invert-match '"request":"{OWN}' | tail -n "$lines\""""
)
"""Names of files are numbers of one length, the newest last; a quote in what a caller says is escaped."""


class Fetched(NamedTuple):
    """What was recorded."""

    lines: dict[str, list[str]]
    """By host: the newest requests of its callers, a line of JSON each, the newest last."""
    lost: dict[str, str]
    """Hosts of which nothing could be had, and why."""


def fetch(context: Context, last: int) -> Fetched:
    """The newest requests of callers that each host has recorded.

    Args:
        context: The command.
        last: How many of each host, at most.

    Raises:
        InputError: Nothing is deployed on the environment.
    """
    environment = context.environment
    fleet = known_fleet(context)
    if fleet is None:
        raise InputError(
            f"nothing is deployed on {environment.name}", next_command=f"slipway deploy {environment.name}"
        )
    commands = {
        name: _command([] if environment.is_here else environment.ssh(host), host.home, last)
        for name, host in sorted(fleet.hosts.items())
    }
    with ThreadPoolExecutor(len(commands)) as threads:
        done = dict(zip(commands, threads.map(_run, commands.values()), strict=True))
    lost = {name: _reason(each) for name, each in done.items() if each.returncode}
    return Fetched({name: each.stdout.splitlines() for name, each in done.items() if name not in lost}, lost)


def write(file: Path, lines: Mapping[str, Sequence[str]]) -> int:
    """Write requests into a file that only its owner may read, whole or not at all; how many.

    Raises:
        MachineError: It cannot be written to.
    """
    told = [line for each in lines.values() for line in each]
    partial = file.with_name(f"{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.writelines(f"{line}\n" for line in told)
        partial.replace(file)
    except OSError as error:
        raise MachineError(f"{file} cannot be written to: {error.strerror}") from error
    return len(told)


def _command(ssh: Sequence[str], home: Path, last: int) -> list[str]:
    """What prints the newest lines of a host, the newest last; nothing where there is no log."""
    command = ["sh", "-c", _SCRIPT, "sh", str(last), str(home)]
    return [*ssh, shlex.join(command)] if ssh else command


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
    )


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode == _UNREACHABLE:
        return unreachable.reason(done.stderr)
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
