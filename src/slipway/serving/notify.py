"""Tells systemd that the process is ready (sd_notify(3)); without systemd there is nobody to tell."""

import socket


def ready(address: str | None) -> None:
    """Send READY=1.

    Args:
        address: What the variable NOTIFY_SOCKET holds: a path, or `@` and an abstract name.
    """
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
        teller.connect("\0" + address[1:] if address.startswith("@") else address)
        teller.send(b"READY=1")
