"""Verbs on commits: tag one, rebuild it, tell what it does, hand it out."""

from pathlib import Path
from typing import Annotated

import typer

from slipway import params
from slipway.cli.context import now
from slipway.cli.options import AsJson
from slipway.cli.output import print_json, say, stderr, stdout
from slipway.errors import MachineError
from slipway.fleet import infra_summary
from slipway.fleet.environment import STATE_FOLDER, Environment
from slipway.fleet.progress import Progress
from slipway.release.git import Repository
from slipway.release.keys import KEY
from slipway.release.names import ReleaseName


def release(
    version: Annotated[
        str | None, typer.Option(help="Instead of the inferred one, for example v2.0.0.")
    ] = None,
    unquarantine: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="Let a release that failed be rolled out again.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Append release=... to it, for a workflow's next step."
        ),
    ] = None,
    *,
    if_changed: Annotated[
        bool,
        typer.Option("--if-changed", help="Only where the bundle, the runtime or the contract has changed."),
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="Give the tag to the origin, or make none.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which release it would be.")] = False,
) -> None:
    """Tag the commit as a release: major for another contract, minor for another model, else patch."""
    from slipway.release import create  # noqa: PLC0415

    repository = Repository.here()
    if unquarantine:
        _lift(repository, unquarantine)
        return
    settings = params.load(repository.root / "params.yaml")
    made = create.made_before(repository, settings.model.name) if if_changed else None
    if made is None and dry_run:
        made = create.planned(repository, settings, version)
    elif made is None:
        made = create.release(repository, settings, version, now())
    if push and not dry_run and made.is_here:
        create.share(repository, made)
    if output:
        _append(output, f"release={made.name.label if made.is_here else ''}")
    if not made.is_new:
        say(f"nothing to release: {made.why}")
        return
    say(f"{made.name.tag}: {made.why}")
    say(f"  next: slipway {'release' if dry_run else f'deploy local {made.name.label}'}")


def verify(
    revision: Annotated[
        str, typer.Argument(metavar="[REV]", help="A commit or a tag; latest: the newest release.")
    ] = "HEAD",
    *,
    as_json: AsJson = False,
) -> None:
    """Rebuild a commit's pipeline in a clean room, and compare every output with its lock."""
    from slipway.release import create  # noqa: PLC0415 - DVC takes a second to import
    from slipway.release import verify as honest  # noqa: PLC0415

    repository = Repository.here()
    if revision == "latest":
        revision = create.latest(repository, params.load(repository.root / "params.yaml").model.name).tag
    progress = Progress(stderr() if as_json else stdout())
    with progress.shown():

        def on_stage(stage: str, finding: honest.Finding | None) -> None:
            if finding is None:
                progress.begin("verify", stage)
            else:
                progress.end("; ".join([finding.verdict, *finding.reasons]))

        found = honest.verify(repository, revision, on_stage)
    if as_json:
        print_json(found._asdict() | {"stages": [stage._asdict() for stage in found.stages]})
    if found.verdict is honest.Verdict.DIFFERENT:
        raise honest.refusal(found, revision)
    if not as_json:
        say(f"\n{revision} ({found.commit[:7]}) is {honest.summary(found)}")


def report(
    base: Annotated[
        str | None, typer.Option("--base", metavar="REV", help="What to compare with, as origin/main.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", metavar="ENV", help="Compare with what it should run, too.")
    ] = None,
    infrastructure: Annotated[
        list[Path] | None,
        typer.Option(
            "--infrastructure", metavar="FILE", help="Of `slipway infra plan --out`; may be repeated."
        ),
    ] = None,
    requests: Annotated[
        list[Path] | None,
        typer.Option("--requests", metavar="FILE", help="Of `slipway requests`; may be repeated."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="For report.md, report.html and report.json.")
    ] = Path(STATE_FOLDER, "report"),
) -> None:
    """Say what the commit does to the model: metrics, decisions, contract, parameters, cost."""
    from slipway.report import build, files  # noqa: PLC0415 - scikit-learn takes a second to import

    repository = Repository.here()
    name = params.load(repository.root / "params.yaml").model.name
    if environment:
        Environment.named(environment, repository)
    plans = [infra_summary.read(repository.root / file) for file in infrastructure or []]
    asked = [repository.root / file for file in requests or []]
    found = build.build(repository, name, base, environment, plans, asked)
    page = files.write(found, repository.root / out)
    reasons = [f"  {line}" for line in found.reasons]
    notes = [f"  not in it: {line}" for line in found.notes]
    say("\n".join([f"{found.verdict}: {found.title}", *reasons, *notes, f"  next: {page}"]))


def provenance(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="For example v1.2.0.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Instead of .slipway/provenance/RELEASE."),
    ] = None,
) -> None:
    """Write what goes with a release: bundle, notes, model card, bill of materials, statement of origin, signature."""
    from slipway.provenance import folder  # noqa: PLC0415 - scikit-learn takes a second to import

    repository = Repository.here()
    name = ReleaseName.parse(release, params.load(repository.root / "params.yaml").model.name)
    place = repository.root / (out or Path(STATE_FOLDER, "provenance", name.label))
    written = folder.write(repository, name, place)
    say(f"{name.tag}: {', '.join(written.files)}")
    if not written.signed:
        say(f"  not signed: {KEY} holds no key")
    say(f"  next: {written.folder / 'notes.md'}")


def _append(file: Path, line: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as output:
            output.write(f"{line}\n")
    except OSError as error:
        raise MachineError(f"{file} cannot be written to: {error.strerror}") from error


def _lift(repository: Repository, release: str) -> None:
    from slipway.release import quarantine  # noqa: PLC0415 - see context_of

    model = params.load(repository.root / "params.yaml").model.name
    name = ReleaseName.parse(release, model)
    found = quarantine.lift(repository, name, now(), shared=repository.has_origin)
    said = f"{name.label} may be rolled out again; {found.by} had barred it on {found.at:%Y-%m-%d %H:%M}"
    say(f"{said}: {found.reason}")
    say(f"  next: slipway deploy ENV {name.label}")
