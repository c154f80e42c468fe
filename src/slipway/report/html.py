"""The report as one page that needs nothing else: the Markdown, and a picture of what is surely better or worse."""

from html import escape
from math import isfinite

from markdown_it import MarkdownIt

from slipway.report import markdown
from slipway.report.build import Report
from slipway.report.comparison import Comparison, Metric

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; color: #1c2024; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .3rem .8rem; border-bottom: 1px solid #d8dde3; text-align: left }
th { font-weight: 600 } td { font-variant-numeric: tabular-nums } code { background: #f0f2f5; padding: 0 .25rem }
h2 { margin-top: 0 } h3 { margin-top: 2.5rem; border-top: 2px solid #1c2024; padding-top: .5rem } svg { max-width: 100% }
"""
_COLOURS = {"better": "#1a7f37", "not sure": "#6e7781", "the same": "#6e7781", "worse": "#b42318"}
_WIDTH, _LEFT, _LINE = 720, 190, 28
_PLOT = _WIDTH - _LEFT - 20


def write(found: Report) -> str:
    """The whole page."""
    body = "".join(
        [
            _MARKDOWN.render(markdown.head(found)),
            *(_comparison(each) for each in found.comparisons),
            _MARKDOWN.render(markdown.tail(found)),
        ]
    )
    title = escape(f"Slipway: {found.title}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f"</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _comparison(found: Comparison) -> str:
    """The picture stands with the metrics that it is of."""
    metrics, rest = markdown.comparison(found)
    return f"{_MARKDOWN.render(metrics)}{_picture(found)}{_MARKDOWN.render(rest)}"


def _picture(found: Comparison) -> str:
    """Each metric's difference with its interval, on one scale; what lies right of the line is better."""
    shown = [each for each in found.metrics if each.interval and isfinite(each.interval.low)]
    if not shown or found.same_model:
        return ""
    reach = max(max(abs(low), abs(high)) for low, high in map(_gain, shown)) or 1.0
    height = _LINE * (len(shown) + 1)
    zero = _LEFT + _PLOT / 2
    rows = "".join(_row(each, number, reach) for number, each in enumerate(shown))
    caption = "What is better lies to the right, with 95 % intervals"
    return (
        f'<p>{caption}</p>\n<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{caption}" font-size="14">\n'
        f'<line x1="{zero}" y1="0" x2="{zero}" y2="{height - _LINE}" stroke="#1c2024"/>\n{rows}'
        f'<text x="{_LEFT}" y="{height - 8}" fill="#6e7781">{-reach:+.3f}</text>'
        f'<text x="{_WIDTH - 20}" y="{height - 8}" text-anchor="end" fill="#6e7781">{reach:+.3f}</text>\n</svg>\n'
    )


def _row(metric: Metric, number: int, reach: float) -> str:
    low, high = (_LEFT + _PLOT * (1 + value / reach) / 2 for value in _gain(metric))
    middle = _LEFT + _PLOT * (1 + _sign(metric) * (metric.new - metric.old) / reach) / 2
    height = _LINE * (number + 0.5)
    colour = _COLOURS[metric.verdict]
    return (
        f'<text x="0" y="{height + 5}">{escape(metric.name)}</text>'
        f'<line x1="{low:.1f}" y1="{height}" x2="{high:.1f}" y2="{height}" stroke="{colour}" stroke-width="3"/>'
        f'<circle cx="{middle:.1f}" cy="{height}" r="5" fill="{colour}"><title>{metric.verdict}</title></circle>\n'
    )


def _gain(metric: Metric) -> tuple[float, float]:
    """The interval, turned so that more is better."""
    assert metric.interval is not None  # noqa: S101 - for the type checker: others are not shown
    low, high = metric.interval
    return (low, high) if _sign(metric) > 0 else (-high, -low)


def _sign(metric: Metric) -> int:
    return -1 if metric.is_loss else 1
