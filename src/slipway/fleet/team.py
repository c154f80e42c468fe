"""What others have released and declared, by way of git's origin: whoever changes an environment of a team asks first."""

from slipway.fleet.context import Context
from slipway.release.git import OriginError


def learn(context: Context) -> None:
    """Ask the origin of an environment that a team has in common; other environments have none.

    Raises:
        OriginError: It does not answer, or has a tag of ours on another commit.
    """
    if context.is_shared:
        context.environment.repository.fetch_tags()


def unheard(context: Context) -> str:
    """As `learn`, for those who go on without: why the origin could not be asked; empty where it could."""
    try:
        learn(context)
    except OriginError as error:
        return str(error.args[0])
    return ""
