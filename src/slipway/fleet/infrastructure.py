"""The machines of an environment: made by Terraform, and written down as Ansible's inventory."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from slipway.errors import MachineError, Refused
from slipway.fleet import cost, infra_summary, terraform
from slipway.fleet.context import Context
from slipway.fleet.environment import STATE_FOLDER, Fleet, inventory
from slipway.fleet.infra_shown import danger
from slipway.fleet.infra_summary import Summary
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
        _settle(context, terraform_root)
    progress.end("applied" if changes else "no changes")
    return write_inventory(context, terraform_root.fleet())


def planned(context: Context) -> Summary:
    """What an apply would change, without a value.

    Raises:
        MachineError: Terraform fails.
        Locked: Somebody else is at it.
    """
    with _plan_of(context) as (_, _, found):
        return found


def apply(context: Context, on_plan: Callable[[Summary], None], *, allow_destroy: bool) -> Summary:
    """Plan, and apply that very plan; no release is touched.

    Args:
        context: The command.
        on_plan: Told what will be done, before it is.
        allow_destroy: Whether it may take away or replace what something depends on.

    Raises:
        Refused: It would, and may not.
        MachineError: Terraform fails.
        Locked: Somebody else is at it, or was faster.
    """
    name = context.environment.name
    with context.locked(), _plan_of(context) as (terraform_root, plan, found):
        on_plan(found)
        if found.dangerous and not allow_destroy:
            losses = "\n".join(f"  {each.address}: {danger(each)}" for each in found.dangerous)
            raise Refused(
                f"nothing has been applied to {name}, as that would take away what something depends on:\n{losses}",
                next_command=f"slipway infra apply {name} --allow-destroy, where that is meant",
            )
        if found.pending:
            context.progress.begin("terraform", "apply")
            terraform_root.apply(plan)
            _settle(context, terraform_root)
            context.progress.end("applied")
            write_inventory(context, terraform_root.fleet())
        return found


def drift(context: Context) -> Summary:
    """How what is there differs from the state, whatever the code says meanwhile; without a value.

    Raises:
        MachineError: Terraform fails.
        Locked: Somebody else is at it.
    """
    with _prepared(context) as (terraform_root, plan):
        context.progress.begin("terraform", "look")
        terraform_root.look(plan)
        found = infra_summary.summary(context.environment.name, terraform_root.show(plan))
        context.progress.end()
        return found


@contextmanager
def _plan_of(context: Context) -> Iterator[tuple[Terraform, Path, Summary]]:
    with _prepared(context) as (terraform_root, plan):
        context.progress.begin("terraform", "plan")
        terraform_root.plan(plan)
        prices = cost.load(context.environment.repository.root / "terraform" / "prices.yaml")
        found = infra_summary.summary(context.environment.name, terraform_root.show(plan), prices)
        context.progress.end()
        yield terraform_root, plan, found


@contextmanager
def _prepared(context: Context) -> Iterator[tuple[Terraform, Path]]:
    """The root, and a place for a plan that only its owner reads, and that does not outlive the command."""
    context.environment.prepare()
    terraform_root = root(context)
    terraform_root.init()
    with TemporaryDirectory(prefix="plan-", dir=context.environment.folder / "terraform") as folder:
        yield terraform_root, Path(folder, "plan")


def _settle(context: Context, terraform_root: Terraform) -> None:
    """What stands in for a cloud on this machine adds nothing of its own."""
    if not context.environment.is_here:
        terraform_root.settle()


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
