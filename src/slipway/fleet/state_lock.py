"""Who holds the lock of a Terraform state, as Terraform's complaint tells it."""

import re
from typing import NamedTuple


class Holder(NamedTuple):
    """One lock."""

    id: str
    who: str
    """user@machine."""
    since: str
    operation: str


def holder(said: str) -> Holder | None:
    """Read what Terraform said; None where it complains of something else."""
    _, locked, info = said.partition("Lock Info:")
    if "acquiring the state lock" not in said or not locked:
        return None
    found = dict(re.findall(r"^[\s\u2502]*(ID|Who|Created|Operation):[ \t]*(\S.*?)\s*$", info, re.MULTILINE))
    return Holder(
        id=found.get("ID", "unknown"),
        who=found.get("Who", "somebody"),
        since=found.get("Created", "an unknown time"),
        operation=found.get("Operation", "an unknown operation"),
    )
