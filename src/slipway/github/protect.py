"""Sets the rules of `.github/rulesets` in a repository: what is protected stands in git, and is set again where it differs."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from slipway.errors import InputError
from slipway.github.api import Api
from slipway.github.workflow import Workflow

FOLDER = Path(".github", "rulesets")


class Ruleset(BaseModel):
    """One that the repository has; one of its organisation is in the same list."""

    id: int
    name: str
    source_type: str


def protect(workflow: Workflow, api: Api, root: Path) -> list[str]:
    """Make or change the rulesets of the same names; what was done, a line each.

    Raises:
        InputError: There are none, or one is not as GitHub has them.
    """
    wanted = [_read(file) for file in sorted((root / FOLDER).glob("*.json"))]
    if not wanted:
        raise InputError(f"{root / FOLDER} has no rulesets", next_command="git checkout -- .github/rulesets")
    path = f"{workflow.home}/rulesets"
    known = {each.name: each.id for each in api.each(Ruleset, path) if each.source_type == "Repository"}
    said = []
    for rules in wanted:
        name = rules["name"]
        if name in known:
            api.put(f"{path}/{known[name]}", rules)
        else:
            api.make(Ruleset, path, rules)
        said.append(f"{name}: {'set again' if name in known else 'made'}")
    return said


def _read(file: Path) -> dict[str, Any]:
    try:
        rules = json.loads(file.read_text(encoding="utf-8"))
        return {**rules, "name": str(rules["name"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is no ruleset: {error!r}") from error
