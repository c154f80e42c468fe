"""Which events start a workflow, and with what inputs: GitHub's filters of branches, tags, paths and activities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.workflows.values import text
from tests.workflows.workflow import Workflow, WorkflowError, known, listed, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.workflows.events import Event

_PART = re.compile(r"\*\*/|\*\*|\*|\?|\+|\[[^\]]+\]|\\.|.", re.DOTALL)
_MEANS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "?", "+": "+"}


def expression(pattern: str) -> re.Pattern[str]:
    """A pattern of GitHub's as a regular expression: `?` and `+` repeat what stands before them, as they do there."""

    def means(part: str) -> str:
        if part in _MEANS or part.startswith("["):
            return _MEANS.get(part, part)
        return re.escape(part[-1])

    return re.compile("".join(means(part) for part in _PART.findall(pattern)))


def passes(patterns: Iterable[str], name: str) -> bool:
    """Whether a name passes: the last pattern that matches decides, and one with `!` takes away."""
    verdict = False
    for pattern in patterns:
        if expression(pattern.removeprefix("!")).fullmatch(name):
            verdict = not pattern.startswith("!")
    return verdict


def starts(workflow: Workflow, event: Event) -> bool:
    """Whether an event starts a workflow."""
    return event.name in workflow.on and _FILTERS[event.name](workflow.on[event.name] or {}, event)


def _scheduled(times: Any, event: Event) -> bool:
    return event.payload["schedule"] in [each["cron"] for each in times]


def _proposed(filters: Mapping[str, Any], event: Event) -> bool:
    types = listed(filters.get("types")) or ["opened", "synchronize", "reopened"]
    if event.payload["action"] not in types:
        return False
    return _named(filters, "branches", event.base_ref) and _touched(filters, event)


def _followed(filters: Mapping[str, Any], event: Event) -> bool:
    before = event.payload["workflow_run"]
    types = listed(filters.get("types")) or [event.payload["action"]]
    return (
        event.payload["action"] in types
        and before["name"] in listed(filters["workflows"])
        and _named(filters, "branches", before["head_branch"])
    )


def _pushed(filters: Mapping[str, Any], event: Event) -> bool:
    if event.payload.get("deleted"):
        return False
    kind, other = ("tags", "branches") if event.ref_type == "tag" else ("branches", "tags")
    if not {kind, f"{kind}-ignore"} & set(filters) and {other, f"{other}-ignore"} & set(filters):
        return False
    return _named(filters, kind, event.ref_name) and (event.ref_type == "tag" or _touched(filters, event))


def _named(filters: Mapping[str, Any], kind: str, name: str) -> bool:
    if kind in filters:
        return passes(listed(filters[kind]), name)
    return not passes(listed(filters.get(f"{kind}-ignore")), name)


def _touched(filters: Mapping[str, Any], event: Event) -> bool:
    if "paths" in filters:
        return any(passes(listed(filters["paths"]), path) for path in event.changed())
    if "paths-ignore" in filters:
        return any(not passes(listed(filters["paths-ignore"]), path) for path in event.changed())
    return True


_FILTERS: Mapping[str, Callable[[Any, Event], bool]] = {
    "push": _pushed,
    "pull_request": _proposed,
    "workflow_run": _followed,
    "schedule": _scheduled,
    "workflow_dispatch": lambda *_: True,
}


def inputs(declared: Mapping[str, Any] | None, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The inputs of a run: those given, or their defaults, each of its declared type."""
    declared = {name: body or {} for name, body in (declared or {}).items()}
    known(given, declared, f"{where}: inputs")
    required = (name for name, body in declared.items() if body.get("required") and "default" not in body)
    missing(set(required) - {name for name, value in given.items() if value != ""}, f"{where}: inputs")
    return {name: _typed(name, body, given.get(name), where) for name, body in declared.items()}


def _typed(name: str, body: Mapping[str, Any], given: Any, where: str) -> Any:
    kind, value = body.get("type", "string"), body.get("default") if given is None else given
    options: Sequence[str] = body.get("options", ())
    if value is None:
        return {"boolean": False, "number": 0}.get(kind, "")
    if kind == "boolean" and text(value) in {"true", "false"}:
        return text(value) == "true"
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text(value)):
        return float(text(value))
    if kind in {"string", "environment"} or (kind == "choice" and value in options):
        return text(value)
    raise WorkflowError(
        f"{where}: inputs: {name}: {value!r} is not of type {kind} {list(options) or ''}".rstrip()
    )
