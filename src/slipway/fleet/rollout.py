"""Deploy, roll back, reconcile: decide what an environment should run, write it down, and make it so."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from slipway.errors import MachineError, SlipwayError
from slipway.fleet import alarms, host, infrastructure, playbook, session, team
from slipway.fleet.blame import own_fault
from slipway.fleet.change import Change, Outcome, UnfinishedError
from slipway.fleet.context import Context
from slipway.fleet.session import Session
from slipway.fleet.wanted import Wanted, candidate, declared, earlier, refuse_work_tree, released
from slipway.pipeline import reproduce
from slipway.release import desired, objects, quarantine
from slipway.release.git import OriginError
from slipway.release.names import ReleaseName


class _Declared(NamedTuple):
    """What git says now that an environment should run."""

    number: int
    tag: str
    untold: str
    """Why the origin, and so the team, has not been told; empty where it has, and where there is none."""


def up(context: Context, on_event: Callable[[reproduce.Event], None]) -> Outcome:
    """Run the pipeline as far as something has changed, and roll the work tree out, as one change.

    Raises:
        Refused: The model misses a gate; nothing is rolled out.
        Locked: Another command is changing the environment.
        RolledBack: The candidate failed, and what served before is serving.
    """
    with session.opened(context) as opened:
        reproduce.reproduce(context.environment.repository.root, on_event, opened.held[0])
        context.progress.end()
        return _bring(opened, candidate(context, opened.reports))


def deploy(context: Context, release: str | None) -> Outcome:
    """Roll out a release, or, on `local`, the work tree as a candidate.

    Raises:
        Locked: Another command is changing the environment.
        RolledBack: The release failed, and what served before is serving.
    """
    if release is None:
        refuse_work_tree(context)
    team.learn(context)
    with session.opened(context) as opened:
        if release is not None:
            return _bring(opened, released(context, release))
        wanted = candidate(context, opened.reports)
        if changed := objects.changed_stages(context.environment.repository.root):
            context.progress.say("pipeline", ", ".join(changed), "not up to date: make up runs it first")
        return _bring(opened, wanted)


def reconcile(context: Context) -> Outcome:
    """Make live what git's newest desired state says; which that is, the origin must have told.

    Raises:
        OriginError: It cannot be asked, so that somebody may have declared something newer.
    """
    team.learn(context)
    with session.opened(context) as opened:
        return _bring(opened, declared(context, opened.reports))


def roll_back(context: Context, release: str | None) -> Outcome:
    """Go back to an earlier release, or to the one before; what is on the hosts is not fetched again."""
    if reason := team.unheard(context):
        context.progress.say("desired", "origin", f"cannot be asked: {reason}")
    with session.opened(context, partial(context.progress.say, "provision", "state")) as opened:
        return _bring(opened, earlier(context, release, opened.reports))


def stop(context: Context) -> None:
    """Stop everything that runs; what is installed stays."""
    folder = context.environment.folder
    if not ((folder / "inventory.yml").is_file() or (folder / "run").is_dir()):
        return
    with context.locked() as held:
        if not (folder / "inventory.yml").is_file():
            infrastructure.write_inventory(context, infrastructure.root(context).fleet())
        context.progress.begin("stop", "service manager")
        playbook.run(context.environment, "stop", {}, lambda _: None, [held])
        context.progress.end()


def _bring(opened: Session, wanted: Wanted) -> Outcome:
    """Make `wanted` live on every host of the environment and prove it, or leave what was; git says which.

    Raises:
        Refused: The release is in quarantine.
        MachineError: It is live, and the team does not know.
    """
    context = opened.context
    if wanted.name:
        environment = context.environment
        quarantine.refuse(environment.repository, wanted.name, sealed=environment.is_sealed)
    change = Change(opened, wanted)
    if wanted.action == "deploy":
        _warn_of_alarms(context)
    if wanted.name is None:
        outcome = change.make()
        _say_what_git_wants(context)
        return outcome
    stated = _declare(opened, wanted.name, wanted.action)
    try:
        outcome = change.make(stated.number)
    except SlipwayError as error:
        reason = own_fault(error, min(opened.reports, default="")) if wanted.action == "deploy" else ""
        if reason:
            _quarantine(context, wanted.name, reason)
        if change.old and not isinstance(error, UnfinishedError):
            _abort(opened, Wanted(change.old, None, "abort"))
        raise
    if stated.untold:
        raise _untold(context, wanted.name, stated)
    return outcome


def _untold(context: Context, name: ReleaseName, stated: _Declared) -> MachineError:
    """What is left to do where the hosts went back and the origin was not told: a runner takes its clone with it when it ends."""
    environment = context.environment.name
    return MachineError(
        f"{environment} serves {name.label} again, but the origin was not told: {stated.untold}",
        next_command=f"git push origin '{stated.tag}'; from another clone: slipway rollback {environment} {name.label}",
    )


def _abort(opened: Session, served: Wanted) -> None:
    """Have git say what serves, where that is a release; that git cannot be told must not hide how the new one failed."""
    if served.name is None:
        return
    try:
        _declare(opened, served.name, served.action)
    except SlipwayError as error:
        opened.context.progress.say("desired", served.name.label, f"not written down: {error}")


def _warn_of_alarms(context: Context) -> None:
    """Say what fires already: it is no fault of the release, and may be a reason to wait."""
    try:
        for name, what in alarms.firing(context.environment).items():
            context.progress.say("alarm", name, f"fires already: {what}")
    except MachineError as error:
        context.progress.say("alarm", "unknown", str(error))


def _quarantine(context: Context, name: ReleaseName, reason: str) -> None:
    """Bar a release that failed by its own fault; that git or a team cannot be told must not hide how it failed."""
    environment = context.environment
    try:
        quarantine.declare(
            environment.repository, name, environment.name, reason, context.now(),
            shared=context.is_shared, sealed=environment.is_sealed,
        )  # fmt: skip
        said = f"lifted by: slipway release --unquarantine {name.label}"
    except OriginError as error:
        said = f"origin has not been told: {error}"
    except SlipwayError as error:
        said = f"not written down: {error}"
    context.progress.say("quarantine", name.label, said)


def _say_what_git_wants(context: Context) -> None:
    """A candidate is not in git, which may want something else: the next `reconcile` would bring that."""
    if wish := desired.current(context.environment.repository, context.model, context.environment.name):
        context.progress.say("desired", wish.name.tag, f"git still wants {wish.release.label}")


def _declare(opened: Session, name: ReleaseName, action: str) -> _Declared:
    """Write down in git what the environment should run.

    Raises:
        OriginError: The team cannot be told of a deploy; going back does not wait for that.
        Refused: Nobody whose tags count has signed it.
    """
    context, untold = opened.context, ""
    environment = context.environment
    declare = partial(
        desired.declare, environment.repository, environment.name, name, action, context.now(),
        sealed=environment.is_sealed, above=host.newest_state(opened.reports, context.model),
    )  # fmt: skip
    try:
        state = declare(shared=context.is_shared)
    except OriginError as error:
        if action == "deploy":
            raise
        state, untold = declare(), str(error.args[0])
    said = f"; origin has not been told: {untold}" if untold else ""
    context.progress.say("desired", state.name.tag, f"{state.release.label}{said}")
    return _Declared(state.name.number, state.name.tag, untold)
