"""The machines of an environment: made by Terraform, and written down as Ansible's inventory."""

import shlex

from slipway.fleet import terraform
from slipway.fleet.context import Context
from slipway.fleet.environment import STATE_FOLDER, Fleet, inventory
from slipway.fleet.terraform import Terraform


def provide(context: Context, action: str) -> Fleet:
    """Apply Terraform; going back changes no machines, so it only reads what was put out.

    Raises:
        MachineError: Terraform fails.
    """
    progress, terraform_root = context.progress, root(context)
    progress.begin("provision", "terraform")
    if action == "deploy" or not terraform_root.applied:
        terraform_root.init()
        if changes := terraform_root.plan():
            terraform_root.apply()
        progress.end("applied" if changes else "no changes")
    fleet = write_inventory(context, terraform_root.fleet())
    progress.end("as it is")
    return fleet


def known(context: Context) -> Fleet | None:
    """What Terraform put out last, by machines that are not this one; None where nothing has been provisioned."""
    terraform_root = root(context)
    context.environment.prepare()
    if not terraform_root.initialised:
        terraform_root.init()
    return write_inventory(context, terraform_root.fleet()) if terraform_root.applied else None


def root(context: Context) -> Terraform:
    environment = context.environment
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    return Terraform(environment, binary.path)


def write_inventory(context: Context, fleet: Fleet) -> Fleet:
    """Tell Ansible of the machines; returns them."""
    environment = context.environment
    facts = {} if environment.is_here else {"ansible_ssh_common_args": shlex.join(environment.ssh_options)}
    (environment.folder / "inventory.yml").write_text(inventory(fleet, facts), encoding="utf-8")
    return fleet
