"""Verbs on commits: tag one, rebuild it, tell what it does, hand it out."""

from pathlib import Path
from typing import Annotated

import typer

from slipway import params
from slipway.cli.context import now
from slipway.cli.options import AsJson
from slipway.cli.output import print_json, say, stderr, stdout
from slipway.fleet.environment import STATE_FOLDER, Environment
from slipway.fleet.progress import Progress
from slipway.release.git import Repository
from slipway.release.names import ReleaseName


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
    made = create.release(repository, params.load(repository.root / "params.yaml"), version, now())
    say(f"{made.name.tag}: {made.why}")
    say(f"  next: slipway deploy local {made.name.label}")


def verify(
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="A commit or a tag.")] = "HEAD",
    *,
    as_json: AsJson = False,
) -> None:
    """Rebuild a commit's pipeline in a clean room, and compare every output with its lock."""
    from slipway.release import verify as honest  # noqa: PLC0415 - DVC takes a second to import

    progress = Progress(stderr() if as_json else stdout())
    with progress.shown():

        def on_stage(stage: str, finding: honest.Finding | None) -> None:
            if finding is None:
                progress.begin("verify", stage)
            else:
                progress.end("; ".join([finding.verdict, *finding.reasons]))

        found = honest.verify(Repository.here(), revision, on_stage)
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
    found = build.build(repository, name, base, environment)
    page = files.write(found, repository.root / out)
    reasons = [f"  {line}" for line in found.reasons]
    say("\n".join([f"{found.verdict}: {found.title}", *reasons, f"  next: {page}"]))


def provenance(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="For example v1.2.0.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Instead of .slipway/provenance/RELEASE."),
    ] = None,
) -> None:
    """Write what goes with a release: bundle, notes, model card, bill of materials, statement of origin, signature."""
    from slipway.provenance import folder  # noqa: PLC0415 - scikit-learn takes a second to import
    from slipway.provenance.signature import KEY  # noqa: PLC0415

    repository = Repository.here()
    name = ReleaseName.parse(release, params.load(repository.root / "params.yaml").model.name)
    place = repository.root / (out or Path(STATE_FOLDER, "provenance", name.label))
    written = folder.write(repository, name, place)
    say(f"{name.tag}: {', '.join(written.files)}")
    if not written.signed:
        say(f"  not signed: {KEY} holds no key")
    say(f"  next: {written.folder / 'notes.md'}")


def _lift(repository: Repository, release: str) -> None:
    from slipway.release import quarantine  # noqa: PLC0415 - see context_of

    model = params.load(repository.root / "params.yaml").model.name
    name = ReleaseName.parse(release, model)
    found = quarantine.lift(repository, name, now())
    said = f"{name.label} may be rolled out again; {found.by} had barred it on {found.at:%Y-%m-%d %H:%M}"
    say(f"{said}: {found.reason}")
    if repository.has_origin:
        quarantine.share(repository, model)
    say(f"  next: slipway deploy ENV {name.label}")
