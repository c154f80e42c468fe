"""Which failures put a release into quarantine, and that nothing rolls out what is there."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.unit.fleet.rollouts import declared, on_host, ready, refusal
from tests.unit.machine import Host, Program, Server
from tests.unit.workshop import NOW, Workshop

from slipway.errors import Corrupt, MachineError, Refused, RolledBack, SlipwayError
from slipway.fleet import report, rollout
from slipway.fleet.blame import OWN_STEPS, own_fault
from slipway.fleet.change import UnfinishedError
from slipway.fleet.context import Context
from slipway.fleet.playbook import TaskFailed
from slipway.release import quarantine
from slipway.release.names import ReleaseName
from slipway.release.objects import SpoiltError

__all__ = ["ready"]

ROLE = Path(__file__).parents[3] / "ansible/roles/model_server"
START, GOLDEN = OWN_STEPS
NEVER_READY = f"{START}: it is not ready after 20 s: still loading"
BAD = ReleaseName.parse("v1.1.0", "wear")


def after(cause: BaseException | None, cls: type[SlipwayError] = RolledBack) -> SlipwayError:
    """The error that ends a roll-out, because of another one."""
    error = cls("v1.1.0 was not rolled out")
    error.__cause__ = cause
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("step", OWN_STEPS)
def test_the_role_has_the_steps_that_run_a_release(step: str) -> None:
    assert f'= "{step}"' in (ROLE / "module_utils" / "model_server_slots.py").read_text()


@pytest.mark.parametrize(
    "cause",
    [
        TaskFailed("model-1", NEVER_READY, "restore"),
        TaskFailed(
            "model-1", f"{START}: it ended before it was ready: blue fails its golden rows", "restore"
        ),
        TaskFailed("model-1", f"{GOLDEN}: blue: blue fails its golden rows: row 0", "restore"),
        Refused("live recall is 0.2000, validation's 0.9500: a drop of more than 0.15"),
        caused(Refused("the live endpoint does not answer"), httpx.ReadError("reset")),
    ],
    ids=str,
)
def test_what_a_release_does_wrong_is_its_own_fault(cause: Exception) -> None:
    assert own_fault(after(cause), "model-1") == str(cause)


@pytest.mark.parametrize(
    "cause",
    [
        None,
        TaskFailed("model-2", NEVER_READY, "restore"),
        TaskFailed("model-1", "Observe the host: Connection timed out", "preflight", unreachable=True),
        TaskFailed("model-1", f"{START}: Connection reset", "", unreachable=True),
        TaskFailed("model-1", "Unpack the bundle: tar: No space left on device", "restore"),
        TaskFailed("model-1", f"{START}: it ended before it was ready: No space left on device", "restore"),
        TaskFailed("model-1", "Fetch the bundle: the checksum did not match", "restore"),
        TaskFailed("ansible", "ERROR! no inventory"),
        Corrupt("bundle.tar", expected="a", actual="b"),
        SpoiltError("acceptance.parquet is corrupt"),
        SlipwayError("the bake does not let it go on: inconclusive"),
        MachineError("data/acceptance.parquet is neither in DVC's cache nor in its remote"),
        caused(Refused("the live endpoint does not answer"), httpx.ConnectError("refused")),
    ],
    ids=str,
)
def test_what_hosts_and_stores_do_is_not_its_fault(cause: Exception | None) -> None:
    assert own_fault(after(cause), "model-1") == ""


def test_a_release_that_is_live_after_all_is_not_blamed() -> None:
    assert own_fault(after(Refused("recall"), UnfinishedError), "model-1") == ""


# What becomes of it.


@pytest.fixture
def failing(ready: Context, workshop: Workshop, host: Host, server: Server, ansible: Program) -> Context:
    """v1.2.0 and v1.0.0 were live, v1.0.0 is; a release that starts is never ready."""
    workshop.releases(3)
    on_host(host, workshop, "v1.2.0", "v1.0.0")
    server.answers({"/metadata": host.record("v1.0.0").model_dump()})
    fails(ansible, NEVER_READY)
    return ready


def fails(ansible: Program, message: str) -> None:
    event = {
        "_event": "v2_runner_on_failed",
        "hosts": {"local-1": {"msg": message}},
        "task": {"name": "model_server : Say what failed", "path": "/tasks/restore.yml:30"},
    }
    ansible.does(f"print({json.dumps(event)!r}); sys.exit(2)")


def test_a_release_that_is_never_ready_is_put_into_quarantine_and_not_tried_again(
    failing: Context, workshop: Workshop, ansible: Program
) -> None:
    assert isinstance(refusal(lambda: rollout.deploy(failing, "v1.1.0")), RolledBack)
    found = quarantine.current(workshop.repository, "wear")["v1.1.0"]
    assert found.reason == f"local-1: {NEVER_READY}"
    assert declared(workshop)[-2:] == ["deploy v1.1.0", "abort v1.0.0"]
    before = (len(ansible.calls), workshop.tags)
    error = refusal(lambda: rollout.deploy(failing, "v1.1.0"))
    assert (error.exit_code, str(error).partition("\n")[0]) == (3, str(found))
    assert "next: slipway release --unquarantine v1.1.0" in str(error)
    assert before == (len(ansible.calls), workshop.tags)


def test_a_full_disk_puts_nothing_into_quarantine(
    failing: Context, workshop: Workshop, ansible: Program
) -> None:
    fails(ansible, "Unpack the runtime: No space left on device")
    assert isinstance(refusal(lambda: rollout.deploy(failing, "v1.1.0")), RolledBack)
    assert quarantine.current(workshop.repository, "wear") == {}


@pytest.fixture
def barred(failing: Context, workshop: Workshop, ansible: Program) -> Context:
    """v1.1.0 is in quarantine; roll-outs go well."""
    quarantine.declare(workshop.repository, BAD, "staging", "model-1: it is never ready", NOW)
    ansible.does("")
    return failing


ACTS: dict[str, Callable[[Context], object]] = {
    "deploy": lambda context: rollout.deploy(context, "v1.1.0"),
    "rollback": lambda context: rollout.roll_back(context, "v1.1.0"),
    "reconcile": rollout.reconcile,
    "plan": lambda context: report.plan(context, "v1.1.0"),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_nothing_rolls_out_what_is_in_quarantine(
    barred: Context, workshop: Workshop, ansible: Program, act: Callable[[Context], object]
) -> None:
    from slipway.release import desired  # noqa: PLC0415

    desired.declare(workshop.repository, "local", BAD, "deploy", NOW)
    before = workshop.tags
    error = refusal(lambda: act(barred))
    assert error.exit_code == 3
    assert "v1.1.0 is in quarantine since 2026-06-01" in str(error)
    assert (workshop.tags, ansible.calls) == (before, [])


def test_once_it_is_lifted_it_is_planned_again(barred: Context, workshop: Workshop) -> None:
    quarantine.lift(workshop.repository, BAD, NOW)
    assert report.plan(barred, "v1.1.0").swap


def test_going_back_from_it_is_allowed_and_going_back_leads_past_it(
    barred: Context, workshop: Workshop, host: Host
) -> None:
    first, _, third = on_host(host, workshop, "v1.0.0", "v1.1.0", "v1.2.0")
    assert rollout.roll_back(barred, None).record == first
    host.make_live(third)
    on_host(host, workshop, "v1.1.0")
    assert rollout.roll_back(barred, None).record == third


def test_status_names_it_and_complains_only_where_it_is_live(
    barred: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    (barred.environment.folder / "inventory.yml").write_text("{}")
    found = report.status(barred)
    assert [each.partition(" since")[0] for each in found.quarantine] == ["v1.1.0 is in quarantine"]
    assert found.problems == []
    (bad,) = on_host(host, workshop, "v1.1.0")
    server.answers({"/metadata": bad.model_dump()})
    assert report.status(barred).problems == ["v1.1.0 is in quarantine: slipway rollback leads away from it"]
