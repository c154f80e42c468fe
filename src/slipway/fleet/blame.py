"""Whether a roll-out failed by the release's own fault: only then must nobody roll it out again."""

import httpx

from slipway.errors import Corrupt, Refused, SlipwayError
from slipway.fleet.change import UnfinishedError
from slipway.fleet.playbook import TaskFailed
from slipway.release.objects import SpoiltError

OWN_STEPS = ("Start the slot's process, and wait until it is ready", "Ask the slot its golden rows")
"""Steps of the role that run the release. Another one that fails, fails by the host or by what lies between."""
_FULL = "no space left on device"


def own_fault(error: SlipwayError, gatekeeper: str) -> str:
    """Why a release failed by its own fault; empty where it did not, or nobody can say.

    Own faults are: it does not start or is never ready, it answers its golden rows wrong, the bake proves that it is
    worse, it fails its acceptance test. A release that starts on the gatekeeper and fails on a later host is not
    blamed: the same bytes serve elsewhere.

    Args:
        error: How the roll-out ended, with its cause.
        gatekeeper: The host that changes first.
    """
    cause = error.__cause__
    if isinstance(error, UnfinishedError) or cause is None or _FULL in str(cause).lower():
        return ""
    if isinstance(cause, TaskFailed):
        started = any(step in str(cause) for step in OWN_STEPS)
        return str(cause) if started and cause.host == gatekeeper and not cause.unreachable else ""
    unreachable = isinstance(cause.__cause__, httpx.ConnectError | httpx.ConnectTimeout)
    if isinstance(cause, Refused) and not isinstance(cause, Corrupt | SpoiltError) and not unreachable:
        return str(cause)
    return ""
