"""What is decided, declared and refused; that hosts do as they are told is shown in tests/local."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.fleet.rollouts import FAILS, declared, fails, on_host, ready, refusal, told
from tests.unit.machine import PYTHON, Host, Program, Server, Terraform, as_pinned
from tests.unit.workshop import Workshop

from slipway.bundle import sha256
from slipway.errors import Corrupt, InputError, Locked, MachineError, Refused, RolledBack
from slipway.fleet import acceptance, lock, rollout
from slipway.fleet.acceptance import Result
from slipway.fleet.context import Context
from slipway.fleet.environment import Environment
from slipway.fleet.progress import Progress

__all__ = ["fails", "ready"]

# Who may, and what.


ACTS: dict[str, Callable[[Context], object]] = {
    "deploy": lambda context: rollout.deploy(context, "v1.0.0"),
    "deploy a candidate": lambda context: rollout.deploy(context, None),
    "roll back": lambda context: rollout.roll_back(context, None),
    "reconcile": rollout.reconcile,
    "stop": rollout.stop,
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_while_another_command_is_at_it_nothing_happens(
    ready: Context,
    workshop: Workshop,
    terraform: Terraform,
    ansible: Program,
    act: Callable[[Context], object],
) -> None:
    workshop.releases(1)
    environment = ready.environment
    environment.prepare()
    (environment.folder / "inventory.yml").write_text("{}")
    tags, owner = workshop.tags, {"by": "grace", "command": "slipway up", "since": "12:00", "pid": "7"}
    with lock.held(environment.folder / "lock", owner):
        error = refusal(lambda: act(ready))
    assert isinstance(error, Locked)
    assert str(error).startswith("grace is at it since 12:00: 'slipway up' (process 7)")
    assert (workshop.tags, terraform.calls, ansible.calls) == (tags, [], [])


def test_the_lock_says_who_does_what_since_when(ready: Context, ansible: Program) -> None:
    seen = ready.environment.folder / "seen"
    ansible.does(
        f"open({str(seen)!r}, 'w').write(open({str(ready.environment.folder / 'lock')!r}).read()); sys.exit(1)"
    )
    refusal(lambda: rollout.deploy(ready, None))
    owner = json.loads(seen.read_text())
    assert (owner["command"], owner["since"]) == ("slipway deploy local", "2026-06-01 12:00:00")


def test_only_local_takes_the_work_tree(ready: Context, workshop: Workshop, ansible: Program) -> None:
    staging = ready._replace(environment=Environment("staging", workshop.repository))
    error = refusal(lambda: rollout.deploy(staging, None))
    assert isinstance(error, InputError)
    assert str(error) == "staging takes releases only\n  next: slipway release"
    assert ansible.calls == []


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ("v7.0.0", "there is no release wear@v7.0.0; the newest are: v1.0.0, v1.1.0, v1.2.0"),
        ("tear@v1.0.0", "'tear@v1.0.0' is a release of tear, but this repository makes wear"),
        ("latest", "'latest' is not a release; expected v1.2.3 or wear@v1.2.3"),
    ],
)
@pytest.mark.parametrize("act", [rollout.deploy, rollout.roll_back])
def test_a_release_that_is_none_changes_nothing(
    ready: Context, workshop: Workshop, terraform: Terraform, ansible: Program,
    act: Callable[[Context, str], object], release: str, message: str,
) -> None:  # fmt: skip
    workshop.releases(3)
    error = refusal(lambda: act(ready, release))
    assert isinstance(error, InputError)
    assert str(error).splitlines()[0] == message
    assert (declared(workshop), terraform.calls, ansible.calls) == ([], [], [])


def test_a_corrupt_bundle_is_refused_before_anything_is_changed(
    ready: Context, workshop: Workshop, terraform: Terraform, ansible: Program
) -> None:
    workshop.releases(1)
    workshop.spoil(workshop.object(workshop.pins.bundle.md5))
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, Corrupt)
    assert (declared(workshop), terraform.calls, ansible.calls) == ([], [], [])


def test_an_object_that_is_nowhere_is_missed_before_anything_is_changed(
    ready: Context, workshop: Workshop, terraform: Terraform, ansible: Program
) -> None:
    workshop.releases(1)
    workshop.lose(workshop.pins.runtime.md5, cache=True, remote=True)
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, MachineError)
    assert (declared(workshop), terraform.calls, ansible.calls) == ([], [], [])


# Forward.


def test_a_deploy_declares_provisions_and_tells_the_host_where_the_bytes_are(
    ready: Context, workshop: Workshop, terraform: Terraform, ansible: Program, fails: Callable[[], None]
) -> None:
    workshop.releases(1)
    fails()
    refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    pinned = workshop.pins
    bundle, runtime = (workshop.object(pin.md5) for pin in (pinned.bundle, pinned.runtime))
    assert declared(workshop) == ["deploy v1.0.0"]
    assert terraform.verbs == ["init", "plan", "output"]
    assert ansible.calls[-1][-1].endswith("/ansible/playbooks/rollout.yml")
    variables = told(ansible)
    assert variables.pop("model_server_by")
    assert variables == {
        "model_server_release": {
            "model": "wear",
            "release": "v1.0.0",
            "commit": pinned.commit,
            "bundle": pinned.bundle.sha256,
            "runtime": pinned.runtime.sha256,
        },
        "model_server_action": "deploy",
        "model_server_desired": 1,
        "model_server_bundle_url": bundle.as_uri(),
        "model_server_runtime_url": runtime.as_uri(),
        "model_server_free_bytes_minimum": 8 * (bundle.stat().st_size + runtime.stat().st_size),
    }


def test_machines_that_differ_are_changed_before_the_rollout(
    ready: Context, workshop: Workshop, server: Server, terraform: Terraform, fails: Callable[[], None]
) -> None:
    workshop.releases(1)
    terraform.works(server.url, ready.environment.folder, changes=True)
    fails()
    refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert terraform.verbs == ["init", "plan", "apply", "output"]


def test_the_host_is_in_the_inventory(
    ready: Context, workshop: Workshop, ansible: Program, fails: Callable[[], None]
) -> None:
    workshop.releases(1)
    fails()
    refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    inventory = ready.environment.folder / "inventory.yml"
    assert f"--inventory={inventory}" in ansible.calls[-1]
    assert list(json.loads(inventory.read_text())["model_servers"]["hosts"]) == ["local-1"]


def test_where_terraform_fails_no_host_is_touched(
    ready: Context, workshop: Workshop, terraform: Terraform, ansible: Program
) -> None:
    workshop.releases(1)
    terraform.does(
        "if arguments[0] == 'version': print(json.dumps({'terraform_version': '1.11.4'}))\n"
        "else: sys.exit('Error: no such region')"
    )
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, MachineError)
    assert "Error: no such region" in str(error)
    assert ansible.calls == []


def test_a_first_rollout_that_fails_says_that_nothing_serves(
    ready: Context, workshop: Workshop, fails: Callable[[], None]
) -> None:
    workshop.releases(1)
    fails()
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, RolledBack)
    assert error.exit_code == 4
    assert str(error) == (
        "v1.0.0 was not rolled out; nothing served before, and nothing does\n"
        "  local-1: Wait until the slot is ready: the service said: no such file\n"
        "  next: slipway status local"
    )


def test_a_rollout_that_fails_leaves_git_with_what_serves(
    ready: Context, workshop: Workshop, host: Host, server: Server, fails: Callable[[], None]
) -> None:
    workshop.releases(2)
    (old,) = on_host(host, workshop, "v1.0.0")
    server.answers({"/metadata": old.model_dump()})
    fails()
    error = refusal(lambda: rollout.deploy(ready, "v1.1.0"))
    assert isinstance(error, RolledBack)
    assert str(error) == (
        "v1.1.0 was not rolled out; v1.0.0 is still serving\n"
        "  local-1: Wait until the slot is ready: the service said: no such file\n"
        "  next: slipway status local"
    )
    assert declared(workshop) == ["deploy v1.0.0", "deploy v1.1.0", "abort v1.0.0"]


def test_that_git_cannot_be_told_of_what_serves_does_not_hide_how_a_rollout_failed(
    ready: Context, workshop: Workshop, host: Host, server: Server, ansible: Program
) -> None:
    workshop.releases(2)
    (old,) = on_host(host, workshop, "v1.0.0")
    server.answers({"/metadata": old.model_dump()})
    lose = ["git", "-C", str(workshop.root), "tag", "--delete", "wear@v1.0.0"]
    ansible.does(
        f"import subprocess; subprocess.run({lose!r}, stdout=subprocess.DEVNULL, check=True)\n"
        f"print({json.dumps(FAILS)!r}); sys.exit(2)"
    )
    printed = io.StringIO()
    context = ready._replace(progress=Progress(Console(file=printed, width=200)))
    error = refusal(lambda: rollout.deploy(context, "v1.1.0"))
    assert isinstance(error, RolledBack)
    assert str(error).startswith("v1.1.0 was not rolled out; v1.0.0 is still serving\n")
    assert "not written down: git has no release wear@v1.0.0" in printed.getvalue()
    assert workshop.tags == ["wear#local#1", "wear#local#2", "wear@v1.1.0"]


def test_a_candidate_that_fails_leaves_no_word_in_git(
    ready: Context, workshop: Workshop, fails: Callable[[], None]
) -> None:
    fails()
    error = refusal(lambda: rollout.deploy(ready, None))
    assert isinstance(error, RolledBack)
    assert workshop.tags == []


def test_a_release_that_is_on_the_host_is_not_fetched(
    ready: Context, workshop: Workshop, host: Host, ansible: Program, fails: Callable[[], None]
) -> None:
    workshop.releases(1)
    host.install(as_pinned(workshop, "v1.0.0"))
    workshop.lose(workshop.pins.runtime.md5, cache=True, remote=True)
    fails()
    refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert "model_server_runtime_url" not in told(ansible)


def test_a_release_that_was_live_but_does_not_answer_is_not_said_to_serve(
    ready: Context, workshop: Workshop, host: Host, server: Server, fails: Callable[[], None]
) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.0.0")
    fails()
    error = refusal(lambda: rollout.deploy(ready, "v1.1.0"))
    assert isinstance(error, RolledBack)
    said = f"v1.1.0 was not rolled out; v1.0.0 was live before, but does not answer on {server.url}"
    assert str(error).splitlines()[0] == said


def test_a_release_that_answers_although_its_rollout_failed_is_said_to_be_live(
    ready: Context, workshop: Workshop, host: Host, server: Server, fails: Callable[[], None]
) -> None:
    workshop.releases(2)
    on_host(host, workshop, "v1.0.0")
    server.answers({"/metadata": {"release": "v1.1.0"}})
    fails()
    error = refusal(lambda: rollout.deploy(ready, "v1.1.0"))
    assert isinstance(error, MachineError)
    assert str(error).splitlines()[0] == "v1.1.0 is live, but its roll-out did not come to its end"
    assert declared(workshop) == ["deploy v1.0.0", "deploy v1.1.0"]


def test_without_ansible_the_doctor_is_recommended(
    ready: Context, workshop: Workshop, ansible: Program
) -> None:
    workshop.releases(1)
    ansible.path.unlink()
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, MachineError)
    assert str(error) == f"{ansible.path}: No such file or directory\n  next: slipway doctor"


# Proven.


def playbooks(ansible: Program) -> list[str]:
    return [call[-1].rpartition("/")[2] for call in ansible.calls]


def test_a_release_that_was_proven_is_not_proven_again(
    ready: Context, workshop: Workshop, server: Server
) -> None:
    workshop.releases(1)
    record = as_pinned(workshop, "v1.0.0")
    result = Result("v1.0.0", record.bundle, 20, {"recall": 1.0}, {"recall": 0.95})
    acceptance.keep(result, ready.environment.folder / "acceptance")
    outcome = rollout.deploy(ready, "v1.0.0")
    assert outcome == (record, server.url, 0, result)
    assert [path for path, _ in server.asked if path == "/predict"] == []


def test_a_first_release_that_cannot_be_proven_is_stopped(
    ready: Context, workshop: Workshop, ansible: Program
) -> None:
    workshop.releases(1)
    workshop.lose(workshop.pins.acceptance.md5, cache=True, remote=True)
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, Refused)
    assert str(error).startswith("v1.0.0 failed its acceptance test and was stopped: data/acceptance.parquet")
    assert playbooks(ansible) == ["rollout.yml", "stop.yml"]


def test_a_release_that_cannot_be_proven_is_taken_back(
    ready: Context, workshop: Workshop, host: Host, server: Server, ansible: Program
) -> None:
    workshop.releases(2)
    (old,) = on_host(host, workshop, "v1.0.0")
    server.answers({"/metadata": old.model_dump()})
    workshop.lose(workshop.pins.acceptance.md5, cache=True, remote=True)
    error = refusal(lambda: rollout.deploy(ready, "v1.1.0"))
    assert isinstance(error, RolledBack)
    assert str(error).startswith(
        "v1.1.0 was live, but not proven, and was taken back; v1.0.0 is still serving\n  data/acceptance.parquet"
    )
    assert playbooks(ansible) == ["rollout.yml", "rollout.yml"]
    assert told(ansible)["model_server_release"] == old.model_dump()
    assert told(ansible)["model_server_action"] == "abort"
    assert declared(workshop) == ["deploy v1.0.0", "deploy v1.1.0", "abort v1.0.0"]


def test_a_model_that_is_not_the_one_that_serves_is_refused(
    ready: Context, workshop: Workshop, host: Host, ansible: Program
) -> None:
    workshop.releases(1)
    host.make_live(host.record("v1.0.0").model_copy(update={"model": "tear"}))
    error = refusal(lambda: rollout.deploy(ready, "v1.0.0"))
    assert isinstance(error, InputError)
    assert str(error).startswith("local serves tear, and an environment serves one model only")
    assert (declared(workshop), ansible.calls) == ([], [])


# From the pipeline.


@pytest.fixture
def up(ready: Context, ansible: Program) -> Callable[[], object]:
    """`slipway up`, with the real DVC."""
    for tool in ("dvc", "python"):
        (ansible.path.parent / tool).symlink_to(Path(PYTHON).parent / tool)
    return lambda: rollout.up(ready, lambda _: None)


def test_up_rolls_out_what_the_pipeline_has_made(
    up: Callable[[], object], workshop: Workshop, ansible: Program, fails: Callable[[], None]
) -> None:
    workshop.write({"source/serving.txt": "serving 9\n"})
    fails()
    refusal(up)
    runtime = sha256(workshop.root / "artifacts/runtime.tar")
    assert (workshop.root / "artifacts/runtime.tar").read_text() == "runtime of serving 9\n"
    assert told(ansible)["model_server_release"]["runtime"] == runtime
    assert told(ansible)["model_server_release"]["release"].endswith(f".{runtime[:8]}")
    assert workshop.tags == []


def test_up_rolls_nothing_out_where_a_gate_refuses(
    up: Callable[[], object], workshop: Workshop, terraform: Terraform, ansible: Program
) -> None:
    workshop.write({"make.py": "import sys; print('recall is too low'); sys.exit(3)"})
    error = refusal(up)
    assert isinstance(error, Refused)
    assert str(error) == "stage package: recall is too low"
    assert (terraform.calls, ansible.calls) == ([], [])
