"""Verbs of workflows: what they say on GitHub."""

import os
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.output import say

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
