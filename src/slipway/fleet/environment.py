"""An environment: its Terraform root, its folder on this machine, and the fleet that Terraform puts out."""

import getpass
import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.errors import InputError, MachineError
from slipway.release.git import Repository
from slipway.release.names import is_environment

STATE_FOLDER = ".slipway"
"""Git-ignored; holds everything that runs or is remembered on this machine."""

_SSH_OPTIONS = (
    "-oBatchMode=yes",
    "-oConnectTimeout=10",
    # Who says nothing for so long is lost: a connection that is kept would wait for a quarter of an hour.
    "-oServerAliveInterval=5",
    "-oServerAliveCountMax=3",
)


class Host(BaseModel):
    """One machine, as the outputs of Terraform describe it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    connection: str
    home: Path
    port: int
    ssh: str | None = None
    """What SSH is given, where that is not the address: as an instance's id, by which Session Manager knows it."""

    @property
    def reached_as(self) -> str:
        return self.ssh or self.address


class Fleet(BaseModel):
    """The output `fleet` of every Terraform root: the contract between Terraform and Ansible."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    service_manager: str
    hosts: dict[str, Host]


class Environment(NamedTuple):
    """Where an environment's parts lie."""

    name: str
    repository: Repository

    @classmethod
    def named(cls, name: str, repository: Repository) -> "Environment":
        """The environment of this name.

        Raises:
            InputError: There is none; those that there are, are named. Or no tag could name it.
        """
        roots = repository.root / "terraform" / "environments"
        known = sorted(path.name for path in roots.glob("*") if path.is_dir())
        if name not in known:
            raise InputError(
                f"unknown environment {name!r}; there is {', '.join(known)}",
                next_command=f"slipway status {known[0] if known else 'local'}",
            )
        if not is_environment(name):
            raise InputError(
                f"{roots / name}: an environment's name has a-z, 0-9 and -, begins with a letter and does not end with -",
                next_command=f"git mv terraform/environments/{name} terraform/environments/NAME",
            )
        return cls(name, repository)

    @property
    def is_here(self) -> bool:
        """Whether it is this machine: then no connection is needed, and the work tree can be rolled out."""
        return self.name == "local"

    @property
    def is_sealed(self) -> bool:
        """Whether tags must be signed by somebody who may, where the repository says who: here, all are a person's own."""
        return not self.is_here

    @property
    def cloud_inventory(self) -> Path | None:
        """What tells Ansible which machines the cloud has; None where the environment is in none."""
        file = self.repository.root / "ansible" / "inventory" / self.name / "aws_ec2.yml"
        return file if file.is_file() else None

    @property
    def folder(self) -> Path:
        return self.repository.root / STATE_FOLDER / self.name

    @property
    def terraform_root(self) -> Path:
        return self.repository.root / "terraform" / "environments" / self.name

    @property
    def ssh_options(self) -> list[str]:
        """How its hosts are reached: by this machine's own way, the environment's `ssh_config`, or else the person's."""
        files = [folder / "ssh_config" for folder in (self.folder, self.terraform_root)]
        file = next((file for file in files if file.is_file()), None)
        return [*(["-F", str(file)] if file else []), *_SSH_OPTIONS]

    def ssh(self, host: Host) -> list[str]:
        """The command line that runs a command on a host, as root, but for that command."""
        return ["ssh", *self.ssh_options, host.reached_as, "sudo", "--non-interactive"]

    def require_inventory(self) -> None:
        """Refuse an environment that has machines, but no way yet to roll out to them.

        Raises:
            InputError: There is no inventory.
        """
        folder = Path("ansible", "inventory", self.name)
        if not (self.repository.root / folder).is_dir():
            raise InputError(
                f"{self.name} takes no releases yet: it has a Terraform root, but no inventory ({folder})",
                next_command="terraform/README.md tells how to plan and apply its machines",
            )

    def prepare(self) -> None:
        """Make the environment's folder.

        Raises:
            MachineError: It cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / ".writable"
            probe.write_text(getpass.getuser())
            probe.unlink()
        except OSError as error:
            raise MachineError(f"{self.folder} cannot be written to: {error.strerror}") from error


def fleet_of(outputs: dict[str, Any]) -> Fleet:
    """Read Terraform's outputs.

    Raises:
        MachineError: They are not what an environment must put out.
    """
    try:
        return Fleet.model_validate(outputs["fleet"])
    except (KeyError, ValidationError) as error:
        raise MachineError(f"Terraform's outputs do not describe a fleet: {error}") from error


def inventory(fleet: Fleet, facts: dict[str, Any]) -> str:
    """The hosts as an Ansible inventory, JSON being YAML; `facts` are variables for all of them."""
    hosts = {
        name: {
            "ansible_connection": host.connection,
            "ansible_host": host.reached_as,
            "model_server_address": host.address,
            "model_server_home": str(host.home),
            "model_server_port": host.port,
            "model_server_service_manager": fleet.service_manager,
        }
        for name, host in fleet.hosts.items()
    }
    return json.dumps({"model_servers": {"hosts": hosts, "vars": facts}}, indent=2)
