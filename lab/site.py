"""All that a team has around Slipway, on one machine: AWS, its machines, an origin, a clone, a remote for DVC.

Terraform roots, inventories, playbooks and commands are those of production; nothing of them knows of the lab. What differs
is where the API of AWS is (`AWS_ENDPOINT_URL`), and how SSH comes to an instance (`.slipway/production/ssh_config`).
"""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab import lab as labs
from lab.aws import ACCOUNT, REGION, Aws
from lab.certificate import self_signed
from lab.cloud import BALANCER, Cloud
from lab.plan import Plan, Process
from lab.providers import configuration
from lab.shell import LabError, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.lab import Lab

ENVIRONMENT = "production"
CONTROLLER = IPv4Interface("10.30.0.1/16")
"""In production's own network: hosts take the addresses that Terraform gives."""
DOOR = IPv4Address("10.30.0.10")
STATES = f"slipway-state-{ACCOUNT}"
ARTEFACTS = f"slipway-{ENVIRONMENT}-artefacts-{ACCOUNT}"
_OVERRIDE = 'provider "aws" {\n  max_retries = 5\n}\n'
"""What the emulated API lacks must fail soon: by itself the provider tries for minutes."""


class Site(NamedTuple):
    """A team's repository and its environment `production`."""

    lab: Lab
    aws: Aws
    cloud: Cloud
    root: Path
    """The clone that commands run in."""
    variables: Mapping[str, str]
    """What is told to every command."""

    def begin(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the clone, as its user would."""
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def does(self, *command: str) -> str:
        """Run a command, which must succeed; what it said.

        Raises:
            LabError: It does not.
        """
        with self.begin(*command) as process:
            said = process.communicate()[0]
        if process.returncode:
            raise LabError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
        return said

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        foreign = ("AWS_", "GIT_", "DVC_", "MAKE", "MFLAGS", "TF_", "SLIPWAY_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "PATH": path, **self.variables}

    def provision(self) -> None:
        """Plan and apply the environment for the first time, as terraform/README.md tells."""
        root = f"-chdir=terraform/environments/{ENVIRONMENT}"
        self.does("terraform", root, "init", "-input=false", f"-backend-config=bucket={STATES}")
        self.does("terraform", root, "apply", "-input=false", "-auto-approve")


@contextlib.contextmanager
def opened(name: str, source: Path, cache: Path) -> Iterator[Site]:
    """A site around a clone of `source`, for as long as the context lasts.

    Args:
        name: Of the lab.
        source: The repository that is the origin's beginning.
        cache: DVC's cache, which may hold what the pipeline has made before.

    Raises:
        LabError: This machine cannot have it; nothing is left of it then.
    """
    with contextlib.ExitStack() as stack:
        lab = labs.up_as_planned(Plan(name, CONTROLLER, {}, Process.current()))
        stack.callback(labs.down, name)
        lab.add(BALANCER, DOOR).wait()
        aws = Aws.start(str(CONTROLLER.ip))
        stack.callback(aws.stop)
        folder = lab.plan.folder / "site"
        folder.mkdir()
        certificate, key = self_signed(str(DOOR))
        (folder / "trusted.pem").write_bytes(_trusted() + certificate)
        (folder / "door.pem").write_bytes(certificate + key)
        _what_an_account_has(aws, certificate, key)
        cloud = stack.enter_context(Cloud(lab, aws, folder / "door.pem"))
        root = _clone(folder, source, cache, cloud.ssh_config)
        variables = {
            **aws.environment,
            "SLIPWAY_STATE_BUCKET": STATES,
            "SSL_CERT_FILE": str(folder / "trusted.pem"),
            "TF_CLI_CONFIG_FILE": str(configuration(folder)),
            "TF_VAR_domain": str(DOOR),
            "TF_VAR_github_repository": "acme/models",
            "TF_VAR_ssh_public_key": (lab.plan.folder / "key.pub").read_text().strip(),
        }
        yield Site(lab, aws, cloud, root, variables)


def _what_an_account_has(aws: Aws, certificate: bytes, key: bytes) -> None:
    """Before Terraform comes: a bucket for its states, and a certificate for the domain."""
    place = {"LocationConstraint": REGION}
    aws.client("s3").create_bucket(Bucket=STATES, CreateBucketConfiguration=place)
    aws.client("acm").import_certificate(Certificate=certificate, PrivateKey=key)


def _trusted() -> bytes:
    """Whom this machine trusts already."""
    paths = ssl.get_default_verify_paths()
    named = os.environ.get("SSL_CERT_FILE") or paths.cafile or "/etc/ssl/certs/ca-certificates.crt"
    return Path(named).read_bytes() if Path(named).is_file() else b""


def _clone(folder: Path, source: Path, cache: Path, ssh_config: Path) -> Path:
    origin, root = folder / "origin.git", folder / "models"
    run("git", "clone", "--quiet", "--bare", "--no-tags", "--single-branch", str(source), str(origin))
    run("git", "clone", "--quiet", str(origin), str(root))
    for setting, value in {"user.name": "Ada", "user.email": "ada@example.org"}.items():
        run("git", "-C", str(root), "config", setting, value)
    (root / ".dvc" / "config.local").write_text(
        f"[cache]\n    dir = {cache}\n['remote \"local\"']\n    url = s3://{ARTEFACTS}\n"
    )
    override = Path("terraform", "environments", ENVIRONMENT, "provider_override.tf")
    (root / override).write_text(_OVERRIDE)
    with (root / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write(f"/.venv\n/{override}\n")
    state = root / ".slipway" / ENVIRONMENT
    state.mkdir(parents=True)
    (state / "ssh_config").symlink_to(ssh_config)
    (root / ".venv").symlink_to(Path(sys.executable).parents[1])
    return root
