"""Arguments that verbs share."""

from typing import Annotated

import typer

EnvironmentName = Annotated[str, typer.Argument(metavar="ENV", help="local, or another environment.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
