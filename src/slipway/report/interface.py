"""What callers notice of a change of the contract, and whether it breaks them."""

from typing import NamedTuple

from slipway.contract import Column, Contract


class Change(NamedTuple):
    """A difference between two contracts."""

    what: str
    breaks: bool
    """Whether a request that was right before is refused, or its answer means something else."""


def changes(old: Contract, new: Contract) -> list[Change]:
    """Every difference that a caller can notice, the breaking ones first.

    A caller sends every column and no other, so that a column more breaks as a column less does.
    """
    found = [Change(f"column {name} is gone", breaks=True) for name in old.columns if name not in new.columns]
    for name, column in new.columns.items():
        if name not in old.columns:
            found.append(Change(f"column {name} ({column.type}) must be sent, too", breaks=True))
        else:
            found += [
                each._replace(what=f"column {name}: {each.what}")
                for each in _of_column(old.columns[name], column)
            ]
    target = zip(("column", "positive label", "negative label"), _target(old), _target(new), strict=True)
    found += [
        Change(f"the target's {what} is {after}, was {before}", breaks=True)
        for what, before, after in target
        if before != after
    ]
    return sorted(found, key=lambda change: not change.breaks)


def _target(contract: Contract) -> tuple[str, str, str]:
    return contract.target.column, contract.target.positive, contract.target.negative


def _of_column(old: Column, new: Column) -> list[Change]:
    if old.type != new.type:
        return [Change(f"a {new.type}, was a {old.type}", breaks=True)]
    found = []
    if old.nullable != new.nullable:
        found.append(Change(f"null is {'allowed' if new.nullable else 'refused'} now", breaks=old.nullable))
    if old.minimum != new.minimum:
        narrower = new.minimum is not None and (old.minimum is None or new.minimum > old.minimum)
        found.append(Change(f"minimum {_limit(new.minimum)}, was {_limit(old.minimum)}", breaks=narrower))
    if old.maximum != new.maximum:
        narrower = new.maximum is not None and (old.maximum is None or new.maximum < old.maximum)
        found.append(Change(f"maximum {_limit(new.maximum)}, was {_limit(old.maximum)}", breaks=narrower))
    found += [Change(f"category {each} is refused now", breaks=True) for each in _less(old, new)]
    found += [Change(f"category {each} is allowed now", breaks=False) for each in _less(new, old)]
    return found


def _less(one: Column, other: Column) -> list[str]:
    return [each for each in one.categories if each not in other.categories]


def _limit(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
