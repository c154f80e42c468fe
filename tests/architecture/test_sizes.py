"""A file of Python is short enough to be read at one sitting."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 400


def files() -> list[str]:
    """Every file of Python that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


FILES = files()


def test_the_files_are_found() -> None:
    assert {"src/slipway/bundle.py", "tests/architecture/test_sizes.py"} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_a_file_has_no_more_lines_than_can_be_read(file: str) -> None:
    lines = len((ROOT / file).read_text().splitlines())

    assert lines <= MOST_LINES, f"{file} has {lines} lines: split it by what its parts are about"
