"""What every command on an environment needs, and how a disk that fills up meanwhile is said."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

from slipway import params
from slipway.errors import InputError, MachineError
from slipway.fleet import lock
from slipway.fleet.environment import Environment
from slipway.fleet.progress import Progress
from slipway.params import Params
from slipway.release.git import Repository


def settings_or_older(repository: Repository) -> tuple[Params, str]:
    """The parameters of the work tree or, where these are broken, the newest that are not, and why.

    What looks at an environment, or goes back, needs no more of them than the model's name.

    Raises:
        InputError: Those of the commit and of the releases are broken, too.
    """
    file = repository.root / "params.yaml"
    try:
        return params.load(file), ""
    except InputError as error:
        tags = sorted(repository.tags("*@v*"), key=lambda tag: tag.at, reverse=True)
        for revision in ("HEAD", *(tag.name for tag in tags)):
            with suppress(InputError):
                text = repository.read(revision, file.name) or ""
                return params.parse(text, f"{revision}:{file.name}"), f"those of {revision} are used: {error}"
        raise


class Context(NamedTuple):
    """A command on an environment."""

    environment: Environment
    settings: Params
    progress: Progress
    now: Callable[[], datetime]
    command: str

    @property
    def model(self) -> str:
        return self.settings.model.name

    @property
    def is_shared(self) -> bool:
        """Whether a team has this environment in common, by way of git's origin."""
        return not self.environment.is_here and self.environment.repository.has_origin

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the environment on this machine; the descriptor of the lock, for programs that work on it.

        Raises:
            Locked: Another command of this machine is changing the environment.
        """
        self.environment.prepare()
        owner = lock.owner(self.command, getpass.getuser(), os.getpid(), self.now())
        try:
            with lock.held(self.environment.folder / "lock", owner) as held:
                yield held
        except OSError as error:
            raise MachineError(
                f"{error.filename or self.environment.folder}: {error.strerror or error}",
                next_command="slipway doctor",
            ) from error
