"""Back, as git says, and stopped: what is decided and declared without the pipeline."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.fleet.rollouts import declared, fails, on_host, ready, refusal, told
from tests.unit.machine import Host, Program, Terraform
from tests.unit.workshop import Workshop

from slipway.errors import InputError, MachineError, RolledBack
from slipway.fleet import rollout
from slipway.fleet.context import Context
from slipway.fleet.progress import Progress

__all__ = ["fails", "ready"]

CANDIDATE = "v1.3.0-candidate+c0ffee00.b29ebcfe.59d5cdb1"


# Back.


def test_before_a_second_release_there_is_nothing_to_go_back_to(
    ready: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    workshop.releases(1)
    on_host(host, workshop, "v1.0.0")
    error = refusal(lambda: rollout.roll_back(ready, None))
    assert isinstance(error, InputError)
    assert str(error) == (
        "there is nothing to roll local back to: nothing older was live there\n  next: slipway history local"
    )
    assert (declared(workshop), ansible.calls) == (["deploy v1.0.0"], [])


def test_a_rollback_goes_to_the_release_before_and_git_says_so(
    ready: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    workshop.releases(3)
    first, second, _ = on_host(host, workshop, "v1.0.0", "v1.1.0", "v1.2.0")
    outcome = rollout.roll_back(ready, None)
    assert outcome.record == second
    assert declared(workshop)[-1] == "rollback v1.1.0"
    assert told(ansible)["model_server_release"] == second.model_dump()
    assert told(ansible)["model_server_action"] == "rollback"
    host.make_live(second)
    host.log(("rollback", second))
    assert rollout.roll_back(ready, None).record == first
    assert declared(workshop)[-2:] == ["rollback v1.1.0", "rollback v1.0.0"]


@pytest.mark.parametrize("release", ["v1.0.0", "wear@v1.0.0"])
def test_a_rollback_goes_to_the_release_that_is_named(
    ready: Context, workshop: Workshop, host: Host, release: str
) -> None:
    workshop.releases(3)
    first, *_ = on_host(host, workshop, "v1.0.0", "v1.1.0", "v1.2.0")
    assert rollout.roll_back(ready, release).record == first


def test_a_rollback_needs_no_object_and_plans_no_machines(
    ready: Context, workshop: Workshop, host: Host, terraform: Terraform, ansible: Program
) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.0.0", "v1.1.0")
    for objects in (workshop.store, workshop.root / ".dvc" / "cache"):
        shutil.rmtree(objects)
    (ready.environment.folder / "terraform").mkdir()
    (ready.environment.folder / "terraform" / "terraform.tfstate").write_text("{}")
    rollout.roll_back(ready, None)
    assert terraform.verbs == ["output"]
    variables = told(ansible)
    assert set(variables) == {f"model_server_{what}" for what in ("release", "action", "by", "desired")}
    assert variables["model_server_desired"] == len(declared(workshop)) == 3


def test_a_rollback_to_a_release_that_left_the_host_fetches_it(
    ready: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    workshop.releases(3)
    on_host(host, workshop, "v1.1.0", "v1.2.0")
    rollout.roll_back(ready, "v1.0.0")
    assert told(ansible)["model_server_release"]["release"] == "v1.0.0"
    assert told(ansible)["model_server_bundle_url"].startswith("file:///")


def test_a_rollback_to_a_candidate_that_left_the_host_names_what_is_there(
    ready: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.0.0", "v1.1.0")
    error = refusal(lambda: rollout.roll_back(ready, CANDIDATE))
    assert isinstance(error, InputError)
    assert str(error) == (
        f"{CANDIDATE} is not on local, or not whole; there are: v1.0.0, v1.1.0\n  next: slipway status local"
    )
    assert ansible.calls == []


def test_a_rollback_to_a_candidate_is_not_written_to_git(
    ready: Context, workshop: Workshop, host: Host
) -> None:
    workshop.releases(1)
    candidate, _ = on_host(host, workshop, CANDIDATE, "v1.0.0")
    printed = io.StringIO()
    outcome = rollout.roll_back(ready._replace(progress=Progress(Console(file=printed))), None)
    assert outcome.record == candidate
    assert declared(workshop) == ["deploy v1.0.0"]
    assert "git still wants v1.0.0" in printed.getvalue()


def test_a_rollback_to_a_release_that_git_has_lost_changes_nothing(
    ready: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.1.0")
    host.install(host.record("v1.0.0"))
    workshop.git("tag", "--delete", "wear@v1.0.0")
    error = refusal(lambda: rollout.roll_back(ready, "v1.0.0"))
    assert isinstance(error, InputError)
    assert str(error) == "git has no release wear@v1.0.0\n  next: git fetch --tags"
    assert ansible.calls == []


# Where the origin cannot be told.


@pytest.fixture
def shared(ready: Context, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The same, had a team it in common: its origin takes what there is when this is called, and nothing after."""
    place = tmp_path / "origin.git"
    workshop.releases(3)
    workshop.git("clone", "--quiet", "--bare", str(workshop.root), str(place))
    workshop.git("remote", "add", "origin", str(place))
    hook = place / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no workflows permission >&2\nexit 1\n")
    hook.chmod(0o755)
    monkeypatch.setattr(Context, "is_shared", True)
    return ready


