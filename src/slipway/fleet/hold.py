"""One change of a fleet at a time, whichever machine it is made from: a lock on each host, held by a connection.

The lock is the kernel's, and a process at the far end of an SSH connection holds it. So it ends when the command
ends, however that comes about; when the machine of the command is lost, it ends when the host's sshd misses the
third sign of life (`ClientAliveInterval` of the role `host_baseline`), and never before.
"""

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from slipway.errors import Locked, MachineError
from slipway.fleet import lock, unreachable

_TAKEN = 75
_UNREACHABLE = 255
"""SSH's own exit code."""
_HELD = "held"
_DONE = "done"
_SCRIPT = f"""
flock --nonblock --conflict-exit-code {_TAKEN} "$0" sh -c '
    [ ! -s "$0.owner" ] || logger --tag slipway "$0 is taken over from $(cat "$0.owner")" || true
    [ ! -s "$0.owner" ] || echo "$(cat "$0.owner")"
    printf %s "$1" >"$0.owner" && echo {_HELD} && read -r end && [ "$end" = {_DONE} ] && : >"$0.owner"
' "$0" "$1"
code=$?
[ $code -ne {_TAKEN} ] || cat "$0.owner"
exit $code
"""
"""Who ends says so, and empties the file of the owner: what is in it when the lock is free, is of one who was lost."""

Ssh = Sequence[str]
"""The command line that runs a command on a host, but for that command."""


class Hold(NamedTuple):
    """The locks of a fleet, held."""

    lost: dict[str, str]
    """Hosts that cannot be reached, and so not be locked, and why."""
    dead: dict[str, str]
    """Hosts whose lock was held by a command that never ended, and what is known of it."""
    descriptors: tuple[int, ...]
    """Who is given them keeps the locks, whatever becomes of the command: a playbook that outlives it."""
    ended: Callable[[], list[str]]
    """The hosts whose lock has been lost since."""


class _Holder(NamedTuple):
    process: "subprocess.Popen[str]"
    descriptor: int
    dead: str


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
    holders: dict[str, _Holder] = {}
    waiting = list(hosts)
    with ExitStack() as stack:

        def ask(*names: str) -> None:
            asked = {name: stack.enter_context(_asked(hosts[name], file, owner)) for name in names}
            for name, process in asked.items():
                try:
                    holders[name] = _heard(name, process)
                except _UnreachableError as error:
                    lost[name] = str(error)

        while waiting and not holders:
            ask(waiting.pop(0))
        # Whoever has the first has won: nobody else asks for these.
        ask(*waiting)

        def ended() -> list[str]:
            return [name for name, holder in holders.items() if holder.process.poll() is not None]

        dead = {name: holder.dead for name, holder in holders.items() if holder.dead}
        yield Hold(lost, dead, tuple(holder.descriptor for holder in holders.values()), ended)


class _UnreachableError(Exception):
    """SSH says that it cannot reach a host."""


@contextmanager
def _asked(ssh: Ssh, file: str, owner: Mapping[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """A process that asks a host for its lock; told, at the end, that it is done."""
    command = shlex.join(["sh", "-c", _SCRIPT, file, json.dumps(dict(owner))])
    with subprocess.Popen(
        [*ssh, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # An interrupt at the terminal must not free the lock before the hosts have finished.
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            yield process
        finally:
            # Where it was refused, or is lost, nobody listens.
            with suppress(BrokenPipeError, ValueError):
                process.stdin.write(f"{_DONE}\n")
                process.stdin.flush()
            with suppress(BrokenPipeError):
                process.stdin.close()


def _heard(name: str, process: "subprocess.Popen[str]") -> _Holder:
    """Who holds a lock, once the host has said so."""
    assert process.stdin is not None  # noqa: S101 - for the type checker: these are pipes
    assert process.stdout is not None  # noqa: S101
    first = process.stdout.readline().strip()
    said = first if first == _HELD else process.stdout.readline().strip()
    if said != _HELD:
        raise _refusal(name, process, first)
    return _Holder(process, process.stdin.fileno(), lock.said_by(first) if first != _HELD else "")


def _refusal(name: str, process: "subprocess.Popen[str]", said: str) -> Exception:
    errors = process.communicate()[1].strip()
    reason = errors.splitlines()[-1] if errors else f"exit code {process.returncode}"
    if process.returncode == _TAKEN:
        return Locked(f"{lock.said_by(said)} (on {name})", next_command="wait, then the same command again")
    if process.returncode == _UNREACHABLE:
        return _UnreachableError(unreachable.reason(errors or reason))
    return MachineError(f"{name} cannot be locked: {reason}")
