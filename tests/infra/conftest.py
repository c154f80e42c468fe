"""Terraform's tree in a copy, its AWS provider, and AWS on loopback; a host as the role `model_server` leaves it."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from lab.aws import REGION, Aws
from lab.providers import configuration, mirror
from tests.infra.role import ROLE, Home, Process, answering, loaded

from slipway.fleet import terraform

ROOT = Path(__file__).parents[2]
UNREACHABLE = ("failed to request discovery document", "could not connect to", "no such host", "timeout")


@pytest.fixture(scope="session")
def terraform_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return terraform.find(tmp_path_factory.mktemp("bin")).path


class Cli(NamedTuple):
    """Terraform as a person runs it, with a provider for AWS at hand."""

    binary: Path
    config: Path
    data: Path

    def run(self, root: Path, *arguments: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(self.config), "CHECKPOINT_DISABLE": "1"}
        data = data or self.data / "-".join(root.parts[-2:])
        return subprocess.run(
            [str(self.binary), *arguments],
            cwd=root,
            env={**environment, "TF_DATA_DIR": str(data)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def does(self, root: Path, *arguments: str, data: Path | None = None) -> str:
        """Run it; anything but success is a failure of the test."""
        done = self.run(root, *arguments, data=data)
        assert done.returncode == 0, (
            f"terraform {' '.join(arguments)} in {root}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout


@pytest.fixture(scope="session")
def cli(terraform_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Terraform whose provider for AWS lies on this machine, or can be downloaded.

    Only a registry that cannot be reached at all is a reason to skip, and it is told: anything else is a failure.
    """
    folder = tmp_path_factory.mktemp("terraform")
    made = Cli(terraform_binary, configuration(folder), folder / "data")
    module = folder / "module"
    shutil.copytree(ROOT / "terraform" / "modules" / "bucket", module)
    done = made.run(module, "init", "-backend=false", "-input=false", "-no-color")
    if done.returncode and mirror() is None and any(reason in done.stderr for reason in UNREACHABLE):
        pytest.skip(f"the AWS provider is not on this machine, and cannot be downloaded: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of terraform/, in which tests may leave files."""
    copy = tmp_path / "terraform"
    shutil.copytree(ROOT / "terraform", copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    return copy


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Aws]:
    server = Aws.start()
    yield server
    server.stop()


@pytest.fixture
def aws(aws_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """AWS on loopback, as everything that this test starts sees it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return aws_server


@pytest.fixture
def state_bucket(aws: Aws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A bucket for the states of one test, named as Slipway is told of it."""
    name = "states-" + re.sub("[^a-z]+", "-", request.node.name)[-50:].strip("-")
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", name)
    return name


@pytest.fixture(scope="session")
def account() -> ModuleType:
    """What the module shares with the controller."""
    return loaded("ansible.module_utils.model_server_host", ROLE / "module_utils" / "model_server_host.py")


@pytest.fixture(scope="session")
def slots(account: ModuleType) -> ModuleType:
    """What modules share that start, tell and end slots."""
    del account
    name = "model_server_supervisord"
    loaded(f"ansible.module_utils.{name}", ROLE / "module_utils" / f"{name}.py")
    return loaded("ansible.module_utils.model_server_slots", ROLE / "module_utils" / "model_server_slots.py")


@pytest.fixture(scope="session")
def facts(account: ModuleType) -> ModuleType:
    """The module that looks at a host."""
    del account
    return loaded("model_server_facts", ROLE / "library" / "model_server_facts.py")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A folder with nothing installed yet; the module changes the working directory, which is put back."""
    monkeypatch.chdir(tmp_path)
    made = Home(tmp_path / "home")
    made.make()
    return made


@pytest.fixture
def process() -> Iterator[Process]:
    with answering() as here:
        yield here


@pytest.fixture
def manager(home: Home) -> Iterator[None]:
    """Something that listens where supervisord does."""
    with pytest.MonkeyPatch.context() as patch, socket.socket(socket.AF_UNIX) as listening:
        patch.chdir(home.folder)
        listening.bind("run/supervisord.sock")
        listening.listen()
        yield


@pytest.fixture
def systemd(account: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of units of a host whose `systemctl` says that those are active whose file is there."""
    units, programs = tmp_path / "units", tmp_path / "programs"
    for folder in (units, programs):
        folder.mkdir()
    program = programs / "systemctl"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = is-active ] || exit 1\n[ -f "{units}/$2" ] && echo active || echo inactive\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(account, "UNITS", units)
    return units
