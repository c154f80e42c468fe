"""Terraform's tree in a copy, its AWS provider, and AWS on loopback."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from slipway.fleet import terraform

ROOT = Path(__file__).parents[2]
MIRROR = "registry.terraform.io"
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


def configuration(folder: Path) -> Path:
    """Terraform's settings: those that are named in the environment, or ones that take or download providers."""
    named = Path(os.environ.get("TF_CLI_CONFIG_FILE") or folder / "cli.tfrc")
    if named.is_file():
        return named
    (folder / "cache").mkdir()
    file = folder / "cli.tfrc"
    file.write_text(installation(mirror(), folder / "cache"))
    return file


def mirror() -> Path | None:
    """A folder of unpacked providers: one that is named in the environment, or where such are kept by custom."""
    named = os.environ.get("TF_PLUGIN_CACHE_DIR")
    places = [
        *([Path(named)] if named else []),
        Path.home() / ".terraform.d" / "plugins",
        Path("/usr/local/share/terraform/plugins"),
        *sorted(Path("/opt").glob("*")),
    ]
    found = (place for place in places if list(place.glob(f"{MIRROR}/hashicorp/aws/5.*")))
    return next(found, None)


def installation(place: Path | None, cache: Path) -> str:
    """The settings that take providers from a folder, or download each only once."""
    if place is None:
        return f'plugin_cache_dir = "{cache}"\nplugin_cache_may_break_dependency_lock_file = true\n'
    return f'provider_installation {{\n  filesystem_mirror {{\n    path = "{place}"\n  }}\n}}\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of terraform/, in which tests may leave files."""
    copy = tmp_path / "terraform"
    shutil.copytree(ROOT / "terraform", copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    return copy


class Aws:
    """AWS on loopback: see aws_server.py."""

    region = "eu-central-1"
    environment = (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("NO_PROXY", "127.0.0.1"),
        ("no_proxy", "127.0.0.1"),
    )

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._heard()

    def _heard(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def down(self, bucket: str) -> None:
        """Let a bucket answer nothing but 503."""
        self._tell(f"down {bucket}")

    def up(self, bucket: str) -> None:
        self._tell(f"up {bucket}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._heard() == line

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - of nobody
        )


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Aws]:
    server = Path(__file__).with_name("aws_server.py")
    process = subprocess.Popen(
        [sys.executable, str(server)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        yield Aws(process)
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=30)


@pytest.fixture
def aws(aws_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """AWS on loopback, as everything that this test starts sees it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws_server.environment:
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.url)
    return aws_server


@pytest.fixture
def state_bucket(aws: Aws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A bucket for the states of one test, named as Slipway is told of it."""
    name = "states-" + re.sub("[^a-z]+", "-", request.node.name)[-50:].strip("-")
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.region})
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", name)
    return name
