"""Verbs that change environments, or look at them."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.context import context_of
from slipway.cli.options import AsJson, EnvironmentName
from slipway.cli.output import complain, print_json, print_rows, print_table, say, stderr
from slipway.fleet.change import Outcome
from slipway.fleet.environment import STATE_FOLDER
from slipway.release.git import Repository

_PENDING = 2

OptionalRelease = Annotated[str | None, typer.Argument(metavar="[RELEASE]", help="For example v1.2.0.")]


def up() -> None:
    """Train, gate, package, roll out on this machine, and prove it."""
    from slipway.fleet import rollout  # noqa: PLC0415 - see context_of
    from slipway.pipeline import reproduce  # noqa: PLC0415

    context = context_of("local", "slipway up")
    with context.progress.shown() as progress:

        def on_event(event: reproduce.Event) -> None:
            if event.state == "running":
                progress.begin("pipeline", event.stage)
            else:
                progress.end()
                progress.say("pipeline", event.stage, event.state)

        outcome = rollout.up(context, on_event)
    _say_outcome(outcome)


def down() -> None:
    """Stop what runs on this machine; what is installed stays."""
    from slipway.fleet import rollout  # noqa: PLC0415

    context = context_of("local", "slipway down")
    with context.progress.shown():
        rollout.stop(context)


def deploy(
    environment: EnvironmentName,
    release: OptionalRelease = None,
    shadow: Annotated[
        float | None,
        typer.Option(metavar="[SECONDS]", min=1, help="Only ask it what the live one is asked, and judge."),
    ] = None,
) -> None:
    """Roll out a release; on `local`, without one, the work tree as a candidate."""
    if shadow is not None:
        _shadow(environment, release, shadow)
        return
    from slipway.fleet import rollout  # noqa: PLC0415

    context = context_of(environment, f"slipway deploy {environment} {release or ''}".strip())
    with context.progress.shown():
        outcome = rollout.deploy(context, release)
    _say_outcome(outcome)


def rollback(environment: EnvironmentName, release: OptionalRelease = None) -> None:
    """Go back to an earlier release; without one, to the one before."""
    from slipway.fleet import rollout  # noqa: PLC0415

    command = f"slipway rollback {environment} {release or ''}".strip()
    context = context_of(environment, command, older=True)
    with context.progress.shown():
        outcome = rollout.roll_back(context, release)
    _say_outcome(outcome)


def reconcile(environment: EnvironmentName) -> None:
    """Make live what git's newest desired state says."""
    from slipway.fleet import rollout  # noqa: PLC0415

    context = context_of(environment, f"slipway reconcile {environment}", older=True)
    with context.progress.shown():
        outcome = rollout.reconcile(context)
    _say_outcome(outcome)


def plan(environment: EnvironmentName, release: OptionalRelease = None, *, as_json: AsJson = False) -> None:
    """Say what `deploy` would do. Exit code 2 where it would change something."""
    from slipway.fleet import report  # noqa: PLC0415

    found = report.plan(context_of(environment, "slipway plan"), release)
    if as_json:
        print_json({**found._asdict(), "pending": found.pending})
    else:
        rows = {
            "live": found.live or "nothing",
            "target": found.target,
            "pipeline": f"{', '.join(found.stale)} not up to date: make up runs it first"
            if found.stale
            else "up to date",
            "infrastructure": "changes" if found.infrastructure else "no changes",
            "runtime": "to be installed" if found.install_runtime else "installed",
            "release": "to be installed" if found.install_release else "installed",
            "swap": "yes" if found.swap else "no: it is serving",
        }
        print_rows(rows)
    raise typer.Exit(_PENDING if found.pending else 0)


