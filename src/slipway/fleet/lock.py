"""One change of an environment at a time."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from slipway.errors import Locked


@contextmanager
def held(file: Path, owner: dict[str, str]) -> Iterator[int]:
    """Hold a lock; the kernel frees it when the holder and all who were given the descriptor have ended.

    So a lock never outlives its work, and work that outlives its command (a roll-out whose command was killed)
    keeps the lock.

    Args:
        file: The lock file.
        owner: Who holds it, for those who come second: `by`, `command`, `since`, `pid`.

    Yields:
        The descriptor, for child processes.

    Raises:
        Locked: Somebody else holds it.
    """
    with file.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = said_by(file.read_text(encoding="utf-8"))
            raise Locked(holder, next_command="wait, then the same command again") from None
        lock.seek(0)
        lock.truncate()
        lock.write(json.dumps(owner))
        lock.flush()
        yield lock.fileno()


def owner(command: str, by: str, pid: int, now: datetime) -> dict[str, str]:
    """The holder of a lock, as `held` writes it down."""
    return {"by": by, "command": command, "since": f"{now:%Y-%m-%d %H:%M:%S}", "pid": str(pid)}


def said_by(text: str) -> str:
    """What a lock file says of its holder."""
    try:
        found = json.loads(text)
        return f"{found['by']} is at it since {found['since']}: {found['command']!r} (process {found['pid']})"
    except (ValueError, KeyError):
        return "somebody else is at it"
