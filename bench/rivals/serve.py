"""Serves the release that `current` points to, as one does without Slipway: uvicorn listens by itself."""

import sys
from pathlib import Path

import uvicorn

from slipway.serving.app import create_app
from slipway.serving.door import Door
from slipway.serving.release import Release

if __name__ == "__main__":
    home, address, port = sys.argv[1:]
    app = create_app(Release((Path(home) / "current").resolve()), Door(open=True))
    uvicorn.run(
        app,
        host=address,
        port=int(port),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
    )
