"""The modules of the role `model_server`, and folders and processes as it leaves them on a host."""

import importlib.util
import json
import os
import sys
import tarfile
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

from slipway import bundle

ROLE = Path(__file__).parents[2] / "ansible/roles/model_server"
DIGEST = "sha256=" + urlsafe_b64encode(sha256(b"x = 1\n").digest()).decode().rstrip("=")
WANTED = {"model": "wear", "release": "v1.1.0", "commit": "c" * 40, "bundle": "b" * 64, "runtime": "1" * 64}


def loaded(name: str, file: Path) -> ModuleType:
    """A module that lies in no package."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Home:
    """An environment's folder, as the role lays it out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        for name in ("releases", "runtimes", "slots", "run", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def release(self, label: str, runtime: str = "1") -> dict[str, str]:
        """Install a release and its runtime; its record."""
        folder = self.folder / "releases" / label
        (folder / "bundle").mkdir(parents=True)
        tar = bundle.tar({"model.onnx": label.encode(), "manifest.json": b'{"model": "wear"}'})
        (folder / "bundle.tar").write_bytes(tar)
        with tarfile.open(folder / "bundle.tar") as archive:
            archive.extractall(folder / "bundle", filter="data")
        record = {
            **WANTED,
            "release": label,
            "bundle": sha256(tar).hexdigest(),
            "runtime": runtime * 64,
        }
        (folder / "release.json").write_text(json.dumps(record))
        self.runtime(runtime)
        (folder / "runtime").symlink_to(Path("../../runtimes") / (runtime * 16))
        return record

    def runtime(self, runtime: str) -> None:
        (self.folder / "runtimes" / (runtime * 16)).mkdir(parents=True, exist_ok=True)
        installed = self.folder / "runtimes" / (runtime * 16)
        (installed / ".complete").touch()
        (installed / "requirements.txt").write_text("Some.Package==1.0 \\\n    --hash=sha256:00\n")
        packages = installed / "lib" / "python3.11" / "site-packages"
        (packages / "some_package-1.0.dist-info").mkdir(parents=True, exist_ok=True)
        (packages / "some.py").write_text("x = 1\n")
        (packages / "some_package-1.0.dist-info" / "RECORD").write_text(f"some.py,{DIGEST},6\n")

    def live(self, slot: str, label: str) -> None:
        for link, goal in ((f"slots/{slot}", f"../releases/{label}"), ("live", f"slots/{slot}")):
            (self.folder / link).unlink(missing_ok=True)
            (self.folder / link).symlink_to(goal)

    def log(self, *labels: str) -> None:
        with (self.folder / "releases.jsonl").open("a") as log:
            for label in labels:
                log.write(json.dumps({**WANTED, "release": label, "action": "deploy"}) + "\n")

    def announce(self, slot: str, port: int) -> None:
        (self.folder / "run" / f"{slot}.json").write_text(json.dumps({"pid": os.getpid(), "port": port}))


class Process:
    """What a slot's process answers at its side door."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, tuple[int, bytes]] = {}

    def says(self, answers: Mapping[str, Any]) -> None:
        self.answers = {path: (200, json.dumps(answer).encode()) for path, answer in answers.items()}


@contextmanager
def answering() -> Iterator[Process]:
    """A process that answers on loopback."""
    with listening(lambda path: here.answers.get(path, (404, b"{}"))) as port:
        here = Process(port)
        yield here


@contextmanager
def listening(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[int]:
    """The port of a server on loopback that gives status and body for a path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
