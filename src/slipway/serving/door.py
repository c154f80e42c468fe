"""Where a slot's process stands: proven but unseen, live at the front door, or on its way out."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Door:
    """State that the server changes and the application reports.

    Every process has a side door of its own, on a loopback port, from the start. The front door is the socket
    that the service manager holds and that blue and green share.
    """

    open: bool = False
    """Accepting at the front door."""
    stopping: bool = False
    """Answering what has come, with `Connection: close`; accepting nothing new."""


FRONT = "front"
"""The key of a request's state that is there where it has come through the front door."""


def announcement(home: Path, slot: str) -> Path:
    """The file in which a slot's process says its id and the port of its side door."""
    return home / "run" / f"{slot}.json"
