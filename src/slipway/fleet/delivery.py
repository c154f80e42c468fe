"""How the bytes of a release get to the hosts, for the role `model_server`."""

import getpass
from collections.abc import Mapping
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.fleet import presign
from slipway.fleet.context import Context
from slipway.fleet.host import Report
from slipway.fleet.wanted import Wanted, installed_everywhere
from slipway.release import objects
from slipway.release.pins import Pin

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
        places = {
            **_place(context, "bundle", source.pins.bundle, bundle),
            **_place(context, "runtime", source.pins.runtime, runtime),
        }
    except SlipwayError:
        # What is on the hosts, whole, need not be had again.
        if wanted.record in installed_everywhere(reports).values():
            return told
        raise
    return {
        **told,
        **places,
        "model_server_free_bytes_minimum": _UNPACKED * (bundle.stat().st_size + runtime.stat().st_size),
    }


def _place(context: Context, what: str, pin: Pin, file: Path) -> dict[str, str]:
    """Where a host takes an object from: this machine reads it where it lies, others fetch it or are sent a copy."""
    if context.environment.is_here:
        return {f"model_server_{what}_url": file.resolve().as_uri()}
    if stored := objects.stored(context.environment.repository.root, pin):
        return {f"model_server_{what}_url": presign.url(stored, f"the {what}")}
    return {f"model_server_{what}_file": str(file.resolve())}