def test_a_rollback_that_the_origin_is_not_told_of_is_made_and_ends_with_an_error(
    shared: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    on_host(host, workshop, "v1.0.0", "v1.1.0")
    error = refusal(lambda: rollout.roll_back(shared, None))
    assert told(ansible)["model_server_release"]["release"] == "v1.0.0", "the hosts go back first"
    assert declared(workshop)[-1] == "rollback v1.0.0", "and this clone knows"
    assert isinstance(error, MachineError)
    assert error.exit_code == 1
    said, command = str(error).splitlines()
    assert said.startswith(
        "local serves v1.0.0 again, but the origin was not told: `git push --atomic` failed:"
    )
    assert (
        command == "  next: git push origin 'wear#local#3'; from another clone: slipway rollback local v1.0.0"
    )


def test_the_command_that_is_named_tells_the_origin_and_changes_nothing_else(
    shared: Context, workshop: Workshop, host: Host, tmp_path: Path
) -> None:
    first, _ = on_host(host, workshop, "v1.0.0", "v1.1.0")
    refusal(lambda: rollout.roll_back(shared, None))
    host.make_live(first)
    host.log(("rollback", first))
    (tmp_path / "origin.git" / "hooks" / "pre-receive").unlink()
    outcome = rollout.roll_back(shared, "v1.0.0")
    assert (outcome.record, outcome.changed) == (first, 0)
    assert "wear#local#3" in workshop.git("ls-remote", "--tags", "origin")
    assert declared(workshop) == ["deploy v1.0.0", "deploy v1.1.0", "rollback v1.0.0"]


def test_a_rollback_that_fails_says_that_and_not_what_the_origin_was_not_told(
    shared: Context, workshop: Workshop, host: Host, fails: Callable[[], None]
) -> None:
    on_host(host, workshop, "v1.0.0", "v1.1.0")
    fails()
    assert isinstance(refusal(lambda: rollout.roll_back(shared, None)), RolledBack)


# As git says.


def test_without_a_desired_state_there_is_nothing_to_reconcile(ready: Context, ansible: Program) -> None:
    error = refusal(lambda: rollout.reconcile(ready))
    assert isinstance(error, InputError)
    assert str(error) == (
        "git declares no desired state of local: there is no tag wear#local#N\n"
        "  next: slipway deploy local RELEASE"
    )
    assert ansible.calls == []


@pytest.mark.parametrize("message", ["Back", "Back\n\nAction: rollback"], ids=["deploy", "rollback"])
def test_a_tag_of_plain_git_is_reconciled(
    ready: Context, workshop: Workshop, host: Host, ansible: Program, fails: Callable[[], None], message: str
) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.1.0")
    workshop.git("tag", "--annotate", "--message", message, "wear#local#2", "wear@v1.0.0^{}")
    fails()
    refusal(lambda: rollout.reconcile(ready))
    assert told(ansible)["model_server_release"]["release"] == "v1.0.0"
    assert told(ansible)["model_server_action"] == ("rollback" if "Action" in message else "deploy")


def test_reconciling_declares_nothing(ready: Context, workshop: Workshop, host: Host) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.0.0", "v1.1.0")
    workshop.git("tag", "--annotate", "--message", "x\n\nAction: rollback", "wear#local#3", "wear@v1.0.0^{}")
    rollout.reconcile(ready)
    assert declared(workshop) == ["deploy v1.0.0", "deploy v1.1.0", "rollback v1.0.0"]


# Stop.


def test_what_never_ran_need_not_be_stopped(ready: Context, ansible: Program) -> None:
    rollout.stop(ready)
    assert ansible.calls == []


def test_stopping_runs_the_playbook_stop(ready: Context, ansible: Program) -> None:
    ready.environment.prepare()
    (ready.environment.folder / "inventory.yml").write_text("{}")
    rollout.stop(ready)
    assert [call[-1].rpartition("/")[2] for call in ansible.calls] == ["stop.yml"]
