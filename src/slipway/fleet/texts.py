"""Writes what a command tells into files, for other programs and for people."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.errors import MachineError


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts by file name into a folder, which is made: all of them whole, or none is touched.

    Half a character, which JSON of a stranger may hold and no file can, is written as its escape.

    Raises:
        MachineError: It cannot be written to.
    """
    contents = {name: text.encode(errors="backslashreplace") for name, text in texts.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=folder) as parts:
            for name, content in contents.items():
                Path(parts, name).write_bytes(content)
            for name in contents:
                Path(parts, name).replace(folder / name)
    except OSError as error:
        raise MachineError(f"{folder} cannot be written to: {error.strerror}") from error
