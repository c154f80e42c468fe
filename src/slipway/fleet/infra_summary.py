"""What a Terraform plan would change, by names only: no value of an attribute gets past this module."""

import json
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.errors import InputError, SlipwayError
from slipway.fleet import cost
from slipway.fleet.cost import Prices

VITAL = {
    "aws_instance": "host",
    "aws_s3_bucket": "bucket",
    "aws_lb": "balancer",
    "aws_kms_key": "key",
    "terraform_data": "host",
}
"""Kinds of resources that take something with them when they go: what they hold, or what they serve.

The last one is what stands in for a host on `local`. Without the key, nothing in the buckets can be read.
"""


class Action(StrEnum):
    """What would happen to a resource; of a difference, what has happened to it."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DESTROY = "destroy"
    FORGET = "forget"
    """It goes on to be, but no longer as Terraform's."""
    IMPORT = "import"
    MOVE = "move"
    """It gets another address, and nothing else."""


Name = Annotated[str, Field(pattern=r"^[\w-]+$")]
"""As Terraform takes one: a file that was written by somebody else can say nothing more."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Change(_Frozen):
    """One resource that differs."""

    address: str
    action: Action
    kind: Name | None
    """What it is, where much depends on it: see VITAL."""
    attributes: tuple[Name, ...] = ()
    """Names of the attributes that differ, where it was there before and will be there after."""
    forced_by: tuple[Name, ...] = ()
    """Names of the attributes that cannot be changed without replacing it."""

    @property
    def is_dangerous(self) -> bool:
        return self.kind is not None and self.action in {Action.REPLACE, Action.DESTROY}


class Monthly(_Frozen):
    """US dollars a month, by the price table."""

    before: float
    after: float


class Summary(_Frozen):
    """A plan without its values."""

    environment: Name
    changes: tuple[Change, ...]
    """What an apply would do."""
    differences: tuple[Change, ...]
    """How what is there differs from the state: somebody has changed it behind Terraform's back."""
    outputs: tuple[Name, ...]
    """Names of the outputs that an apply would change."""
    cost: Monthly | None
    """None where it cannot be told, or was not asked."""

    @property
    def pending(self) -> bool:
        return bool(self.changes or self.outputs)

    @property
    def dangerous(self) -> list[Change]:
        """What an apply would take away that something depends on."""
        return [each for each in self.changes if each.is_dangerous]

    @property
    def missing(self) -> list[Change]:
        """What has been taken away so."""
        return [each for each in self.differences if each.is_dangerous]

    @property
    def counts(self) -> dict[str, int]:
        """How many resources meet each action; the first four are always told."""
        found = Counter(each.action for each in self.changes)
        return {str(each): found[each] for each in Action if found[each] or each in _ALWAYS}


_ALWAYS = {Action.CREATE, Action.CHANGE, Action.REPLACE, Action.DESTROY}


def summary(environment: str, shown: dict[str, Any], prices: Prices | None = None) -> Summary:
    """Take the names out of a plan.

    Args:
        environment: Whose plan it is.
        shown: What `terraform show -json PLAN` prints.
        prices: The price table; None where the cost is not asked.
    """
    return Summary(
        environment=environment,
        changes=_changes(shown.get("resource_changes", [])),
        differences=tuple(
            each for each in _changes(shown.get("resource_drift", [])) if each.action is not Action.MOVE
        ),
        outputs=tuple(
            sorted(
                name
                for name, change in shown.get("output_changes", {}).items()
                if change["actions"] != ["no-op"]
            )
        ),
        cost=_cost(shown, prices) if prices else None,
    )


def told(found: Summary) -> dict[str, Any]:
    """The summary for programs, its counts on top."""
    return {
        "environment": found.environment,
        "pending": found.pending,
        "counts": found.counts,
        "dangerous": [each.address for each in found.dangerous],
        "missing": [each.address for each in found.missing],
        **found.model_dump(mode="json"),
    }


def to_json(found: Summary) -> str:
    """The same as a file."""
    return json.dumps(told(found), indent=2) + "\n"


def read(file: Path) -> Summary:
    """A summary that `slipway infra plan --out` wrote.

    Raises:
        InputError: It is not one, or cannot be read.
    """
    remedy = "slipway infra plan ENV --out FOLDER writes one"
    try:
        return Summary.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", next_command=remedy) from error
    except ValidationError as error:
        # Without the error itself, which quotes what it has found.
        raise InputError(f"{file} is no summary of a plan", next_command=remedy) from error


def _changes(resources: Iterable[dict[str, Any]]) -> tuple[Change, ...]:
    found = [(each, action) for each in resources if (action := _action(each))]
    changes = [
        Change(
            address=each["address"],
            action=action,
            kind=VITAL.get(each["type"]),
            attributes=_names(each["change"], action),
            forced_by=tuple(sorted({str(path[0]) for path in each["change"].get("replace_paths", [])})),
        )
        for each, action in found
    ]
    return tuple(sorted(changes, key=lambda change: change.address))


def _action(resource: dict[str, Any]) -> Action | None:
    """What happens to a resource; None where nothing does, or it is only read."""
    actions = set(resource["change"]["actions"])
    if resource["mode"] != "managed" or actions == {"read"}:
        return None
    if "create" in actions:
        return Action.CREATE if len(actions) == 1 else Action.REPLACE
    for name, action in (("update", Action.CHANGE), ("delete", Action.DESTROY), ("forget", Action.FORGET)):
        if name in actions:
            return action
    if "importing" in resource["change"]:
        return Action.IMPORT
    return Action.MOVE if "previous_address" in resource else None


def _names(change: dict[str, Any], action: Action) -> tuple[str, ...]:
    """The attributes that differ, by the names that the provider gave them; not what lies in them.

    A part of an attribute may be named by whoever wrote the configuration, as a tag is.
    """
    if action not in {Action.CHANGE, Action.REPLACE}:
        return ()
    before, after, unknown = (change.get(key) or {} for key in ("before", "after", "after_unknown"))
    differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if action is Action.REPLACE:
        # All that is given by the cloud is unknown, and says nothing.
        return tuple(sorted(name for name in differ if not _is_unknown(unknown.get(name))))
    return tuple(sorted(differ | {name for name, each in unknown.items() if _is_unknown(each)}))


def _is_unknown(mark: Any) -> bool:
    """Whether a mark says so of any part."""
    if isinstance(mark, dict | list):
        return any(map(_is_unknown, mark.values() if isinstance(mark, dict) else mark))
    return bool(mark)


def _cost(shown: dict[str, Any], prices: Prices) -> Monthly | None:
    try:
        before, after = (
            sum(item.dollars for item in cost.items(part, prices))
            for part in (shown.get("prior_state", {}), {"planned_values": shown["planned_values"]})
        )
    except (SlipwayError, KeyError, IndexError, TypeError):
        # What is known after the apply only, or has no price; whichever it is, its name is a value.
        return None
    return Monthly(before=round(before, 2), after=round(after, 2))
