"""The errors that a person meets: their exit codes, and the next command."""

import re

import pytest

from slipway import errors
from slipway.errors import Corrupt, InputError, Locked, MachineError, Refused, RolledBack, SlipwayError


@pytest.mark.parametrize(
    ("kind", "code"),
    [(SlipwayError, 1), (InputError, 1), (MachineError, 1), (Refused, 3), (RolledBack, 4), (Locked, 5)],
)
def test_each_reaction_has_its_exit_code(kind: type[SlipwayError], code: int) -> None:
    assert code == kind("no").exit_code


def test_corrupt_bytes_are_a_refusal_that_shows_both_digests() -> None:
    error = Corrupt("model.onnx", expected="aa", actual="bb")

    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == "model.onnx is corrupt: expected sha256 aa, found bb"


def test_the_next_command_stands_on_a_line_of_its_own() -> None:
    error = InputError("the data is missing", next_command="dvc pull data")

    assert str(error) == "the data is missing\n  next: dvc pull data"


def test_without_a_next_command_the_message_stands_alone() -> None:
    assert str(Refused("no")) == "no"


def test_the_tree_in_the_docstring_names_every_error_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"(\w+) {2,}(\d)  ", errors.__doc__ or ""))
    raised = {
        name: str(kind.exit_code)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SlipwayError)
    }

    assert drawn == raised
