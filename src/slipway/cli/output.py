"""What commands print: lines, rows, tables and JSON on standard output, what went wrong on standard error."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape

from slipway.release.redact import without_controls


def say(text: str) -> None:
    """Print words, whoever wrote them: nothing in them is markup, and nothing is obeyed by a terminal."""
    stdout().print(without_controls(text), markup=False, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Likewise on standard error."""
    stderr().print(without_controls(text), markup=False, highlight=False, soft_wrap=True)


def print_rows(rows: dict[str, str]) -> None:
    for name, value in rows.items():
        words = escape(without_controls(value))
        stdout().print(f"[bold]{name:<15}[/]{words}", highlight=False, soft_wrap=True)


def print_table(heads: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as they need be: a terminal may wrap a line, but nothing is cut off."""
    rows = [[without_controls(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in [heads, *rows]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        style = "bold" if row is heads else None
        stdout().print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


def stdout() -> Console:
    return Console()


def stderr() -> Console:
    return Console(stderr=True)
