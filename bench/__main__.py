"""Prints the figures of docs/benchmarks.md: `make bench`; those of a fleet's swaps: `python -m bench swaps`.

Everything runs in a clone of this repository in a temporary folder, on a free port, as a user would run it.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import slot_start

_IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
ROOT = Path(__file__).resolve().parent.parent


class Figure(NamedTuple):
    """One line of the table: what, how long or large, the alternative, and what is expected."""

    what: str
    value: float
    unit: str
    alternative: str
    other: float
    expected: str


class Clone:
    """A fresh clone with the uncommitted changes of this one, and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "slipway"
        _run(["git", "clone", "--quiet", str(ROOT), str(self.root)], ROOT)
        for path in _run(["git", "ls-files", "-co", "--exclude-standard"], ROOT).splitlines():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / path).is_file():
                shutil.copy(ROOT / path, self.root / path)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.environment = {**os.environ, "TF_VAR_port": str(free.getsockname()[1])}
        # What `make` of this repository has put in front must not be found by the clone.
        self.environment["PATH"] = os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))
        )

    def timed(self, *command: str) -> float:
        started = time.perf_counter()
        _run(command, self.root, self.environment)
        return time.perf_counter() - started

    def set_c(self, value: float) -> None:
        """Change the hyper-parameter C."""
        file = self.root / "params.yaml"
        file.write_text(re.sub(r"\{C: [0-9.]+", f"{{C: {value}", file.read_text()))


def main() -> int:
    if sys.argv[1:2] == ["swaps"]:
        from bench import swaps  # noqa: PLC0415 - what a lab needs, is needed for this only

        return swaps.main(sys.argv[2:])
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        clone = Clone(Path(folder))
        try:
            figures = _measure(clone)
        finally:
            clone.timed("make", "down")
    _print(figures)
    return 0


def _measure(clone: Clone) -> list[Figure]:
    slipway, dvc = ".venv/bin/slipway", ".venv/bin/dvc"
    first = clone.timed("make", "up")
    second = clone.timed("make", "up")
    repro = min(clone.timed(dvc, "repro") for _ in range(3))
    status = min(clone.timed(dvc, "status") for _ in range(3))
    deploys, rollbacks = [], []
    for c in (0.5, 0.2, 0.1):
        clone.set_c(c)
        clone.timed("make", "train")
        deploys.append(clone.timed(slipway, "deploy", "local"))
        rollbacks.append(clone.timed(slipway, "rollback", "local"))
    forced = min(clone.timed(dvc, "repro", "--force") for _ in range(3))
    _run(["git", *_IDENTITY, "commit", "--quiet", "--all", "--message", "What was made"], clone.root)
    verified = min(clone.timed(slipway, "verify") for _ in range(3))
    home = clone.root / ".slipway" / "local"
    served, trained = slot_start.compare(clone.root)
    runtime = next((home / "runtimes").iterdir())
    serving_size, training_size = _megabytes(runtime), _megabytes(clone.root / ".venv")
    return [
        Figure("fresh make up", first, "s", "second make up", second, "packages in the cache"),
        Figure("second make up", second, "s", "fresh make up", first, "seconds"),
        Figure("no-op dvc repro", repro, "s", "dvc status", status, "< 1 s"),
        Figure("slipway verify", verified, "s", "dvc repro --force", forced, "ratio < 2"),
        Figure("deploy local, runtime in place", min(deploys), "s", "fresh make up", first, "< 10 s"),
        Figure("rollback local", min(rollbacks), "s", "deploy local", min(deploys), "< 6 s"),
        Figure(
            "slot start to first prediction", served, "s", "scikit-learn and a pickle", trained, "< 1.5 s"
        ),
        Figure("serving environment", serving_size, "MB", "training environment", training_size, "< 200 MB"),
    ]


def _megabytes(folder: Path) -> float:
    seen: dict[int, int] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values()) / 1e6


def _run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _print(figures: Sequence[Figure]) -> None:
    print("| figure | value | alternative | its value | ratio | expected |")
    print("|---|---|---|---|---|---|")
    for what, value, unit, alternative, other, expected in figures:
        ratio = f"{value / other:.2f}"
        print(f"| {what} | {value:.2f} {unit} | {alternative} | {other:.2f} {unit} | {ratio} | {expected} |")


if __name__ == "__main__":
    sys.exit(main())
