"""Writes a report's files: for a pull request, for people, and for programs."""

from pathlib import Path

from slipway.errors import MachineError
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{folder} cannot be written to: {error.strerror}") from error
    return folder / "report.html"
