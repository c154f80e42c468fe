"""What the prediction log costs: `python -m bench.prediction_log [--seconds N]`.

Two processes serve the same model, one with the log and one without; the same connections ask both in turns, so that
whatever else the machine does meets both.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_TURN = 200
"""Requests to one process before it is the other one's turn."""


class Cost(NamedTuple):
    """Milliseconds of a request, one after the other over one connection."""

    requests: int
    median: float
    p99: float


def compare(bundle: Path, seconds: float) -> tuple[Cost, Cost]:
    """With the log, and without."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        record = _install(Path(folder), bundle)
        body = json.dumps(json.loads((record.parent / "bundle" / "golden.json").read_text())["rows"][0])
        doors = [stack.enter_context(_served(Path(folder), size)) for size in (2**28, 0)]
        times: list[list[float]] = [[], []]
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for door, found in zip(doors, times, strict=True):
                found += [_asked(door, body) for _ in range(_TURN)]
        logged, plain = (_cost(found[_TURN:]) for found in times)
    return logged, plain


def _cost(times: list[float]) -> Cost:
    return Cost(len(times), statistics.median(times), statistics.quantiles(times, n=100)[98])


def _asked(door: HTTPConnection, body: str) -> float:
    started = time.perf_counter()
    door.request("POST", "/predict", body)
    answer = door.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"answered {answer.status}")
    return 1000 * (time.perf_counter() - started)


def _install(home: Path, bundle: Path) -> Path:
    """Lay a release out as the role `model_server` does; its record."""
    release = home / "releases" / "v1.0.0"
    (release / "bundle").mkdir(parents=True)
    subprocess.run(["tar", "--extract", f"--file={bundle}", f"--directory={release / 'bundle'}"], check=True)
    manifest = json.loads((release / "bundle" / "manifest.json").read_text())
    record: dict[str, Any] = {"model": manifest["model"], "release": "v1.0.0", "commit": "0" * 40}
    (release / "release.json").write_text(json.dumps(record | {"bundle": "0" * 64, "runtime": "0" * 64}))
    (home / "slots").mkdir()
    for slot in ("blue", "green"):
        (home / "slots" / slot).symlink_to(Path("../releases/v1.0.0"))
    return release / "release.json"


@contextmanager
def _served(home: Path, log_bytes: int) -> Iterator[HTTPConnection]:
    """A connection to the front door of a process with a log of so many bytes, or with none."""
    slot = "blue" if log_bytes else "green"
    (home / "live").unlink(missing_ok=True)
    (home / "live").symlink_to(f"slots/{slot}")
    command = [sys.executable, "-m", "slipway.serving", "--home", str(home), "--slot", slot, "--front-fd"]
    environment = {**os.environ, "SLIPWAY_PREDICTION_BYTES": str(log_bytes)}
    with socket.create_server(("127.0.0.1", 0)) as front:
        descriptor = front.fileno()
        with subprocess.Popen([*command, str(descriptor)], pass_fds=[descriptor], env=environment) as process:
            try:
                with closing(HTTPConnection("127.0.0.1", front.getsockname()[1], timeout=30)) as door:
                    door.request("GET", "/readyz")  # waits in the socket's queue until the process is there
                    door.getresponse().read()
                    yield door
            finally:
                process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    logged, plain = compare(ROOT / "artifacts" / "bundle.tar", parser.parse_args().seconds)
    print("| a request | with the log | without | ratio |")
    print("|---|---|---|---|")
    for name in ("median", "p99"):
        with_, without = getattr(logged, name), getattr(plain, name)
        print(f"| {name} | {with_:.3f} ms | {without:.3f} ms | {with_ / without:.2f} |")


if __name__ == "__main__":
    main()
