"""Writes a report's files: for a pull request, for people, and for programs."""

from pathlib import Path

from slipway.fleet import texts as texts_of
from slipway.report import build, html, markdown
from slipway.report.build import Report


def write(found: Report, folder: Path) -> Path:
    """Write `report.md`, `report.html` and `report.json`.

    Args:
        found: What they say.
        folder: Where; it is made.

    Returns:
        The page.

    Raises:
        MachineError: The folder cannot be written to.
    """
    texts = {
        "report.md": markdown.write(found),
        "report.html": html.write(found),
        "report.json": build.to_json(found),
    }
    texts_of.write(folder, texts)
    return folder / "report.html"
