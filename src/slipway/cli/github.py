"""Verbs of workflows: what they say on GitHub."""

import os
from pathlib import Path
from typing import Annotated

import typer

from slipway import params
from slipway.cli.output import say
from slipway.release.git import Repository

app = typer.Typer(help="Say on GitHub what a workflow has found; for workflows only.", rich_markup_mode=None)


@app.command()
def comment(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With report.md.")]) -> None:
    """Keep the report of a pull request's run in one comment; for a workflow started by `workflow_run`."""
    from slipway.github import comment as keeper  # noqa: PLC0415 - `--help` needs no HTTP
    from slipway.github.api import Api  # noqa: PLC0415
    from slipway.github.workflow import here  # noqa: PLC0415

    workflow = here(os.environ, "slipway github comment")
    with Api(workflow) as api:
        for line in keeper.keep(workflow, api, folder):
            say(line)


@app.command()
def release(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="For example v1.2.0; its tag is pushed.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With notes.md, and the files to add.")],
) -> None:
    """Make the GitHub Release of a tag, or complete it; what it has does not change (exit code 3)."""
    from slipway.github import release as publisher  # noqa: PLC0415
    from slipway.github.api import Api  # noqa: PLC0415
    from slipway.github.workflow import here  # noqa: PLC0415
    from slipway.release import chain  # noqa: PLC0415
    from slipway.release.names import ReleaseName  # noqa: PLC0415

    workflow = here(os.environ, "slipway github release")
    repository = Repository.here()
    name = ReleaseName.parse(release, params.load(repository.root / "params.yaml").model.name)
    chain.check(repository, name)
    with Api(workflow) as api:
        for line in publisher.publish(workflow, api, name, folder):
            say(line)


@app.command()
def issue(
    title: Annotated[str, typer.Option("--title", help="By which it is found again.")],
    body_file: Annotated[
        Path | None,
        typer.Option("--body-file", metavar="FILE", help="What is wrong, or why it no longer is."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="For a new one; may be repeated.")
    ] = None,
    *,
    close: Annotated[bool, typer.Option("--close", help="All is well again.")] = False,
) -> None:
    """Keep one open issue that says what is wrong, until it is closed."""
    from slipway.github import files  # noqa: PLC0415
    from slipway.github import issue as keeper  # noqa: PLC0415
    from slipway.github.api import Api  # noqa: PLC0415
    from slipway.github.workflow import here  # noqa: PLC0415

    if body_file is None and not close:
        raise typer.BadParameter("Missing option '--body-file', or '--close'.")
    workflow = here(os.environ, "slipway github issue")
    words = files.text(body_file.parent, body_file.name) if body_file else "all is well again."
    with Api(workflow) as api:
        if close:
            say(keeper.close(workflow, api, title, words))
        else:
            say(keeper.keep(workflow, api, title, words, label or []))


@app.command()
def dispatch(
    file: Annotated[str, typer.Argument(metavar="WORKFLOW", help="For example deploy.yml.")],
    ref: Annotated[str, typer.Option("--ref", metavar="BRANCH", help="As it stands there.")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
) -> None:
    """Start another workflow, of which a second run does no harm, on a branch."""
    from slipway.github import dispatch as starter  # noqa: PLC0415
    from slipway.github.api import Api  # noqa: PLC0415
    from slipway.github.workflow import here  # noqa: PLC0415

    workflow = here(os.environ, "slipway github dispatch")
    with Api(workflow) as api:
        say(starter.dispatch(workflow, api, file, ref, inputs or []))


@app.command()
def protect() -> None:
    """Set the rules of .github/rulesets, by GITHUB_REPOSITORY and a GITHUB_TOKEN that may administer it."""
    from slipway.github import protect as guard  # noqa: PLC0415
    from slipway.github.api import Api  # noqa: PLC0415
    from slipway.github.workflow import anywhere  # noqa: PLC0415

    workflow = anywhere(os.environ, "slipway github protect")
    with Api(workflow) as api:
        for line in guard.protect(workflow, api, Repository.here().root):
            say(line)
