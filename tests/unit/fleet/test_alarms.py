"""Who deploys is told of alarms that fire already; who goes back does not wait for that."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console
from tests.unit.fleet.rollouts import on_host, ready
from tests.unit.machine import Host, as_pinned
from tests.unit.workshop import Workshop

from slipway.errors import MachineError
from slipway.fleet import acceptance, alarms, rollout
from slipway.fleet.acceptance import Result
from slipway.fleet.context import Context
from slipway.fleet.progress import Progress

__all__ = ["ready"]


@pytest.fixture
def said(ready: Context, workshop: Workshop, host: Host) -> Callable[[str], list[str]]:
    """What a command says of alarms, where the second of two releases is live."""
    on_host(host, workshop, *(name.label for name in workshop.releases(2)))
    proven = Result("v1.1.0", as_pinned(workshop, "v1.1.0").bundle, 20, {}, {})
    acceptance.keep(proven, ready.environment.folder / "acceptance")

    def of(command: str) -> list[str]:
        told = io.StringIO()
        context = ready._replace(progress=Progress(Console(file=told, width=200)))
        rollout.deploy(context, "v1.1.0") if command == "deploy" else rollout.roll_back(context, None)
        return [" ".join(line.split()) for line in told.getvalue().splitlines() if line.startswith("alarm")]

    return of


def test_a_deploy_warns_and_goes_on(
    said: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "firing", lambda _: {"production-slow": "p99 is above 1 s"})
    assert said("deploy") == ["alarm production-slow fires already: p99 is above 1 s"]


def test_a_deploy_goes_on_where_nobody_can_say(
    said: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> dict[str, str]:
        raise MachineError("CloudWatch cannot be asked: no")

    monkeypatch.setattr(alarms, "firing", refuse)
    assert said("deploy") == ["alarm unknown CloudWatch cannot be asked: no"]


def test_going_back_asks_for_no_alarms(
    said: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "firing", lambda _: pytest.fail("asked"))
    assert said("rollback") == []
