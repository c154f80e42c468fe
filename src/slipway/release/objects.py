"""The bytes behind a pin, from DVC's cache or remote, never handed on without their digest checked."""

import hashlib
import tarfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from slipway.bundle import Bundle, sha256
from slipway.errors import Corrupt, InputError, Locked, MachineError, Refused
from slipway.release.pins import Pin
from slipway.release.redact import without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dvc.repo import Repo


_ABSENT = frozenset({"deleted", "not in cache"})
"""How DVC says that a file is not here, rather than another one."""


class SpoiltError(Refused):
    """Bytes of which git tells no sha256 are not those of DVC's address."""


def obtain(root: Path, pin: Pin) -> Path:
    """The file in DVC's cache that holds a pin's bytes, fetched from the remote where it is not there.

    Raises:
        MachineError: It is neither in the cache nor in the remote, or the remote does not answer.
        Refused: Its bytes are not those that git promises.
    """
    with _dvc(root) as repo:
        cached = Path(repo.cache.local.oid_to_path(pin.md5))
        if not cached.is_file():
            _fetch(repo, pin)
    check(cached, pin, next_command=f"rm -f {cached}, then the same command again")
    return cached


@contextmanager
def unpacked(file: Path) -> "Iterator[Bundle]":
    """The bundle in a tar, checked; for as long as it is needed, in a folder that is always called `bundle`.

    Raises:
        Refused: It is not whole, or is none.
    """
    with TemporaryDirectory() as place:
        folder = Path(place, "bundle")
        try:
            with tarfile.open(file) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise Refused(f"{file} is not a bundle: {error}") from error
        yield Bundle(folder)


def check(file: Path, pin: Pin, next_command: str) -> None:
    """Compare a file's bytes with what git promises: the manifest's sha256 or, where there is none, DVC's md5.

    Raises:
        Refused: They differ; Corrupt where the manifest tells.
    """
    what = f"{pin.path} ({file})"
    if pin.sha256 is not None:
        if (actual := sha256(file)) != pin.sha256:
            raise Corrupt(what, expected=pin.sha256, actual=actual, next_command=next_command)
    elif (actual := _md5(file)) != pin.md5:
        raise SpoiltError(
            f"{what} is corrupt: expected md5 {pin.md5}, found {actual}", next_command=next_command
        )


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def missing_from_remote(root: Path, pins: Iterable[Pin]) -> list[Pin]:
    """The pins whose objects are not in the default remote.

    Raises:
        MachineError: The remote does not answer.
    """
    from dvc_data.hashfile.hash_info import HashInfo  # noqa: PLC0415

    wanted = {HashInfo("md5", pin.md5): pin for pin in pins}
    with _dvc(root) as repo:
        try:
            found = repo.cloud.status(set(wanted))
        # Each kind of store has errors of its own, as botocore's.
        except Exception as error:
            raise MachineError(
                f"the DVC remote does not answer: {without_credentials(str(error))}"
            ) from error
    return [wanted[each] for each in wanted if each in found.missing | found.new]


class Stored(NamedTuple):
    """Where a remote in S3 keeps an object."""

    bucket: str
    key: str
    settings: dict[str, str]
    """Of the remote, as DVC knows them: `endpointurl`, `region`, `profile`, where they are set."""


def stored(root: Path, pin: Pin) -> Stored | None:
    """Where the default remote keeps a pin's object; None where that is not in S3."""
    with _dvc(root) as repo:
        remote = repo.cloud.get_remote()
        if remote.fs.protocol != "s3":
            return None
        bucket, _, key = repo.cloud.get_remote_odb().oid_to_path(pin.md5).partition("/")
        known = ("endpointurl", "region", "profile")
        return Stored(bucket, key, {name: remote.config[name] for name in known if remote.config.get(name)})


class Stale(NamedTuple):
    """What is not as `dvc.lock` says."""

    stages: dict[str, list[str]]
    """The paths, by stage."""
    is_absent: bool
    """Whether they only are not here: then they can be had, and need not be made."""


def changed_stages(root: Path) -> dict[str, list[str]]:
    """Stages whose outputs are not what `dvc.lock` says, or whose inputs have changed since, with the paths."""
    return stale(root).stages


def stale(root: Path) -> Stale:
    """As `changed_stages`; data that no stage reads, as what a report asks, are no stage's."""
    with _dvc(root) as repo:
        unread = _unread(repo)
        # DVC names a stage as seen from the working directory: `../dvc.yaml:train`.
        found = {
            stage.rpartition(":")[2]: _paths(changes)
            for stage, changes in repo.status().items()
            if stage not in unread
        }
    how = {each for paths in found.values() for each in paths.values()}
    return Stale({stage: sorted(paths) for stage, paths in found.items()}, how <= _ABSENT)


def _unread(repo: "Repo") -> set[str]:
    """The names of what `dvc add` keeps and no stage reads."""
    read = [Path(dep.fs_path) for stage in repo.index.stages for dep in stage.deps]
    return {
        stage.addressing
        for stage in repo.index.stages
        if stage.is_data_source and not any(_meets(Path(out.fs_path), read) for out in stage.outs)
    }


def _meets(path: Path, others: Iterable[Path]) -> bool:
    """Whether a path is one of the others, in one of them, or around one of them."""
    return any(path.is_relative_to(other) or other.is_relative_to(path) for other in others)


def _paths(changes: Iterable[object]) -> dict[str, str]:
    """How each path differs, in DVC's account of a stage: a list of `{"changed deps": {path: how}}` and the like."""
    paths: dict[str, str] = {}
    for change in changes:
        for kind, what in change.items() if isinstance(change, dict) else [(change, None)]:
            paths |= (
                {str(path): str(how) for path, how in what.items()}
                if isinstance(what, dict)
                else {str(kind): ""}
            )
    return paths


def _fetch(repo: "Repo", pin: Pin) -> None:
    from dvc_data.hashfile.hash_info import HashInfo  # noqa: PLC0415

    try:
        repo.cloud.pull({HashInfo("md5", pin.md5)})
    # As above: whatever the store says, it is the cause.
    except Exception as error:
        said = without_credentials(str(error))
        raise MachineError(f"{pin.path} cannot be fetched from the DVC remote: {said}") from error
    if not Path(repo.cache.local.oid_to_path(pin.md5)).is_file():
        raise MachineError(
            f"{pin.path} (md5 {pin.md5}) is neither in DVC's cache nor in its remote",
            next_command="dvc push, where the release was made",
        )


@contextmanager
def _dvc(root: Path) -> "Iterator[Repo]":
    from dvc.exceptions import DvcException  # noqa: PLC0415 - DVC takes a second to import
    from dvc.lock import LockError  # noqa: PLC0415
    from dvc.repo import Repo  # noqa: PLC0415

    try:
        with Repo(str(root)) as repo:
            yield repo
    except LockError as error:
        raise Locked(
            f"another DVC command is at it in {root}", next_command="wait, then the same command again"
        ) from error
    except DvcException as error:
        raise InputError(f"DVC: {error}", next_command="dvc status") from error
