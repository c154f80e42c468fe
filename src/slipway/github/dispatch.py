"""Starts another workflow, which then runs as it stands on the branch that is named, whatever started this one."""

import re
from collections.abc import Sequence

from slipway.errors import InputError
from slipway.github.api import Api
from slipway.github.workflow import Workflow

_FILE = re.compile(r"[A-Za-z0-9._-]+\.ya?ml")


def dispatch(workflow: Workflow, api: Api, file: str, ref: str, inputs: Sequence[str]) -> str:
    """Start a workflow by its event `workflow_dispatch`; a line that tells what was done.

    Args:
        workflow: The run that asks.
        api: Its token needs `actions: write`.
        file: Of the workflow, as `deploy.yml`. It may be started twice where GitHub's answer is lost.
        ref: The branch whose file is run.
        inputs: As `name=value`.

    Raises:
        InputError: An input is none, or GitHub refuses.
        MachineError: GitHub does not answer.
    """
    if not _FILE.fullmatch(file):
        raise InputError(f"{file!r} is no file of a workflow; expected one such as deploy.yml")
    given = dict(_pair(each) for each in inputs)
    api.ask_for(f"{workflow.home}/actions/workflows/{file}/dispatches", {"ref": ref, "inputs": given})
    told = "".join(f", {name} {value}" for name, value in given.items())
    return (
        f"{file} is started on {ref}{told}: {workflow.server}/{workflow.repository}/actions/workflows/{file}"
    )


def _pair(given: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not name or not sign:
        raise InputError(f"{given!r} is no input; expected name=value")
    return name, value
