"""Reads files of a folder that a stranger may have filled."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from slipway.errors import InputError

TEXT_BYTES = 1 << 20
"""A text that is longer was written by no command of ours."""


@contextmanager
def opened(folder: Path, name: str) -> Iterator[BufferedReader]:
    """A plain file of a folder, whatever else may have its name.

    Raises:
        InputError: It is missing, or a link, a folder or a device; or the folder is a link.
    """
    where = folder / name
    try:
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # Without O_NONBLOCK, a named pipe would be waited for.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise InputError(f"{where} cannot be read as a plain file: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{where} is not a plain file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def text(folder: Path, name: str) -> str:
    """A text of a folder, with lines that end in a line feed.

    Raises:
        InputError: As `opened`; or it is too long, or not UTF-8.
    """
    with opened(folder, name) as file:
        found = file.read(TEXT_BYTES + 1)
    if len(found) > TEXT_BYTES:
        raise InputError(f"{folder / name} has more than {TEXT_BYTES} bytes")
    try:
        return "\n".join(found.decode("utf-8").splitlines()) + "\n"
    except UnicodeDecodeError as error:
        raise InputError(f"{folder / name} is not UTF-8 from its byte {error.start}") from error
