"""The process of one slot: proves itself, waits to be made live, and leaves without losing a request."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn

from slipway.serving import notify
from slipway.serving.door import FRONT, Door, announcement
from slipway.serving.shadow import Shadow

LIVE = "live"
"""In an environment's folder: a link to the slot that answers at the front door."""

_LAST_ANSWERS_SECONDS = 3.0


class SlotServer(uvicorn.Server):
    """A uvicorn server with two doors.

    The side door is open from the start, so that the slot can be asked before anybody depends on it. SIGUSR1
    makes it look whether `live` points to it, and open the front door if so, and whether it has a shadow. SIGTERM closes both, answers
    what is under way or still comes over connections that exist, with `Connection: close`, and ends; who has
    not sent his request whole some seconds after that, or not read his answer, is not waited for.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        door: Door,
        front: socket.socket,
        home: Path,
        slot: str,
        lame_duck_seconds: float,
        shadow: Shadow,
    ) -> None:
        super().__init__(config)
        self._door = door
        self._front = front
        self._home = home
        self._slot = slot
        self._lame_duck_seconds = lame_duck_seconds
        self._shadow = shadow

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._look()
        if sockets:
            self._announce(sockets[0].getsockname()[1])
        notify.ready(os.environ.get("NOTIFY_SOCKET"))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._door.stopping, self._door.open = True, False
        self._shadow.end()
        for server in self.servers:
            server.close()
        # Closed in this process only: the service manager and the other slot keep the socket.
        self._front.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._lame_duck_seconds
        while self.server_state.connections and loop.time() < until:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.02)
        loop.call_later(_LAST_ANSWERS_SECONDS, self._abandon)
        await super().shutdown(sockets)
        self._withdraw()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the signals as the loop's own: uvicorn would raise them again and die of them at the end."""
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self._stop)
        opening: set[asyncio.Task[None]] = set()

        def look() -> None:
            task = loop.create_task(self._look())
            opening.add(task)
            task.add_done_callback(opening.discard)

        loop.add_signal_handler(signal.SIGUSR1, look)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    def _abandon(self) -> None:
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()

    async def _look(self) -> None:
        await self._open_if_live()
        if self._door.open:
            self._shadow.look()

    async def _open_if_live(self) -> None:
        if self._door.open or self._door.stopping or not is_live(self._home, self._slot):
            return
        self._door.open = True
        config = self.config
        server = await asyncio.get_running_loop().create_server(
            lambda: config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state={**self.lifespan.state, FRONT: True}
            ),
            sock=self._front,
            backlog=config.backlog,
        )
        self.servers.append(server)

    @property
    def _announcement(self) -> Path:
        return announcement(self._home, self._slot)

    def _announce(self, port: int) -> None:
        written = self._announcement.with_suffix(".new")
        written.parent.mkdir(parents=True, exist_ok=True)
        # Kept open: however the process ends, its lock ends with it, and so says whether it is there.
        self._announced = written.open("w")
        fcntl.flock(self._announced, fcntl.LOCK_EX)
        json.dump({"pid": os.getpid(), "port": port}, self._announced)
        self._announced.flush()
        written.rename(self._announcement)

    def _withdraw(self) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            if json.loads(self._announcement.read_text())["pid"] == os.getpid():
                self._announcement.unlink()


def is_live(home: Path, slot: str) -> bool:
    with contextlib.suppress(OSError):
        return (home / LIVE).readlink().name == slot
    return False
