"""Asks another slot what the live one is asked, and compares the answers; whoever asked the live one does not notice.

Copies wait in a bounded queue; where it is full they are dropped, and counted. One is under way at a time, so a slow
shadow is asked less, and holds nothing up.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from prometheus_client import Counter, Summary
from prometheus_client.registry import Collector
from pydantic_core import from_json

from slipway.scorer import Prediction
from slipway.serving.door import announcement
from slipway.serving.exchange import Exchange

_QUEUED_BYTES = 4 * 2**20
"""Of copies that wait: of ordinary requests, a few thousand."""
_ANSWER_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
"""After a failure."""
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
_OK = 200


def order(home: Path) -> Path:
    """The file that names the slot to ask and for how many seconds; where it is not there, none is asked."""
    return home / "run" / "shadow.json"


class Shadow:
    """What the live slot's process knows of its shadow."""

    def __init__(self, home: Path, slot: str, queued_bytes: int = _QUEUED_BYTES) -> None:
        """Begin without a shadow; `look` finds it."""
        self._home = home
        self._slot = slot
        self._queued_bytes = queued_bytes
        self._waiting: asyncio.Queue[Exchange] = asyncio.Queue()
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._dropped = Counter(
            "slipway_shadow_dropped", "Requests of which the shadow was not asked.", registry=None
        )
        self._failed = Counter(
            "slipway_shadow_failed", "Requests that the shadow did not answer at all.", registry=None
        )
        self._differing = Summary(
            "slipway_shadow_differing",
            "Share of a request's rows that the shadow decides otherwise.",
            registry=None,
        )
        self._difference = Summary(
            "slipway_shadow_difference",
            "Difference of the shadow's probabilities, the mean of a request's rows.",
            registry=None,
        )

    @property
    def metrics(self) -> Sequence[Collector]:
        return self._dropped, self._failed, self._differing, self._difference

    def add(self, exchange: Exchange) -> None:
        """Have the shadow asked the same, if there is one."""
        if self._task is None or self._task.done():
            return
        if self._waiting_bytes + len(exchange.body) > self._queued_bytes:
            self._dropped.inc()
            return
        self._waiting_bytes += len(exchange.body)
        self._waiting.put_nowait(exchange)

    def look(self) -> None:
        """Begin to ask the shadow that is ordered, or end; in the event loop."""
        self.end()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            ordered = json.loads(order(self._home).read_text())
            if ordered["slot"] != self._slot:
                port = int(json.loads(announcement(self._home, ordered["slot"]).read_text())["port"])
                self._task = asyncio.get_running_loop().create_task(
                    self._follow(port, float(ordered["seconds"]))
                )

    def end(self) -> None:
        """Ask no shadow any more."""
        if self._task:
            self._task.cancel()
        self._task, self._waiting, self._waiting_bytes = None, asyncio.Queue(), 0

    async def _follow(self, port: int, seconds: float) -> None:
        """Ask for so long; a command that was killed may never take the order back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self._ask_all(port)
                    except (OSError, EOFError, ValueError, KeyError, TypeError):
                        self._failed.inc()
                        await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask_all(self, port: int) -> None:
        """Ask over one connection until it fails."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                exchange = await self._waiting.get()
                self._waiting_bytes -= len(exchange.body)
                writer.write(_head(exchange) + exchange.body)
                self._compare(exchange.predictions, *await asyncio.wait_for(_read(reader), _ANSWER_SECONDS))
        finally:
            writer.close()

    def _compare(self, live: Sequence[Prediction], status: int, content: bytes) -> None:
        """Take note of how the answers differ; requests that both refuse have none, and are counted by the shadow."""
        if not live:
            return
        if status != _OK:
            self._differing.observe(1)
            self._difference.observe(1)
            return
        answers = [Prediction(**each) for each in from_json(content)["predictions"]]
        pairs = list(zip(live, answers, strict=True))
        self._differing.observe(fmean(ours.label != its.label for ours, its in pairs))
        self._difference.observe(fmean(abs(ours.probability - its.probability) for ours, its in pairs))


def _head(exchange: Exchange) -> bytes:
    return (
        f"POST /predict HTTP/1.1\r\nHost: shadow\r\nX-Request-Id: {exchange.request}\r\n"
        f"Content-Length: {len(exchange.body)}\r\n\r\n"
    ).encode()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and content of an answer of the service's own, which always has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not length:
        raise ValueError(f"no answer of Slipway's: {head[:100]!r}")
    return int(head[9:12]), await reader.readexactly(int(length[1]))
