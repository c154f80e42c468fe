"""What the hosts of an environment say of themselves."""

from slipway.fleet import host
from slipway.fleet.context import Context
from slipway.fleet.host import Report


def reports(context: Context, held: int) -> dict[str, Report]:
    """By host: this machine's folder."""
    return {"local-1": host.report(context.environment.folder)}
