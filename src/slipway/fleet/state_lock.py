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
    _, _, info = said.partition("Lock Info:")
    found = dict(re.findall(r"^[\s\u2502]*(ID|Who|Created|Operation):[ \t]*(\S.*?)\s*$", info, re.MULTILINE))
    if "ID" not in found:
        return None
    return Holder(
        id=found["ID"],
        who=found.get("Who", "somebody"),
        since=found.get("Created", "an unknown time"),
        operation=found.get("Operation", "an unknown operation"),
    )
