"""What commands print: lines, rows, tables and JSON on standard output, what went wrong on standard error."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape


def say(text: str) -> None:
    """Print words as they are, whoever wrote them: nothing in them is markup."""
    stdout().print(text, markup=False, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Likewise on standard error."""
    stderr().print(text, markup=False, highlight=False, soft_wrap=True)


def print_rows(rows: dict[str, str]) -> None:
    for name, value in rows.items():
        stdout().print(f"[bold]{name:<15}[/]{escape(value)}", highlight=False, soft_wrap=True)


def print_table(heads: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as they need be: a terminal may wrap a line, but nothing is cut off."""
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
