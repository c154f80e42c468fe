"""One change of a fleet at a time, whichever machine it is made from: a lock on each host, held by a connection.

The lock is the kernel's, and a process at the far end of an SSH connection holds it. So it ends when the command
ends, however that comes about; when the machine of the command is lost, it ends when the host's sshd misses the
third sign of life (`ClientAliveInterval` of the role `host_baseline`), and never before.
"""

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from slipway.errors import Locked, MachineError
from slipway.fleet import lock, unreachable

_TAKEN = 75
_UNREACHABLE = 255
"""SSH's own exit code."""
_HELD = "held"
_SCRIPT = f"""
flock --nonblock --conflict-exit-code {_TAKEN} "$0" sh -c \
    'printf %s "$1" >"$0.owner" && echo {_HELD} && exec cat >/dev/null' "$0" "$1"
code=$?
[ $code -ne {_TAKEN} ] || cat "$0.owner"
exit $code
"""

Ssh = Sequence[str]
"""The command line that runs a command on a host, but for that command."""


class Hold(NamedTuple):
    """The locks of a fleet, held."""

    lost: dict[str, str]
    """Hosts that cannot be reached, and so not be locked, and why."""
    check: Callable[[], None]
    """Raises MachineError where a lock has been lost since."""


@contextmanager
def held(hosts: Mapping[str, Ssh], file: str, owner: Mapping[str, str]) -> Iterator[Hold]:
    """Hold the lock of every host, the first one first: of commands that race, exactly one gets it.

    Args:
        hosts: How each is reached.
        file: The lock file on each host; its folder is there.
        owner: Who holds it, for those who come second: `by`, `command`, `since`, `pid`.

    Raises:
        Locked: Somebody else holds one.
        MachineError: A host is reached, but cannot be locked.
    """
    lost: dict[str, str] = {}
    with ExitStack() as stack:
        holders = {}
        for name, ssh in hosts.items():
            try:
                holders[name] = stack.enter_context(_holder(name, ssh, file, owner))
            except _UnreachableError as error:
                lost[name] = str(error)

        def check() -> None:
            if ended := [name for name, holder in holders.items() if holder.poll() is not None]:
                raise MachineError(f"the connection that holds the lock of {', '.join(ended)} has ended")

        yield Hold(lost, check)


class _UnreachableError(Exception):
    """SSH says that it cannot reach a host."""


@contextmanager
def _holder(name: str, ssh: Ssh, file: str, owner: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = shlex.join(["sh", "-c", _SCRIPT, file, json.dumps(dict(owner))])
    with subprocess.Popen(
        [*ssh, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # An interrupt at the terminal must not free the lock before the hosts have finished.
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101 - for the type checker: these are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            if (said := process.stdout.readline().strip()) != _HELD:
                raise _refusal(name, process, said)
            yield process
        finally:
            process.stdin.close()


def _refusal(name: str, process: "subprocess.Popen[str]", said: str) -> Exception:
    errors = process.communicate()[1].strip()
    reason = errors.splitlines()[-1] if errors else f"exit code {process.returncode}"
    if process.returncode == _TAKEN:
        return Locked(f"{lock.said_by(said)} (on {name})", next_command="wait, then the same command again")
    if process.returncode == _UNREACHABLE:
        return _UnreachableError(unreachable.reason(errors or reason))
    return MachineError(f"{name} cannot be locked: {reason}")
