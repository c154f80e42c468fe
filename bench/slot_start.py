"""From the start of a process to its first prediction: a slot, against scikit-learn with a pickled pipeline."""

import json
import pickle
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pandas as pd

from slipway import params
from slipway.pipeline import train

_PATIENCE_SECONDS = 30
_RUNS = 5

# What one would write without Slipway: the pickled pipeline behind FastAPI.
_ALTERNATIVE = """
import pickle, sys, pandas, uvicorn
from fastapi import FastAPI, Request
pipeline = pickle.load(open(sys.argv[1], "rb"))
app = FastAPI()
@app.post("/predict")
async def predict(request: Request):
    return pipeline.predict_proba(pandas.DataFrame([await request.json()]))[:, 1].tolist()
uvicorn.run(app, fd=int(sys.argv[2]), log_level="error")
"""


def compare(root: Path) -> tuple[float, float]:
    """Seconds, the median of some starts: of a slot of the environment `local` of `root`, and of the pickle."""
    home = root / ".slipway" / "local"
    row = json.loads((home / "live" / "bundle" / "golden.json").read_text())["rows"][0]
    slot = (home / "live").resolve()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        (copy / "slots").mkdir()
        (copy / "slots" / "blue").symlink_to(slot)
        (copy / "live").symlink_to("slots/blue")
        model = copy / "pipeline.pickle"
        settings = params.load(root / "params.yaml")
        rows = pd.read_parquet(root / "data" / "train.parquet")
        model.write_bytes(pickle.dumps(train.train(rows, settings.contract, settings.train)))
        ours = [str(slot / "runtime" / "bin" / "python"), "-m", "slipway.serving"]
        ours += ["--home", folder, "--slot", "blue", "--front-fd"]
        theirs = [sys.executable, "-W", "ignore", "-c", _ALTERNATIVE, str(model)]
        return _median(ours, row), _median(theirs, row)


def _median(command: list[str], row: dict[str, float]) -> float:
    return sorted(_first_prediction(command, row) for _ in range(_RUNS))[_RUNS // 2]


def _first_prediction(command: list[str], row: dict[str, float]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as front:
        request = Request(f"http://127.0.0.1:{front.getsockname()[1]}/predict", json.dumps(row).encode())
        started = time.perf_counter()
        with subprocess.Popen([*command, str(front.fileno())], pass_fds=[front.fileno()]) as process:
            try:
                # The socket listens already, so the request waits in its queue for the process.
                with urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
                    if not re.search(rb"[0-9]", answer.read()):
                        raise RuntimeError("no prediction")
                return time.perf_counter() - started
            finally:
                process.terminate()
