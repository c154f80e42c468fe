"""The report as Markdown: a comment on a pull request, read from the top."""

import re
from collections.abc import Iterable, Sequence
from math import isfinite

from slipway.fleet import infra_shown
from slipway.report.build import Report, Verdict
from slipway.report.comparison import Comparison, Metric, Replay

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_SIGNS = {Verdict.STOP: "⛔ Stop", Verdict.LOOK: "⚠️ Look", Verdict.FINE: "✅ Fine"}


def write(found: Report) -> str:
    """The whole report; it ends with a line feed."""
    return joined(
        [head(found), *(part for each in found.comparisons for part in comparison(each)), tail(found)]
    )


def joined(parts: Iterable[str]) -> str:
    """Parts as one text."""
    return "\n\n".join(part.rstrip() for part in parts if part.strip()) + "\n"


def head(found: Report) -> str:
    """The verdict, and what follows from it."""
    version = [f"It would be released as **{plain(found.version)}**."] if found.version else []
    return joined([f"## {_SIGNS[found.verdict]}: {found.title}", listing(found.reasons), *version])


def tail(found: Report) -> str:
    """What is not about models."""
    return joined(
        [
            *([] if found.comparisons else [_alone(found)]),
            *(infra_shown.markdown(each, level=3) for each in found.infrastructure),
            _rollout(found),
            *(["### Not in this report", listing(found.notes)] if found.notes else []),
        ]
    )


def comparison(found: Comparison) -> tuple[str, str]:
    """The metrics, and the rest: a page has a picture of the metrics between them."""
    return joined([f"### Against {plain(found.old)}", _metrics(found)]), joined(_details(found))


def _details(found: Comparison) -> list[str]:
    parts = []
    if found.same_model:
        parts.append("The model is the same, byte for byte.")
    if found.note:
        parts.append(
            f"Both models could not be asked the same rows: {plain(found.note)}. The figures are each one's own."
        )
    if found.decisions and not found.same_model:
        parts.append(
            f"Of {found.decisions.rows} decisions on validation, {found.decisions.righted} are right that were wrong, "
            f"and {found.decisions.wronged} wrong that were right."
        )
    if found.slices:
        rows = [
            (part.rows, str(part.size), f"{part.old:.1%}", f"{part.new:.1%}", "yes" if part.sure else "no")
            for part in found.slices
        ]
        heads = ("rows with", "rows", "right before", "right now", "more than chance")
        parts += ["**Where fewer decisions are right**", table(heads, rows)]
    if found.golden_rows and not found.same_model:
        parts.append(_golden(found))
    if found.recorded and not found.same_model:
        parts += _recorded(found.recorded)
    return [*parts, *_interface(found), *_data(found), *_cost(found)]


def _metrics(found: Comparison) -> str:
    rows = [
        (
            each.name,
            f"{each.old:.4f}",
            f"{each.new:.4f}",
            f"{each.new - each.old:+.4f}",
            _interval(each),
            each.verdict,
        )
        for each in found.metrics
    ]
    heads = ("validation", "before", "now", "difference", "95 % interval", "")
    return table(heads, rows) if rows else "It has recorded no metrics."


def _interval(metric: Metric) -> str:
    if metric.interval is None or not isfinite(metric.interval.low):
        return ""
    return f"{metric.interval.low:+.4f} to {metric.interval.high:+.4f}"


def _golden(found: Comparison) -> str:
    if not found.golden:
        return f"None of its {found.golden_rows} golden rows is decided otherwise."
    rows = [(str(each.row), each.old, each.new) for each in found.golden]
    title = f"**Golden rows that are decided otherwise** ({len(rows)} of {found.golden_rows})"
    return f"{title}\n\n{table(('row', 'before', 'now'), rows)}"


def _recorded(found: Replay) -> Iterable[str]:
    before, now = found.positive
    refused = f", and {found.refused} would be refused" if found.refused else ""
    yield (
        f"Of {found.rows} rows of recorded requests, {found.changed} are decided otherwise{refused}. "
        f"The share of positive decisions is {now:.1%}, before {before:.1%}."
    )
    if found.shown:
        more = f", the {len(found.shown)} that change most" if found.changed > len(found.shown) else ""
        yield f"**Recorded requests that are decided otherwise**{more}"
        yield table(
            ("request", "before", "now"), [(str(each.row), each.old, each.new) for each in found.shown]
        )


def _interface(found: Comparison) -> Iterable[str]:
    if found.interface:
        lines = [f"{'breaks callers: ' if each.breaks else ''}{each.what}" for each in found.interface]
        return ["**Contract**", listing(lines)]
    return []


def _data(found: Comparison) -> Iterable[str]:
    if found.parameters:
        yield "**params.yaml**"
        yield listing(found.parameters)
    if found.rows and found.rows[0] != found.rows[1]:
        yield f"It is trained on {found.rows[1]} rows, before on {found.rows[0]}."
    if found.moved:
        yield "**Columns of the training data that have moved**"
        rows = [(each.column, each.before, each.now, f"{each.distance:.2f}") for each in found.moved]
        yield table(("column", "before", "now", "distance (0 to 1)"), rows)


def _cost(found: Comparison) -> Iterable[str]:
    if found.milliseconds:
        before, now = found.milliseconds
        yield f"A prediction takes {now:.3f} ms on this machine, before {before:.3f} ms (x{now / before:.2f})."
    if found.bundle_bytes:
        before, now = found.bundle_bytes
        yield f"The bundle has {now / 1024:.0f} KiB, before {before / 1024:.0f} KiB."


def _alone(found: Report) -> str:
    rows = [(name, f"{value:.4f}") for name, value in found.metrics.items()]
    return table(("validation", "now"), rows) if rows else ""


def _rollout(found: Report) -> str:
    if (plan := found.rollout) is None:
        return ""
    bake = (
        f", with a bake of {plan.bake_seconds:g} s between them" if plan.bake_seconds else ", without a bake"
    )
    back = (
        f"`slipway rollback {plan.environment}` would go back to {plan.live}."
        if plan.live
        else "There is nothing to go back to yet."
    )
    return f"### Roll-out to {plan.environment}\n\nIn batches of {', '.join(plan.batches)} of its hosts{bake}. {back}"


def listing(lines: Sequence[str]) -> str:
    """Lines with bullets."""
    return "\n".join(f"- {plain(line)}" for line in lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; rows are as long as its heads."""
    lines = [heads, ["---"] * len(heads), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(words: str) -> str:
    """Words as they are, whoever wrote them: nothing in them is markup, is hidden, or turns the direction of what is read."""
    return re.sub(r"([\\`*\[\]<>|~!&])", r"\\\1", _UNSEEN.sub("", " ".join(words.split())))
