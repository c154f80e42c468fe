"""A connection's protocol that does not wait for ever: who sends or reads too slowly is cut off."""

import asyncio
import fcntl
import os
import socket
import struct
import termios

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SECONDS = 8.0
"""For a request to come whole, from its first byte on, and for an answer to be taken: of the largest ones, at 250 and at
75 kB a second."""
_NONE = struct.pack("i", 0)
_AT_ONCE = struct.pack("ii", 1, 0)


class PatientProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with deadlines for what the client does; the time to answer has none here.

    A connection on which nothing has ever been sent has the time of one that is kept alive.
    """

    _deadline: asyncio.TimerHandle | None = None
    _is_owed = False
    """Whether the client has to send something."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_owed = True
        self._give(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_owed = True
        self._give(SECONDS)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_owed = False
        self._end_deadline()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._deadline is None:
            self._give(SECONDS)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._deadline is None:
            self._give(SECONDS)

    def _give(self, seconds: float) -> None:
        self._end_deadline()
        self._deadline = self.loop.call_later(seconds, self._cut_off)

    def _end_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None

    def _cut_off(self) -> None:
        self._deadline = None
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as connection:
            if self._is_owed or self.transport.get_write_buffer_size() or _untaken(connection):
                # Or the kernel would go on offering what the client does not take.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                self.transport.abort()


def _untaken(connection: socket.socket) -> int:
    """Bytes that the kernel has for the client, and that this has not taken."""
    found: tuple[int] = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, _NONE))
    return found[0]
