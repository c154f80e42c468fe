"""The command `slipway`, in the fixture repository and in this process."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.unit.workshop import Workshop

from slipway import cli


class Ended(NamedTuple):
    code: int
    out: str
    errors: str


Slipway = Callable[..., Ended]


@pytest.fixture
def slipway(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Slipway:
    """The command, in the fixture repository."""
    monkeypatch.chdir(workshop.root)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["slipway", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run
