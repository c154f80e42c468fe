"""The summary of a Terraform plan for people: lines for a terminal, and Markdown."""

import re
from typing import NamedTuple

from slipway.fleet.infra_summary import Action, Change, Summary

_PLANNED = {
    Action.CREATE: "To create",
    Action.CHANGE: "To change in place",
    Action.REPLACE: "To replace",
    Action.DESTROY: "To destroy",
    Action.FORGET: "To forget, and leave where it is",
    Action.IMPORT: "To import",
    Action.MOVE: "To call by another address",
}
_FOUND = {
    Action.CREATE: "Made",
    Action.CHANGE: "Changed",
    Action.REPLACE: "Replaced",
    Action.DESTROY: "Gone",
    Action.FORGET: "Forgotten",
    Action.IMPORT: "Imported",
}
_UNCOUNTED = {Action.FORGET: "forget", Action.IMPORT: "import", Action.MOVE: "call by another address"}


class _Section(NamedTuple):
    title: str
    rows: list[tuple[str, str]]
    """A name, and what there is to say of it."""


def headline(found: Summary) -> str:
    """A plan in a sentence."""
    if not found.pending:
        return f"{found.environment}: an apply would change nothing"
    words = {Action.CHANGE: "change in place", **_UNCOUNTED}
    counts = [f"{count} to {words.get(Action(name), name)}" for name, count in found.counts.items()]
    number = len(found.outputs)
    outputs = [f"{number} output{'s' if number > 1 else ''}"] if number else []
    return f"{found.environment}: {', '.join([*counts, *outputs])}"


def drift_headline(found: Summary) -> str:
    """How what is there differs from the state, in a sentence."""
    if not found.differences:
        return f"{found.environment}: what is there is as it was left"
    gone = sum(each.action is Action.DESTROY for each in found.differences)
    return f"{found.environment}: {len(found.differences) - gone} changed and {gone} gone behind Terraform's back"


def cost_line(found: Summary) -> str:
    """What it costs; empty where that is nothing, or cannot be told."""
    before, after = (found.cost.before, found.cost.after) if found.cost else (0, 0)
    if not (before or after):
        return ""
    if before == after:
        return f"It costs ${after:,.2f} a month, by the price table, as before."
    return f"It will cost ${after:,.2f} a month, by the price table; before ${before:,.2f} ({after - before:+,.2f})."


def lines(found: Summary) -> list[str]:
    """A plan for a terminal."""
    said = [headline(found), *_lines(_plan(found))]
    return [*said, "", cost_line(found)] if cost_line(found) else said


def drift_lines(found: Summary) -> list[str]:
    """The differences for a terminal."""
    return [drift_headline(found), *_lines(_drift(found))]


def markdown(found: Summary, level: int = 2) -> str:
    """A plan in Markdown.

    Args:
        found: The plan.
        level: Of its heading.
    """
    cost = cost_line(found).replace("$", "\\$")
    return _page(
        f"Infrastructure of {headline(found)}", [*([cost] if cost else []), *_parts(_plan(found))], level
    )


def drift_markdown(found: Summary) -> str:
    """The differences in Markdown."""
    return _page(f"Drift of {drift_headline(found)}", _parts(_drift(found)), 2)


def danger(change: Change) -> str:
    """What would be lost, as `replaces a host`."""
    verb = "replaces" if change.action is Action.REPLACE else "destroys"
    forced = f", forced by {', '.join(change.forced_by)}" if change.forced_by else ""
    return f"{verb} a {change.kind}{forced}"


def _plan(found: Summary) -> list[_Section]:
    sections = [
        _Section("DANGEROUS", [(each.address, danger(each)) for each in found.dangerous]),
        *(_of(title, found.changes, action) for action, title in _PLANNED.items()),
        _Section("Outputs that change", [(name, "") for name in found.outputs]),
        _Section(
            "Changed behind Terraform's back",
            [(each.address, _said(each)) for each in found.differences],
        ),
    ]
    return [each for each in sections if each.rows]


def _drift(found: Summary) -> list[_Section]:
    gone = [(each.address, f"a {each.kind} is gone") for each in found.missing]
    sections = [
        _Section("DANGEROUS", gone),
        *(_of(title, found.differences, action) for action, title in _FOUND.items()),
    ]
    return [each for each in sections if each.rows]


def _of(title: str, changes: tuple[Change, ...], action: Action) -> _Section:
    rows = [(each.address, _said(each)) for each in changes if each.action is action]
    return _Section(f"{title} ({len(rows)})", rows)


def _said(change: Change) -> str:
    if change.action is Action.DESTROY:
        return "" if change.kind is None else f"a {change.kind}"
    forced = f"forced by {', '.join(change.forced_by)}" if change.forced_by else ""
    others = ", ".join(name for name in change.attributes if name not in change.forced_by)
    return "; ".join(part for part in (forced, others) if part)


def _lines(sections: list[_Section]) -> list[str]:
    said: list[str] = []
    for title, rows in sections:
        said += ["", title, *(f"  {name}{': ' if words else ''}{words}" for name, words in rows)]
    return said


def _parts(sections: list[_Section]) -> list[str]:
    parts = []
    for title, rows in sections:
        listed = "\n".join(f"- {_code(name)}{': ' if words else ''}{words}" for name, words in rows)
        parts.append(f"**{'⚠️ Dangerous' if title == 'DANGEROUS' else title}**\n\n{listed}")
    return parts


def _page(title: str, parts: list[str], level: int) -> str:
    return "\n\n".join([f"{'#' * level} {title}", *parts]) + "\n"


def _code(name: str) -> str:
    """A name as it is, whoever gave it: an address holds the keys of `for_each`."""
    name = " ".join(name.split())
    ticks = max(map(len, re.findall("`+", name)), default=0)
    fence = "`" * (ticks + 1)
    return f"{fence} {name} {fence}" if ticks else f"`{name}`"
