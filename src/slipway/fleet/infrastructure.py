"""The machines of an environment: made by Terraform, and written down as Ansible's inventory."""

import shlex
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from slipway.errors import MachineError
from slipway.fleet import terraform
from slipway.fleet.context import Context
from slipway.fleet.environment import STATE_FOLDER, Fleet, inventory
from slipway.fleet.terraform import Terraform


def provide(context: Context, action: str, known: Fleet | None) -> Fleet:
    """Apply Terraform; going back changes no machines, so it only reads what was put out.

    Args:
        context: The command.
        action: What it does, as `deploy`.
        known: The machines as they were when it began, where they have been asked for: going back does not ask again.

    Raises:
        MachineError: Terraform fails.
    """
    if known and action != "deploy":
        return known
    progress, terraform_root = context.progress, root(context)
    progress.begin("provision", "terraform")
    if action != "deploy":
        try:
            if terraform_root.applied:
                fleet = write_inventory(context, terraform_root.fleet())
                progress.end("as it is")
                return fleet
        except MachineError:
            if not (last := _remembered(context)):
                raise
            progress.end("as it was")
            return last
    terraform_root.init()
    if changes := terraform_root.plan():
        terraform_root.apply()
    progress.end("applied" if changes else "no changes")
    return write_inventory(context, terraform_root.fleet())


def known(context: Context, on_unread: Callable[[str], None] | None = None) -> Fleet | None:
    """What Terraform put out last, by machines that are not this one; None where nothing has been provisioned.

    Args:
        context: The command.
        on_unread: For those who only look, or go back: told why the state cannot be read, where these are the hosts
            that this machine has heard of last.

    Raises:
        MachineError: The state cannot be read.
    """
    terraform_root = root(context)
    context.environment.prepare()
    try:
        if not terraform_root.initialised:
            terraform_root.init()
        return write_inventory(context, terraform_root.fleet()) if terraform_root.applied else None
    except MachineError as error:
        if on_unread is None or not (last := _remembered(context)):
            raise
        read = datetime.fromtimestamp(_memory(context).stat().st_mtime, UTC)
        reason = " ".join(str(error.args[0]).split())
        on_unread(f"{reason}; the hosts are those of {read:%Y-%m-%d %H:%M} UTC")
        return last


def root(context: Context) -> Terraform:
    environment = context.environment
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    return Terraform(environment, binary.path)


def write_inventory(context: Context, fleet: Fleet) -> Fleet:
    """Tell Ansible of the machines; returns them."""
    environment = context.environment
    facts = {} if environment.is_here else {"ansible_ssh_common_args": shlex.join(environment.ssh_options)}
    (environment.folder / "inventory.yml").write_text(inventory(fleet, facts), encoding="utf-8")
    _memory(context).write_text(fleet.model_dump_json(), encoding="utf-8")
    return fleet


def _memory(context: Context) -> Path:
    """What Terraform put out when it was read last."""
    return context.environment.folder / "fleet.json"


def _remembered(context: Context) -> Fleet | None:
    with suppress(OSError, ValidationError):
        return Fleet.model_validate_json(_memory(context).read_bytes())
    return None
