"""The prediction log: what was asked at the front door and what was answered, one JSON line a request.

The thread that answers puts a request's line into a bounded queue and goes on; another one writes. Whatever goes wrong
there (a full disk, a folder that is gone) costs lines, which are counted, and never an answer.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from prometheus_client import Counter
from prometheus_client.registry import Collector
from pydantic_core import to_json

from slipway.serving.exchange import Exchange

FOLDER = "predictions"
"""In an environment's folder."""

_PARTS = 4
"""In how many files the log is divided, where it is full: the oldest makes room for the next."""
_QUEUED_BYTES = 32 * 2**20
"""Of lines that wait to be written: of ordinary requests, some ten thousand."""
_BATCH = 1_000
"""Requests of one write."""
_DIGITS = 8
"""Of a file's number."""
_PAUSE_SECONDS = 0.02
"""Between two writes where requests come thick and fast: to write each at once would slow the answers."""
_BUSY_SECONDS = 0.002
"""Requests come thick and fast where the next one is there so soon. A process that is killed loses at most what came
in a pause, and where there are none next to nothing."""


class _Line(NamedTuple):
    content: bytes
    rows: int


class PredictionLog:
    """Writes the lines of one slot; `add` never waits."""

    def __init__(self, folder: Path, slot: str, most_bytes: int, queued_bytes: int = _QUEUED_BYTES) -> None:
        """Begin a log in a folder that other slots share.

        Args:
            folder: Made with the first line, where it is not there.
            slot: Whose lines they are.
            most_bytes: What all files in the folder may have together.
            queued_bytes: How much may wait to be written.
        """
        self.dropped = Counter(
            "slipway_prediction_log_dropped", "Rows that are not in the prediction log.", registry=None
        )
        self._files = Files(folder, slot, most_bytes)
        self._queue: SimpleQueue[_Line | None] = SimpleQueue()
        self._queued_bytes = queued_bytes
        # Each is changed by one thread only.
        self._taken_bytes = self._done_bytes = 0
        self._thread = threading.Thread(target=self._write, name="prediction-log", daemon=True)
        self._thread.start()

    def add(self, exchange: Exchange) -> None:
        """Take the line of a request that was answered; where too many wait already, count it instead."""
        if not exchange.predictions:
            return
        # Made here, in a few microseconds: the writing thread would hold up an answer for longer than that.
        content = line(exchange)
        if self._taken_bytes - self._done_bytes + len(content) > self._queued_bytes:
            self.dropped.inc(len(exchange.inputs))
            return
        self._taken_bytes += len(content)
        self._queue.put(_Line(content, len(exchange.inputs)))

    @property
    def metrics(self) -> Sequence[Collector]:
        return (self.dropped,)

    def close(self, seconds: float) -> None:
        """Write what waits, but do not wait for longer than this."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _write(self) -> None:
        while True:
            began = time.monotonic()
            found = self._waiting()
            busy = time.monotonic() - began < _BUSY_SECONDS
            lines = [each for each in found if each is not None]
            if lines:
                written = self._files.write([each.content for each in lines])
                self.dropped.inc(sum(each.rows for each in lines[written:]))
                self._done_bytes += sum(len(each.content) for each in lines)
            if len(lines) < len(found):
                return
            if busy:
                time.sleep(_PAUSE_SECONDS)

    def _waiting(self) -> list[_Line | None]:
        found = [self._queue.get()]
        with contextlib.suppress(Empty):
            while len(found) < _BATCH and found[-1] is not None:
                found.append(self._queue.get_nowait())
        return found


def line(exchange: Exchange) -> bytes:
    """One line of the log."""
    said = {
        "at": datetime.fromtimestamp(exchange.at, UTC).isoformat(timespec="milliseconds"),
        "request": exchange.request,
        "release": exchange.release,
        "inputs": exchange.inputs,
        "predictions": [prediction._asdict() for prediction in exchange.predictions],
    }
    return to_json(said) + b"\n"


class Files:
    """The files of one slot, `<number>-<slot>.jsonl`, in the folder of both; a higher number is newer.

    A file is not written to any more once another one has been begun, and so never is by another process.
    """

    def __init__(self, folder: Path, slot: str, most_bytes: int) -> None:
        self._folder = folder
        self._slot = slot
        self._most_bytes = most_bytes
        self._file_bytes = most_bytes // _PARTS
        self._descriptor: int | None = None
        self._size = 0
        self._trouble = ""

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines, each of them whole or not at all; how many, counted from the first, are written."""
        written = 0
        try:
            while written < len(lines):
                written += self._append(lines[written:])
        except OSError as error:
            self._say(f"predictions are not logged: {error}")
        else:
            self._say("")
        return written

    def _append(self, lines: Sequence[bytes]) -> int:
        """Write as many lines as there is room for in a file, but at least one; how many."""
        descriptor = self._open(len(lines[0]))
        fits, size = 0, self._size
        while fits < len(lines) and (not fits or size + len(lines[fits]) <= self._file_bytes):
            size += len(lines[fits])
            fits += 1
        content = memoryview(b"".join(lines[:fits]))
        try:
            while content:
                content = content[os.write(descriptor, content) :]
        except OSError:
            # What comes after a line that was cut short would be a part of it.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._size = size
        return fits

    def _open(self, room: int) -> int:
        """The descriptor of a file with room for a line, or of a new one."""
        if self._descriptor is not None and (
            (self._size and self._size + room > self._file_bytes) or not os.fstat(self._descriptor).st_nlink
        ):
            os.close(self._descriptor)
            self._descriptor = None
        if self._descriptor is None:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            newest = self._make_room()
            path = self._folder / f"{newest + 1:0{_DIGITS}d}-{self._slot}.jsonl"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            # Whatever the mask says: the group is of those who may read what was asked.
            os.fchmod(self._descriptor, 0o640)
            self._size = 0
        return self._descriptor

    def _make_room(self) -> int:
        """Remove the oldest files, so that another whole one does not exceed what they may have; the newest number."""
        found = sorted(self._folder.glob("[0-9]" * _DIGITS + "-*.jsonl"))
        sizes = {path: path.stat().st_size for path in found}
        # The other slot may write to its newest file yet.
        sizes |= {
            path: self._file_bytes for path in found if _slot(path) != self._slot and _is_newest(path, found)
        }
        for path in found:
            if sum(sizes.values()) + self._file_bytes <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            del sizes[path]
        return max((int(path.name.partition("-")[0]) for path in found), default=0)

    def _say(self, trouble: str) -> None:
        """Tell the service manager's log once what is wrong, and once that it no longer is."""
        if trouble != self._trouble:
            print(trouble or "predictions are logged again", file=sys.stderr, flush=True)  # noqa: T201
        self._trouble = trouble


def _slot(path: Path) -> str:
    return path.stem.partition("-")[2]


def _is_newest(path: Path, files: Sequence[Path]) -> bool:
    return path == [file for file in files if _slot(file) == _slot(path)][-1]
