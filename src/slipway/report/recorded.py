"""Requests that callers really made, asked of two models: which of them are decided otherwise.

They are lines of the prediction log (docs/decisions/0014), as hosts write them and `slipway requests` fetches them.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from slipway.errors import InputError
from slipway.fleet.requests import OWN
from slipway.release import objects, pins
from slipway.release.pins import Pin


class Request(NamedTuple):
    """One row of a request."""

    id: str
    """The header `X-Request-Id` of its answer, and which row it was of several."""
    row: dict[str, Any]


def read(root: Path, files: Iterable[Path]) -> list[Request]:
    """The rows of recorded requests, in their order; of an id that comes again, the first.

    A line that is no record is skipped, as the last one of a file whose process was killed.

    Args:
        root: Of the repository.
        files: Which are there, or are pinned by a file `<name>.dvc` beside them, as `dvc add` makes it.

    Raises:
        InputError: A file cannot be read, or has no record.
        MachineError: A file is pinned, and cannot be fetched.
        Refused: What is fetched is not what is pinned.
    """
    found: dict[str, list[Request]] = {}
    for file in files:
        try:
            lines = _here(root, file).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise InputError(
                f"{file} cannot be read: {error.strerror}", next_command=f"slipway requests ENV --out {file}"
            ) from error
        records = [record for record in map(_record, lines) if record]
        if not records:
            raise InputError(
                f"{file} holds no recorded request", next_command=f"slipway requests ENV --out {file}"
            )
        for record in records:
            if not record[0].id.startswith(OWN):
                found.setdefault(record[0].id, record)
    return [request for record in found.values() for request in record]


def _here(root: Path, file: Path) -> Path:
    """The file itself, or else what DVC keeps of it."""
    pointer = file.with_name(f"{file.name}.dvc")
    if file.exists() or not pointer.is_file():
        return file
    try:
        (out,) = YAML(typ="safe", pure=True).load(pointer.read_text(encoding="utf-8"))["outs"]
        pin = Pin(file.name, str(file), pins.address(out["md5"]), None)
    except (YAMLError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{pointer} is no pointer of DVC's", next_command=f"dvc add {file}") from error
    return objects.obtain(root, pin)


def _record(line: str) -> list[Request]:
    """The rows of a line; none where it is no record."""
    try:
        told = json.loads(line)
        rows: Sequence[Any] = told["inputs"]
        name = str(told["request"])
        return [
            Request(name if len(rows) == 1 else f"{name}, row {number}", dict(row))
            for number, row in enumerate(rows, start=1)
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
