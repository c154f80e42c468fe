"""What is to be rolled out: a release by its tag, or, on `local` only, the work tree as a candidate."""

from pathlib import Path
from typing import NamedTuple

from slipway.errors import InputError
from slipway.params import Params
from slipway.release import create, objects, pins
from slipway.release.git import Repository
from slipway.release.names import ReleaseName
from slipway.release.pins import Pin, Pins

_SHORT = 8


class Target(NamedTuple):
    """A release or a candidate, with the digests of all that it consists of."""

    label: str
    """`v1.2.0`, or `v1.2.0-candidate+<commit>.<bundle>.<runtime>`: SemVer orders it before that release."""
    pins: Pins
    release: ReleaseName | None
    """None for a candidate."""

    def file(self, repository: Repository, pin: Pin) -> Path:
        """The file that holds a pin's bytes, checked.

        Raises:
            Refused: They are not the bytes that git promises.
            MachineError: They cannot be had.
            InputError: The pipeline has not run.
        """
        if self.release is not None:
            return objects.obtain(repository.root, pin)
        file = repository.root / pin.path
        if not file.is_file():
            raise InputError(f"{pin.path} is missing", next_command="dvc repro")
        objects.check(file, pin, next_command="dvc repro")
        return file


def released(repository: Repository, name: ReleaseName) -> Target:
    """A release.

    Raises:
        InputError: There is no such release; the newest ones are named.
    """
    known = create.releases(repository, name.model)
    if name not in known:
        newest = ", ".join(each.label for each in list(known)[-3:]) or "none yet"
        raise InputError(
            f"there is no release {name.tag}; the newest are: {newest}", next_command="slipway release"
        )
    return Target(name.label, pins.at(repository, name.tag, name.model), name)


def candidate(repository: Repository, settings: Params) -> Target:
    """The work tree, named after the release that it would become."""
    found = pins.in_work_tree(repository, settings.model.name)
    version, _ = create.next_version(repository, settings.model.name, found)
    # With the runtime: a host keeps one folder a label, and other serving code around the same model is another.
    parts = (found.commit, str(found.bundle.sha256), str(found.runtime.sha256))
    build = ".".join(part[:_SHORT] for part in parts)
    return Target(f"v{version}-candidate+{build}", found, None)
