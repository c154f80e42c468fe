"""Runs one slot: `python -m slipway.serving --home FOLDER --slot blue --front-fd 0`."""

import argparse
import os
import socket
import sys
from pathlib import Path

import uvicorn

from slipway.errors import SlipwayError
from slipway.serving.app import MAX_BODY_BYTES, create_app
from slipway.serving.door import Door
from slipway.serving.patience import PatientProtocol
from slipway.serving.predictions import FOLDER, PredictionLog
from slipway.serving.release import Release
from slipway.serving.server import SlotServer
from slipway.serving.shadow import Shadow

# Longer than the 60 s after which a load balancer closes an idle connection: it must be the one to close.
_KEEP_ALIVE_SECONDS = 75
_LOG_SECONDS = 1.5
"""How long the end waits for the prediction log; the service manager kills soon after that."""
_PREDICTION_BYTES = "SLIPWAY_PREDICTION_BYTES"
"""What is newer than the first runtimes comes in the environment: a host may go back to one that does not know it."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the environment's folder")
    parser.add_argument("--slot", choices=("blue", "green"), required=True)
    parser.add_argument("--front-fd", type=int, required=True, help="descriptor of the listening front door")
    parser.add_argument("--lame-duck-seconds", type=float, default=2.0)
    parser.add_argument("--max-body-bytes", type=int, default=MAX_BODY_BYTES)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    try:
        release = Release((arguments.home / "slots" / arguments.slot).resolve())
    except SlipwayError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the service manager's log
        return error.exit_code
    most_bytes = int(os.environ.get(_PREDICTION_BYTES, "0"))
    log = PredictionLog(arguments.home / FOLDER, arguments.slot, most_bytes) if most_bytes else None
    shadow = Shadow(arguments.home, arguments.slot)
    door = Door()
    config = uvicorn.Config(
        create_app(release, door, (log, shadow) if log else (shadow,), arguments.max_body_bytes),
        loop="uvloop",
        http=PatientProtocol,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    side = socket.create_server(("127.0.0.1", 0))
    front = socket.socket(fileno=arguments.front_fd)
    server = SlotServer(
        config, door, front, arguments.home, arguments.slot, arguments.lame_duck_seconds, shadow
    )
    try:
        server.run(sockets=[side])
    finally:
        if log:
            log.close(_LOG_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
