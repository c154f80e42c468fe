"""What is known of a release: its tag, its commit, its objects, and the release before it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from slipway.bundle import Bundle
from slipway.errors import InputError, SlipwayError
from slipway.params import Params
from slipway.release import chain, create, objects, target
from slipway.release.git import Repository, Tag
from slipway.release.names import ReleaseName
from slipway.release.pins import Pin, Pins
from slipway.report import side
from slipway.report.side import Side

BUNDLE, RUNTIME, MANIFEST = "bundle.tar", "runtime.tar", "manifest.json"
"""What the parts of a release are called where its users meet them, wherever a repository keeps them."""
PARAMETERS = "parameters"
"""Their name among what a release was made from."""


class Release(NamedTuple):
    """A release with all its bytes at hand."""

    name: ReleaseName
    tag: Tag
    pins: Pins
    settings: Params
    bundle: Bundle
    bundle_file: Path
    runtime_file: Path
    manifest: bytes
    """As git has it."""
    inputs: dict[str, str]
    """Sha256 of what it was made from, by name: files of the commit, the data, the parameters."""
    side: Side
    """What a comparison takes."""
    before: Side | None
    """The release before it; None where this is the first."""


@contextmanager
def opened(repository: Repository, name: ReleaseName) -> Iterator[Release]:
    """A release, for as long as its files are needed.

    Raises:
        InputError: There is no such release, or its parameters or its model cannot be read by this version of Slipway.
        MachineError: Its objects, or those of the release before, can neither be had here nor from the remote.
        Refused: Their bytes are not those that git promises, or the release does not count: what is written of it is
            signed, and handed on.
    """
    pins = target.released(repository, name).pins
    chain.check(repository, name)
    tag = create.releases(repository, name.model)[name]
    bundle_file, runtime_file = (_obtained(repository, name, pin) for pin in (pins.bundle, pins.runtime))
    with side.opened(repository, name.tag, name.label, name.model) as new:
        if new.model is None or new.settings is None:
            raise InputError(
                f"{name.tag}: {new.missing or 'its params.yaml is not as this version of Slipway reads it'}",
                next_command=f"git checkout {name.tag}, and the same command there",
            )
        with _before(repository, name) as old:
            yield Release(
                name, tag, pins, new.settings, new.model.bundle, bundle_file, runtime_file,
                _content(repository, name, pins.manifest), _inputs(repository, name, pins), new, old,
            )  # fmt: skip


@contextmanager
def _before(repository: Repository, name: ReleaseName) -> Iterator[Side | None]:
    """The highest version below that was there when this one was made: what is made later changes nothing here."""
    known = create.releases(repository, name.model)
    earlier = [each for each in known if each < name and known[each].at <= known[name].at]
    last = next((each for each in reversed(earlier) if not chain.is_forged(repository, each.tag)), None)
    if last is None:
        yield None
        return
    _obtained(repository, last, target.released(repository, last).pins.bundle)
    with side.opened(repository, last.tag, last.label, last.model) as old:
        yield old


def _obtained(repository: Repository, name: ReleaseName, pin: Pin) -> Path:
    try:
        return objects.obtain(repository.root, pin)
    except SlipwayError as error:
        error.args = (f"{name.tag}: {error.args[0]}",)
        raise


def _content(repository: Repository, name: ReleaseName, path: str) -> bytes:
    content = repository.content(name.tag, path)
    if content is None:
        raise InputError(f"{name.tag} has no {path}")
    return content


def _inputs(repository: Repository, name: ReleaseName, pins: Pins) -> dict[str, str]:
    files = {
        path: hashlib.sha256(_content(repository, name, path)).hexdigest() for path in ("dvc.lock", "uv.lock")
    }
    known = {"data": pins.data, PARAMETERS: pins.parameters}
    return files | {name: digest for name, digest in known.items() if digest}
