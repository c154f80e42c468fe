# /// script
# requires-python = "==3.11.*"
# dependencies = ["checkov==3.3.22"]
# ///
"""checkov on terraform/: in an environment of its own, as its pins are at odds with ours.

`uv run --script --locked terraform/lint.py`; `uv lock --script terraform/lint.py --upgrade` renews the lock.
"""

import sys
from pathlib import Path

from checkov.main import Checkov  # type: ignore[import-not-found]

OPTIONS = ["--framework", "terraform", "--quiet", "--compact", "--skip-download"]


def main() -> int:
    folder = str(Path(__file__).parent)
    return int(Checkov(["--directory", folder, *OPTIONS, *sys.argv[1:]]).run() or 0)


if __name__ == "__main__":
    sys.exit(main())
