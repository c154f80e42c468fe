"""Writes what a command tells into files, for other programs and for people."""

from collections.abc import Mapping
from pathlib import Path

from slipway.errors import MachineError


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts by file name into a folder, which is made.

    Raises:
        MachineError: It cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{folder} cannot be written to: {error.strerror}") from error
