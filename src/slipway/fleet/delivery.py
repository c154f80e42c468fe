"""How the bytes of a release get to the hosts, for the role `model_server`."""

import getpass
from collections.abc import Mapping

from slipway.errors import SlipwayError
from slipway.fleet.context import Context
from slipway.fleet.host import Report
from slipway.fleet.wanted import Wanted, installed_everywhere

_UNPACKED = 8
"""A runtime takes about this many times the space of its tar while it is installed."""


def variables(context: Context, wanted: Wanted, reports: Mapping[str, Report]) -> dict[str, object]:
    """What the role is told; the bytes are had, and checked, only where a host lacks them.

    Raises:
        Refused: They are not those that git promises.
        MachineError: They cannot be had, and a host needs them.
    """
    told: dict[str, object] = {
        "model_server_release": wanted.record.model_dump(),
        "model_server_action": wanted.action,
        "model_server_by": getpass.getuser(),
    }
    source, repository = wanted.source, context.environment.repository
    if source is None:
        return told
    try:
        bundle = source.file(repository, source.pins.bundle)
        runtime = source.file(repository, source.pins.runtime)
    except SlipwayError:
        # What is on the hosts, whole, need not be had again.
        if wanted.record in installed_everywhere(reports).values():
            return told
        raise
    files = {"bundle": bundle.resolve(), "runtime": runtime.resolve()}
    # On this machine the role reads them where they lie; to others they are copied.
    places = (
        {f"model_server_{what}_url": file.as_uri() for what, file in files.items()}
        if context.environment.is_here
        else {f"model_server_{what}_file": str(file) for what, file in files.items()}
    )
    return {
        **told,
        **places,
        "model_server_free_bytes_minimum": _UNPACKED * (bundle.stat().st_size + runtime.stat().st_size),
    }
