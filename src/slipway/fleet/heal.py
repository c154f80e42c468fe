"""Mends what differs on the hosts of an environment, and nothing else: what `slipway status ENV --heal` does."""

from collections.abc import Mapping, Sequence

from slipway.errors import InputError, Refused, SlipwayError
from slipway.fleet import delivery, host, playbook, session, settings, team
from slipway.fleet.batches import batches
from slipway.fleet.collect import collect
from slipway.fleet.context import Context
from slipway.fleet.host import Report
from slipway.fleet.report import known_fleet, problems_of
from slipway.fleet.session import Session
from slipway.fleet.wanted import Wanted, candidate, declared, released
from slipway.release import quarantine


def heal(context: Context) -> dict[str, list[str]]:
    """Bring back what git wants, or the candidate that is live, on the hosts where something is wrong.

    The role does it, which changes only what differs. Machines are not touched, nothing is declared in git, and a
    host that is in order is left alone. What could not be mended is said, and is found again by the next `status`.

    Returns:
        By host: what was wrong, and has been worked on.

    Raises:
        InputError: Neither git nor a host says what should be live.
        Refused: What git wants is in quarantine.
        Locked: Another command is changing the environment.
        OriginError: Nobody can say whether something newer has been declared.
    """
    team.learn(context)
    with session.opened(context) as opened:
        wanted = _wanted(context, opened.reports)
        if wanted.name:
            environment = context.environment
            quarantine.refuse(environment.repository, wanted.name, sealed=environment.is_sealed)
        label = None if wanted.name is None else wanted.record.release
        problems = {name: problems_of(report, label) for name, report in opened.reports.items()}
        sick = {name: found for name, found in problems.items() if found}
        for batch in batches(sorted(sick), settings.load(context.environment).batches):
            unlocked = opened.ended()
            for name in unlocked:
                context.progress.say("not healed", name, "the connection that holds its lock has ended")
            if there := [name for name in batch if name not in unlocked]:
                _play(opened, "rollout", wanted, there)
        if sick:
            _restock(opened, wanted)
        for name, found in sick.items():
            context.progress.say("worked on", name, "; ".join(found))
        if not sick:
            context.progress.say("heal", "nothing", "every host that answers is in order")
        return sick


def _wanted(context: Context, reports: Mapping[str, Report]) -> Wanted:
    """What should be live: a candidate stays, since git knows nothing of it; else git decides.

    Raises:
        InputError: Git declares nothing.
    """
    live = next((report.live for report in reports.values() if report.live), None)
    if live is None or not host.is_candidate(live.release):
        return declared(context, reports)
    try:
        same = candidate(context, reports)
    except SlipwayError:
        # A work tree that the pipeline has not been through has no bytes to give.
        return Wanted(live, None, "deploy")
    return same if same.record == live else Wanted(live, None, "deploy")


def _restock(opened: Session, wanted: Wanted) -> None:
    """Bring again what is on hosts to go back to, and is not whole; what cannot be had is said."""
    context = opened.context
    reports, _ = collect(context, known_fleet(context), opened.held)
    labels = sorted({label for report in reports.values() for label in report.damaged})
    for label in labels:
        if host.is_candidate(label) or label == wanted.record.release:
            continue
        hosts = sorted(name for name, report in reports.items() if label in report.damaged)
        try:
            found = released(context, label)
        except (InputError, Refused) as error:
            context.progress.say("not healed", label, str(error))
            continue
        _play(opened, "install", found, hosts)


def _play(opened: Session, name: str, wanted: Wanted, hosts: Sequence[str]) -> None:
    """Play a playbook on some hosts; where one fails, it has put back what it had, and the others go on."""
    context, shown = opened.context, ", ".join(hosts)
    context.progress.begin("heal", shown, f"{shown}  {wanted.record.release}")

    def on_step(step: playbook.Step) -> None:
        context.progress.begin("heal", shown, f"{shown}  {step.task}")

    def on_cancel() -> None:
        context.progress.say("cancelled", "the hosts finish", "so that none is left between two states")

    try:
        reports = {name: opened.reports[name] for name in hosts}
        variables = delivery.variables(context, wanted, reports)
        limit = hosts if len(hosts) < len(opened.reports) + len(opened.lost) else ()
        done = playbook.run(
            context.environment, name, variables, on_step, opened.held, on_cancel, limit, may_fail=True
        )
    except SlipwayError as error:
        context.progress.end("failed")
        context.progress.say("not healed", shown, str(error))
        return
    context.progress.end(f"{done.changed} changes")
    for each, failure in done.failures.items():
        context.progress.say("not healed", each, str(failure))
