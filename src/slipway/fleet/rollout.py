"""Deploy, roll back, reconcile: decide what an environment should run, write it down, and make it so."""

from collections.abc import Callable, Mapping

from slipway.errors import SlipwayError
from slipway.fleet import collect, infrastructure, playbook
from slipway.fleet.change import Change, Outcome, UnfinishedError
from slipway.fleet.context import Context
from slipway.fleet.host import Report
from slipway.fleet.wanted import Wanted, candidate, declared, earlier, released
from slipway.pipeline import reproduce
from slipway.release import desired, objects
from slipway.release.names import ReleaseName


def up(context: Context, on_event: Callable[[reproduce.Event], None]) -> Outcome:
    """Run the pipeline as far as something has changed, and roll the work tree out, as one change.

    Raises:
        Refused: The model misses a gate; nothing is rolled out.
        Locked: Another command is changing the environment.
        RolledBack: The candidate failed, and what served before is serving.
    """
    with context.locked() as held:
        reproduce.reproduce(context.environment.repository.root, on_event, held)
        context.progress.end()
        reports = collect.reports(context, held)
        return _bring(context, candidate(context, reports), reports, held)


def deploy(context: Context, release: str | None) -> Outcome:
    """Roll out a release, or, on `local`, the work tree as a candidate.

    Raises:
        Locked: Another command is changing the environment.
        RolledBack: The release failed, and what served before is serving.
    """
    with context.locked() as held:
        wanted = released(context, release) if release else None
        reports = collect.reports(context, held)
        if wanted is None:
            wanted = candidate(context, reports)
            if changed := objects.changed_stages(context.environment.repository.root):
                context.progress.say("pipeline", ", ".join(changed), "not up to date: make up runs it first")
        return _bring(context, wanted, reports, held)


def reconcile(context: Context) -> Outcome:
    """Make live what git's newest desired state says."""
    with context.locked() as held:
        return _bring(context, declared(context), collect.reports(context, held), held)


def roll_back(context: Context, release: str | None) -> Outcome:
    """Go back to an earlier release, or to the one before; what is on the hosts is not fetched again."""
    with context.locked() as held:
        reports = collect.reports(context, held)
        return _bring(context, earlier(context, release, reports), reports, held)


def stop(context: Context) -> None:
    """Stop everything that runs; what is installed stays."""
    folder = context.environment.folder
    if not ((folder / "inventory.yml").is_file() or (folder / "run").is_dir()):
        return
    with context.locked() as held:
        if not (folder / "inventory.yml").is_file():
            infrastructure.read(context)
        context.progress.begin("stop", "service manager")
        playbook.run(context.environment, "stop", {}, lambda _: None, held)
        context.progress.end()


def _bring(context: Context, wanted: Wanted, reports: Mapping[str, Report], held: int) -> Outcome:
    """Make `wanted` live on every host of the environment and prove it, or leave what was; git says which."""
    change = Change(context, wanted, reports, held)
    if wanted.source and wanted.source.release is None:
        return change.make()
    _declare(context, wanted.name, wanted.action)
    try:
        return change.make()
    except SlipwayError as error:
        # Git must say what serves, where that is a release.
        if change.old and not isinstance(error, UnfinishedError):
            _declare(context, Wanted(change.old, None, "abort").name, "abort")
        raise


def _declare(context: Context, name: ReleaseName | None, action: str) -> None:
    """Write down in git what the environment should run, where that is a release: candidates are not in git."""
    if name:
        environment = context.environment
        state = desired.declare(environment.repository, environment.name, name, action, context.now())
        context.progress.say("desired", state.name.tag, state.release.label)
