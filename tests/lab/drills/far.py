"""A line that takes its time, for SSH's ProxyCommand: `far.py HOST PORT SECONDS`, each way."""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES = 65536


def delay(read: Callable[[], bytes], write: Callable[[bytes], object], seconds: float) -> threading.Thread:
    """Hand on what is read, each piece so much later; the thread that writes."""
    pieces: queue.Queue[tuple[float, bytes]] = queue.Queue()

    def take() -> None:
        piece = b"-"
        while piece:
            piece = read()
            pieces.put((time.monotonic() + seconds, piece))

    def give() -> None:
        while True:
            due, piece = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not piece:
                return
            write(piece)

    threading.Thread(target=take, daemon=True).start()
    writer = threading.Thread(target=give, daemon=True)
    writer.start()
    return writer


def main(host: str, port: str, seconds: str) -> None:
    with socket.create_connection((host, int(port))) as door:
        delay(lambda: os.read(0, _BYTES), door.sendall, float(seconds))
        delay(lambda: door.recv(_BYTES), lambda piece: os.write(1, piece), float(seconds)).join()


if __name__ == "__main__":
    main(*sys.argv[1:])
