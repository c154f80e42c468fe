"""What a command knows of where and when it is run."""

from datetime import UTC, datetime

from rich.console import Console

from slipway import params
from slipway.cli.output import complain, stdout
from slipway.fleet.context import Context, settings_or_older
from slipway.fleet.environment import Environment
from slipway.fleet.progress import Progress
from slipway.release.git import Repository


def context_of(
    environment: str, command: str, console: Console | None = None, *, older: bool = False
) -> Context:
    """What commands on an environment need; `older` where a broken `params.yaml` must not be in the way.

    The modules that do the work are imported by each verb: some take a second, and `--help` needs none.
    """
    repository = Repository.here()
    if older:
        settings, why = settings_or_older(repository)
    else:
        settings, why = params.load(repository.root / "params.yaml"), ""
    found = Environment.named(environment, repository)
    found.require_inventory()
    if why:
        complain(f"params.yaml is broken; {why}")
    return Context(found, settings, Progress(console or stdout()), now, command)


def now() -> datetime:
    return datetime.now(UTC)
