"""Runs `slipway` in a yard, however long it takes: the first deploy to fresh hosts installs the runtime on each."""

from tests.lab.yard import Yard


def does(yard: Yard, *arguments: str) -> str:
    """What it said; it must succeed."""
    with yard.begin(*arguments) as process:
        out, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"slipway {' '.join(arguments)}\n{out}{errors}")
    return out
