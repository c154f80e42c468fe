"""Verbs on machines alone: what Terraform would change, has changed, and finds changed. No release is touched."""

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.context import context_of
from slipway.cli.options import AsJson, EnvironmentName
from slipway.cli.output import say, stderr, stdout
from slipway.fleet import texts as texts_of

_PENDING = 2

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Write it there, too, as Markdown and JSON."),
]

app = typer.Typer(help="Plan, apply and compare the machines of an environment.", rich_markup_mode=None)


@app.command()
def plan(environment: EnvironmentName, out: Out = None, *, as_json: AsJson = False) -> None:
    """Say what `infra apply` would change, by names and without a value. Exit code 2 where it would."""
    from slipway.fleet import infra_shown, infra_summary, infrastructure  # noqa: PLC0415 - see context_of

    command = f"slipway infra plan {environment}"
    context = context_of(environment, command, stderr() if as_json else stdout(), older=True)
    with context.progress.shown():
        found = infrastructure.planned(context)
    told = infra_summary.to_json(found)
    if out:
        texts = {"infrastructure.md": infra_shown.markdown(found), "infrastructure.json": told}
        texts_of.write(context.environment.repository.root / out, texts)
    say(told.rstrip() if as_json else "\n".join(infra_shown.lines(found)))
    raise typer.Exit(_PENDING if found.pending else 0)


@app.command()
def apply(
    environment: EnvironmentName,
    *,
    allow_destroy: Annotated[
        bool,
        typer.Option("--allow-destroy", help="Also where hosts, buckets, balancers or keys are lost."),
    ] = False,
) -> None:
    """Plan, say what it changes, and apply that very plan."""
    from slipway.fleet import infra_shown, infrastructure  # noqa: PLC0415

    command = f"slipway infra apply {environment}{' --allow-destroy' if allow_destroy else ''}"
    context = context_of(environment, command, older=True)
    with context.progress.shown():
        found = infrastructure.apply(
            context, lambda plan: say("\n".join(infra_shown.lines(plan))), allow_destroy=allow_destroy
        )
    if found.pending:
        say(f"\n{environment} has been applied\n  next: slipway status {environment}")


@app.command()
def drift(environment: EnvironmentName, out: Out = None, *, as_json: AsJson = False) -> None:
    """Say what was changed behind Terraform's back, whatever the code says. Exit code 2 where something was."""
    from slipway.fleet import infra_shown, infra_summary, infrastructure  # noqa: PLC0415

    command = f"slipway infra drift {environment}"
    context = context_of(environment, command, stderr() if as_json else stdout(), older=True)
    with context.progress.shown():
        found = infrastructure.drift(context)
    told = infra_summary.to_json(found)
    if out:
        texts = {"drift.md": infra_shown.drift_markdown(found), "drift.json": told}
        texts_of.write(context.environment.repository.root / out, texts)
    say(told.rstrip() if as_json else "\n".join(infra_shown.drift_lines(found)))
    raise typer.Exit(_PENDING if found.differences else 0)