def status(
    environment: EnvironmentName,
    *,
    heal: Annotated[bool, typer.Option("--heal", help="Mend what differs first, and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare git's desired state, the hosts, and the processes that answer. Exit code 1 where they differ."""
    from slipway.fleet import report, shown  # noqa: PLC0415

    context = context_of(environment, "slipway status", stderr() if as_json else None, older=True)
    healed: dict[str, list[str]] = {}
    if heal:
        from slipway.fleet import heal as physician  # noqa: PLC0415

        context = context._replace(command=f"slipway status {environment} --heal")
        with context.progress.shown():
            healed = physician.heal(context)
    found = report.status(context)
    if as_json:
        print_json({**found._asdict(), "healed": healed})
    else:
        print_rows(shown.rows(found))
    raise typer.Exit(1 if found.problems else 0)


def history(
    environment: EnvironmentName,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="WHEN", help="What was live then, and why: 2026-03-03T14:00 (UTC)."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List what has been live, the latest first."""
    from slipway.fleet import past, report, shown  # noqa: PLC0415

    when = past.instant(at) if at else None
    context = context_of(environment, "slipway history", older=True)
    if when:
        moment = past.at(context, when)
        if as_json:
            print_json(moment and {**moment.record.model_dump(), **_without_record(moment._asdict())})
        elif moment:
            print_rows(shown.moment(moment))
        else:
            say(f"nothing was live on {environment} at {when.isoformat()}")
        return
    entries, barred = report.history(context), report.barred(context)
    if as_json:
        print_json([{**entry.record.model_dump(), **_without_record(entry._asdict())} for entry in entries])
        return
    if not entries:
        say(f"nothing has been live on {environment}\n  next: {shown.first_deploy(environment)}")
        return
    print_table(
        ["since", "release", "action", "by", "commit", "bundle"],
        [
            [
                at,
                record.release + (" (quarantine)" if record.release in barred else ""),
                action,
                by,
                record.commit[:7],
                record.bundle[:12],
            ]
            for at, action, by, record, _ in entries
        ],
    )


def requests(
    environment: EnvironmentName,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="How many of each host, at most.")] = 1000,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Instead of .slipway/requests-ENV.jsonl.")
    ] = None,
) -> None:
    """Fetch the newest requests that callers have made, for `report --requests`."""
    from slipway.fleet import requests as recorded  # noqa: PLC0415

    context = context_of(environment, "slipway requests", older=True)
    root = context.environment.repository.root
    file = root / (out or Path(STATE_FOLDER, f"requests-{environment}.jsonl"))
    found = recorded.fetch(context, last)
    written = recorded.write(file, found.lines)
    for name, reason in found.lost.items():
        complain(f"nothing of {name}: {reason}")
    say(f"{written} requests of {', '.join(found.lines) or 'no host'}: {file}")
    say(f"  next: slipway report --environment {environment} --requests {shlex.quote(str(file))}")
    raise typer.Exit(1 if found.lost else 0)


def doctor() -> None:
    """Look whether every needed tool is here, and say what to do where one is not."""
    from slipway.fleet import doctor as physician  # noqa: PLC0415

    root = Repository.here().root
    findings = physician.examine(root, root / STATE_FOLDER)
    print_table(
        ["tool", "found", "what to do"],
        [[each.tool, each.found or "MISSING", "" if each.found else each.remedy] for each in findings],
    )
    if any(finding.found is None for finding in findings):
        raise typer.Exit(1)


def _shadow(environment: str, release: str | None, seconds: float) -> None:
    from slipway.fleet import shadow  # noqa: PLC0415
    from slipway.fleet.analysis.lines import lines  # noqa: PLC0415

    context = context_of(environment, f"slipway deploy {environment} {release or ''} --shadow".strip())
    with context.progress.shown():
        outcome = shadow.shadow(context, release, seconds)
    for line in lines(outcome.verdict):
        say(line)
    say(
        f"\n{outcome.release} may be promoted; it was in the shadow on {outcome.host}, and nothing has changed"
    )


def _say_outcome(outcome: Outcome) -> None:
    record = outcome.record
    changed = "" if outcome.changed else " (nothing changed)"
    say(f"\n{record.model} {record.release} answers on {outcome.url}{changed}")


def _without_record(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "record"}
