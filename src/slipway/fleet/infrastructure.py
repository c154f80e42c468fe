"""The machines of an environment: made by Terraform, and written down as Ansible's inventory."""

from slipway.fleet import terraform
from slipway.fleet.context import Context
from slipway.fleet.environment import STATE_FOLDER, Fleet, inventory
from slipway.fleet.terraform import Terraform


def provide(context: Context, action: str) -> Fleet:
    """Apply Terraform; going back changes no machines, so it only reads what was put out.

    Raises:
        MachineError: Terraform fails.
    """
    progress = context.progress
    progress.begin("provision", "terraform")
    root = _root(context)
    if action == "deploy" or not root.applied:
        root.init()
        if changes := root.plan():
            root.apply()
        progress.end("applied" if changes else "no changes")
    fleet = _written(context, root)
    progress.end("as it is")
    return fleet


def read(context: Context) -> Fleet:
    """What Terraform put out last.

    Raises:
        MachineError: Nothing has been applied.
    """
    return _written(context, _root(context))


def _root(context: Context) -> Terraform:
    environment = context.environment
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    return Terraform(environment, binary.path)


def _written(context: Context, root: Terraform) -> Fleet:
    fleet = root.fleet()
    (context.environment.folder / "inventory.yml").write_text(inventory(fleet, {}), encoding="utf-8")
    return fleet
