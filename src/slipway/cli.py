"""The command `slipway`: verbs only. What they do stands in `release` and `fleet`."""

import json
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from slipway import params
from slipway.errors import MachineError, SlipwayError
from slipway.fleet.change import Outcome
from slipway.fleet.context import Context, settings_or_older
from slipway.fleet.environment import STATE_FOLDER, Environment
from slipway.fleet.progress import Progress
from slipway.release.git import Repository

_PENDING, _CANCELLED, _USAGE = 2, 130, 64

app = typer.Typer(
    help="Releases machine-learning models: git, pull request, tag, roll-out, roll-back.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EnvironmentName = Annotated[str, typer.Argument(metavar="ENV", help="local, or another environment.")]
OptionalRelease = Annotated[str | None, typer.Argument(metavar="[RELEASE]", help="For example v1.2.0.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def up() -> None:
    """Train, gate, package, roll out on this machine, and prove it."""
    from slipway.fleet import rollout  # noqa: PLC0415 - see _context
    from slipway.pipeline import reproduce  # noqa: PLC0415

    context = _context("local", "slipway up")
    with context.progress.shown() as progress:

        def on_event(event: reproduce.Event) -> None:
            if event.state == "running":
                progress.begin("pipeline", event.stage)
            else:
                progress.end()
                progress.say("pipeline", event.stage, event.state)

        outcome = rollout.up(context, on_event)
    _print_outcome(outcome)


@app.command()
def down() -> None:
    """Stop what runs on this machine; what is installed stays."""
    from slipway.fleet import rollout  # noqa: PLC0415

    context = _context("local", "slipway down")
    with context.progress.shown():
        rollout.stop(context)


@app.command()
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

    context = _context(environment, f"slipway deploy {environment} {release or ''}".strip())
    with context.progress.shown():
        outcome = rollout.deploy(context, release)
    _print_outcome(outcome)


@app.command()
def rollback(environment: EnvironmentName, release: OptionalRelease = None) -> None:
    """Go back to an earlier release; without one, to the one before."""
    from slipway.fleet import rollout  # noqa: PLC0415

    command = f"slipway rollback {environment} {release or ''}".strip()
    context = _context(environment, command, older=True)
    with context.progress.shown():
        outcome = rollout.roll_back(context, release)
    _print_outcome(outcome)


@app.command()
def reconcile(environment: EnvironmentName) -> None:
    """Make live what git's newest desired state says."""
    from slipway.fleet import rollout  # noqa: PLC0415

    context = _context(environment, f"slipway reconcile {environment}", older=True)
    with context.progress.shown():
        outcome = rollout.reconcile(context)
    _print_outcome(outcome)


@app.command()
def plan(environment: EnvironmentName, release: OptionalRelease = None, *, as_json: AsJson = False) -> None:
    """Say what `deploy` would do. Exit code 2 where it would change something."""
    from slipway.fleet import report  # noqa: PLC0415

    found = report.plan(_context(environment, "slipway plan"), release)
    if as_json:
        _print_json({**found._asdict(), "pending": found.pending})
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
        _print_rows(rows)
    raise typer.Exit(_PENDING if found.pending else 0)


@app.command()
def status(
    environment: EnvironmentName,
    *,
    heal: Annotated[bool, typer.Option("--heal", help="Mend what differs first, and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare git's desired state, the hosts, and the processes that answer. Exit code 1 where they differ."""
    from slipway.fleet import report, shown  # noqa: PLC0415

    context = _context(environment, "slipway status", _errors() if as_json else None, older=True)
    healed: dict[str, list[str]] = {}
    if heal:
        from slipway.fleet import heal as physician  # noqa: PLC0415

        context = context._replace(command=f"slipway status {environment} --heal")
        with context.progress.shown():
            healed = physician.heal(context)
    found = report.status(context)
    if as_json:
        _print_json({**found._asdict(), "healed": healed})
    else:
        _print_rows(shown.rows(found))
    raise typer.Exit(1 if found.problems else 0)


@app.command()
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
    context = _context(environment, "slipway history", older=True)
    if when:
        moment = past.at(context, when)
        if as_json:
            _print_json(moment and {**moment.record.model_dump(), **_without_record(moment._asdict())})
        elif moment:
            _print_rows(shown.moment(moment))
        else:
            said = f"nothing was live on {environment} at {when.isoformat()}"
            _stdout().print(said, highlight=False, soft_wrap=True)
        return
    entries, barred = report.history(context), report.barred(context)
    if as_json:
        _print_json([{**entry.record.model_dump(), **_without_record(entry._asdict())} for entry in entries])
        return
    if not entries:
        said = f"nothing has been live on {environment}\n  next: {shown.first_deploy(environment)}"
        _stdout().print(said, highlight=False, soft_wrap=True)
        return
    _print_table(
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
            for at, action, by, record in entries
        ],
    )


@app.command()
def release(
    version: Annotated[
        str | None, typer.Option(help="Instead of the inferred one, for example v2.0.0.")
    ] = None,
    unquarantine: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="Let a release that failed be rolled out again.")
    ] = None,
) -> None:
    """Tag the commit as a release: major for another contract, minor for another model, else patch."""
    from slipway.release import create  # noqa: PLC0415

    repository = Repository.here()
    if unquarantine:
        _lift(repository, unquarantine)
        return
    made = create.release(repository, params.load(repository.root / "params.yaml"), version, _now())
    _stdout().print(f"{made.name.tag}: {made.why}", highlight=False, soft_wrap=True)
    _stdout().print(f"  next: slipway deploy local {made.name.label}", highlight=False, soft_wrap=True)


@app.command()
def verify(
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="A commit or a tag.")] = "HEAD",
    *,
    as_json: AsJson = False,
) -> None:
    """Rebuild a commit's pipeline in a clean room, and compare every output with its lock."""
    from slipway.release import verify as honest  # noqa: PLC0415 - DVC takes a second to import

    progress = Progress(_errors() if as_json else _stdout())
    with progress.shown():

        def on_stage(stage: str, finding: honest.Finding | None) -> None:
            if finding is None:
                progress.begin("verify", stage)
            else:
                progress.end("; ".join([finding.verdict, *finding.reasons]))

        found = honest.verify(Repository.here(), revision, on_stage)
    if as_json:
        _print_json(found._asdict() | {"stages": [stage._asdict() for stage in found.stages]})
    if found.verdict is honest.Verdict.DIFFERENT:
        raise honest.refusal(found, revision)
    if not as_json:
        said = f"\n{revision} ({found.commit[:7]}) is {honest.summary(found)}"
        _stdout().print(said, highlight=False, soft_wrap=True)


@app.command()
def report(
    base: Annotated[
        str | None, typer.Option("--base", metavar="REV", help="What to compare with, as origin/main.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", metavar="ENV", help="Compare with what it should run, too.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="For report.md, report.html and report.json.")
    ] = Path(STATE_FOLDER, "report"),
) -> None:
    """Say what the commit does to the model: metrics, decisions, contract, parameters, cost."""
    from slipway.report import build, html, markdown  # noqa: PLC0415 - scikit-learn takes a second to import

    repository = Repository.here()
    name = params.load(repository.root / "params.yaml").model.name
    if environment:
        Environment.named(environment, repository)
    found = build.build(repository, name, base, environment)
    folder = repository.root / out
    texts = {
        "report.md": markdown.write(found),
        "report.html": html.write(found),
        "report.json": build.to_json(found),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{folder} cannot be written to: {error.strerror}") from error
    said = [
        f"{found.verdict}: {found.title}",
        *(f"  {line}" for line in found.reasons),
        f"  next: {folder / 'report.html'}",
    ]
    _stdout().print("\n".join(said), highlight=False, soft_wrap=True, markup=False)


@app.command()
def doctor() -> None:
    """Look whether every needed tool is here, and say what to do where one is not."""
    from slipway.fleet import doctor as physician  # noqa: PLC0415

    root = Repository.here().root
    findings = physician.examine(root, root / STATE_FOLDER)
    _print_table(
        ["tool", "found", "what to do"],
        [[each.tool, each.found or "MISSING", "" if each.found else each.remedy] for each in findings],
    )
    if any(finding.found is None for finding in findings):
        raise typer.Exit(1)


def _lift(repository: Repository, release: str) -> None:
    from slipway.release import quarantine  # noqa: PLC0415 - see _context
    from slipway.release.names import ReleaseName  # noqa: PLC0415

    model = params.load(repository.root / "params.yaml").model.name
    name = ReleaseName.parse(release, model)
    found = quarantine.lift(repository, name, _now(), shared=repository.has_origin)
    said = f"{name.label} may be rolled out again; {found.by} had barred it on {found.at:%Y-%m-%d %H:%M}"
    _stdout().print(f"{said}: {found.reason}", markup=False, highlight=False, soft_wrap=True)
    _stdout().print(f"  next: slipway deploy ENV {name.label}", markup=False, highlight=False, soft_wrap=True)


def _shadow(environment: str, release: str | None, seconds: float) -> None:
    from slipway.fleet import shadow  # noqa: PLC0415
    from slipway.fleet.analysis.lines import lines  # noqa: PLC0415

    context = _context(environment, f"slipway deploy {environment} {release or ''} --shadow".strip())
    with context.progress.shown():
        outcome = shadow.shadow(context, release, seconds)
    for line in lines(outcome.verdict):
        _stdout().print(line, markup=False, highlight=False, soft_wrap=True)
    said = f"\n{outcome.release} may be promoted; it was in the shadow on {outcome.host}, and nothing has changed"
    _stdout().print(said, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; errors become one message on standard error and the exit code of their class."""
    # A workflow that is cancelled ends its commands so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    arguments = _with_seconds(arguments)
    sys.exit(
        _run(lambda: app(arguments or ["--help"], prog_name="slipway", standalone_mode=False), debug=debug)
    )


def _with_seconds(arguments: list[str]) -> list[str]:
    """Give `--shadow` the time that it may be left without, which the library does not know."""
    if "--shadow" not in arguments:
        return arguments
    end = arguments.index("--shadow") + 1
    given = arguments[end : end + 1]
    missing = not given or not given[0].replace(".", "", 1).isdigit()
    return [*arguments[:end], *(["60"] if missing else []), *arguments[end:]]


def _run(command: Callable[[], Any], *, debug: bool) -> int:
    errors = _errors()
    try:
        code = int(command() or 0)
    except typer.TyperException as error:
        said = f"error: {error.format_message()}\n  next: slipway --help"
        errors.print(said, markup=False, highlight=False, soft_wrap=True)
        return _USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = _CANCELLED
    except SlipwayError as error:
        if debug:
            errors.print_exception()
        errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    # Typer, too, turns an interrupt into this code.
    if code == _CANCELLED:
        errors.print("cancelled; the same command again finishes the work", markup=False)
    return code


def _context(
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
        _errors().print(f"params.yaml is broken; {why}", markup=False, highlight=False, soft_wrap=True)
    return Context(found, settings, Progress(console or _stdout()), _now, command)


def _print_outcome(outcome: Outcome) -> None:
    record = outcome.record
    changed = "" if outcome.changed else " (nothing changed)"
    _stdout().print(
        f"\n{record.model} {record.release} answers on {outcome.url}{changed}",
        highlight=False,
        soft_wrap=True,
    )


def _print_rows(rows: dict[str, str]) -> None:
    for name, value in rows.items():
        _stdout().print(f"[bold]{name:<15}[/]{escape(value)}", highlight=False, soft_wrap=True)


def _print_table(heads: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as they need be: a terminal may wrap a line, but nothing is cut off."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in [heads, *rows]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _stdout().print(
            line.rstrip(), style="bold" if row is heads else None, highlight=False, soft_wrap=True
        )


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


def _without_record(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "record"}


def _stdout() -> Console:
    return Console()


def _errors() -> Console:
    return Console(stderr=True)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
