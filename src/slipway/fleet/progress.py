"""One line a thing, as it happens: area, step, seconds, result."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from slipway.release.redact import without_controls


class Progress:
    """Lines on a terminal, with a spinner on what is under way; plain lines where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")
        self._open: tuple[str, str, float] | None = None

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show the spinner while something is under way."""
        with self._status:
            yield self

    def begin(self, area: str, step: str, doing: str = "") -> None:
        """Something begins; what was under way in another step has ended."""
        if self._open and self._open[:2] != (area, step):
            self.end()
        if not self._open:
            self._open = (area, step, time.monotonic())
        self._status.update(escape(without_controls(f"{area:<10} {doing or step}")))

    def end(self, result: str = "") -> None:
        """What was under way has ended."""
        if self._open:
            area, step, started = self._open
            self._open = None
            self.say(area, step, f"{time.monotonic() - started:5.1f} s  {result}".rstrip())

    def say(self, area: str, step: str, result: str) -> None:
        step, result = (escape(without_controls(words)) for words in (step, result))
        self._console.print(
            f"[bold]{escape(area):<10}[/] {step:<34} {result}",
            highlight=False,
            soft_wrap=True,
        )
