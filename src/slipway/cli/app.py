"""The command line: its verbs in the order of `slipway --help`, and how a command ends."""

import signal
import sys
from collections.abc import Callable
from typing import Any

import typer

from slipway.cli import fleet, github, infra, release
from slipway.cli.output import complain, stderr
from slipway.errors import SlipwayError

_CANCELLED, _USAGE = 130, 64

app = typer.Typer(
    help="Releases machine-learning models: git, pull request, tag, roll-out, roll-back.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(fleet.up)
app.command()(fleet.down)
app.command()(fleet.deploy)
app.command()(fleet.rollback)
app.command()(fleet.reconcile)
app.command()(fleet.plan)
app.command()(fleet.status)
app.command()(fleet.history)
app.command()(fleet.requests)
app.command()(release.release)
app.command()(release.verify)
app.command()(release.report)
app.command()(release.provenance)
app.command()(fleet.doctor)
app.add_typer(infra.app, name="infra")
app.add_typer(github.app, name="github")


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
    try:
        code = int(command() or 0)
    except typer.TyperException as error:
        complain(f"error: {error.format_message()}\n  next: slipway --help")
        return _USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = _CANCELLED
    except SlipwayError as error:
        if debug:
            stderr().print_exception()
        complain(f"error: {error}")
        return error.exit_code
    # Typer, too, turns an interrupt into this code.
    if code == _CANCELLED:
        complain("cancelled; the same command again finishes the work")
    return code
