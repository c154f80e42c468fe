"""Asks a slot through its side door, on its host: `python -m slipway.serving.probe ready|golden|live|gone`."""

import argparse
import fcntl
import json
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from slipway.errors import Refused, SlipwayError
from slipway.serving.door import announcement

_PAUSE_SECONDS = 0.05


def ask(home: Path, slot: str, path: str, body: Any = None) -> Any:
    """The JSON that the slot's process answers.

    Raises:
        OSError: There is no process, or it does not answer 200 and JSON.
    """
    port = json.loads(announcement(home, slot).read_text())["port"]
    data = None if body is None else json.dumps(body).encode()
    url = Request(f"http://127.0.0.1:{port}{path}", data)
    direct = build_opener(ProxyHandler({}))  # whatever proxy the host is told to use
    try:
        with direct.open(url, timeout=5) as answer:
            return json.load(answer)
    except (HTTPException, ValueError) as error:
        # A process that was killed leaves its port behind, and anything may listen there now.
        raise ConnectionError(f"port {port} is not answered by Slipway: {error!r}") from error


def ready(home: Path, slot: str) -> None:
    """Raise OSError until the slot is ready to serve the release that its link points to."""
    ask(home, slot, "/readyz")


def live(home: Path, slot: str) -> None:
    """Raise OSError until the slot answers at the front door."""
    if not ask(home, slot, "/readyz")["live"]:
        raise ConnectionError(f"{slot} is ready, but does not answer at the front door")


def gone(home: Path, slot: str) -> None:
    """Raise OSError while the slot's process is there."""
    try:
        with announcement(home, slot).open() as announced:
            fcntl.flock(announced, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        raise ConnectionError(f"{slot} has not stopped") from None


def golden(home: Path, slot: str) -> None:
    """Raise Refused unless the slot serves the release of its link and answers its golden rows soundly."""
    # They take most of a second to import on a busy host; the other checks need none of them.
    from slipway.bundle import Golden  # noqa: PLC0415
    from slipway.scorer import Prediction  # noqa: PLC0415
    from slipway.serving import release  # noqa: PLC0415

    folder = (home / "slots" / slot).resolve()
    expected = json.loads((folder / release.RECORD).read_text())
    found = ask(home, slot, "/metadata")
    if wrong := {name: found.get(name) for name in expected if found.get(name) != expected[name]}:
        raise Refused(f"{slot} should serve {expected['release']}, but says {wrong}")
    rows = Golden.model_validate_json((folder / release.BUNDLE / "golden.json").read_bytes())
    answers = [
        Prediction(**prediction)
        for row in rows.rows
        for prediction in ask(home, slot, "/predict", row)["predictions"]
    ]
    if differences := rows.differences(answers):
        raise Refused(f"{slot} fails its golden rows: {differences[0]}")


_CHECKS: dict[str, Callable[[Path, str], None]] = {
    "ready": ready,
    "live": live,
    "gone": gone,
    "golden": golden,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=_CHECKS)
    parser.add_argument("--home", type=Path, required=True, help="the environment's folder")
    parser.add_argument("--slot", choices=("blue", "green"), required=True)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long to wait for it")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.seconds
    while True:
        try:
            _CHECKS[arguments.check](arguments.home, arguments.slot)
        except (OSError, SlipwayError) as error:
            if isinstance(error, OSError) and time.monotonic() < until:
                time.sleep(_PAUSE_SECONDS)
                continue
            print(f"{arguments.slot}: {error}", file=sys.stderr)  # noqa: T201 - a program's one line
            return 1
        return 0


if __name__ == "__main__":
    sys.exit(main())
