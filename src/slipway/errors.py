"""The errors that Slipway raises on purpose: one class per reaction of the person who meets it.

    SlipwayError            1    something is wrong; the message says what, where and what to do
    |-- InputError          1    change what you wrote or supplied (parameters, data, arguments)
    |-- MachineError        1    mend this machine (a missing tool, a full disk, a taken port)
    |-- Refused             3    a gate said no; nothing was changed
    |   `-- Corrupt         3    bytes are not what the manifest promises
    |-- RolledBack          4    a rollout failed; what served before is serving again
    `-- Locked              5    somebody else is at it; wait, or see who

Exit code 2 means "changes are pending" (`slipway plan`) and 130 "cancelled"; neither is an error.
"""


class SlipwayError(Exception):
    """An error with an exit code and, where there is one, the next command to type."""

    exit_code = 1

    def __init__(self, message: str, *, next_command: str | None = None) -> None:
        super().__init__(message)
        self.next_command = next_command

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  next: {self.next_command}" if self.next_command else message


class InputError(SlipwayError):
    """The parameters, the data or the arguments are wrong."""


class MachineError(SlipwayError):
    """This machine lacks something."""


class Refused(SlipwayError):  # noqa: N818 - an outcome, not a defect
    """A gate said no."""

    exit_code = 3


class Corrupt(Refused):
    """Bytes differ from what the manifest promises."""

    def __init__(self, what: str, *, expected: str, actual: str, next_command: str | None = None) -> None:
        super().__init__(
            f"{what} is corrupt: expected sha256 {expected}, found {actual}", next_command=next_command
        )


class RolledBack(SlipwayError):  # noqa: N818 - an outcome, not a defect
    """A rollout failed and was undone."""

    exit_code = 4


class Locked(SlipwayError):  # noqa: N818 - an outcome, not a defect
    """Another command holds the environment."""

    exit_code = 5
