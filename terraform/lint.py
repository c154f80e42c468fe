# /// script
# requires-python = "==3.11.*"
# dependencies = ["checkov==3.3.22"]
# ///
"""checkov on terraform/ and on the workflows: in an environment of its own, as its pins are at odds with ours.

`uv run --script --locked terraform/lint.py`; `uv lock --script terraform/lint.py --upgrade` renews the lock.
"""

import sys
from pathlib import Path

from checkov.main import Checkov  # type: ignore[import-not-found]

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {"terraform": "terraform", "github_actions": "."}
"""The folder for each. For workflows it is the root: checkov knows them by their path below the folder, and finds almost
nothing when it is told `.github/workflows`."""
OPTIONS = ["--quiet", "--compact", "--skip-download"]


def check(framework: str, folder: str) -> int:
    arguments = ["--directory", str(ROOT / folder), "--framework", framework, *OPTIONS, *sys.argv[1:]]
    return int(Checkov(arguments).run() or 0)


def main() -> int:
    return max([check(framework, folder) for framework, folder in FRAMEWORKS.items()])


if __name__ == "__main__":
    sys.exit(main())
