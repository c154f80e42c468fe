"""An environment of the fixture repository, its host, and the programs and servers that it meets."""

import hashlib
import io
import json
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.unit.workshop import NOW, Workshop, hermetic, workshop

from slipway import bundle
from slipway.fleet.context import Context
from slipway.fleet.environment import Environment
from slipway.fleet.progress import Progress
from slipway.serving.release import ReleaseRecord

__all__ = ["hermetic", "workshop"]

PYTHON = sys.executable


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for what must come true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process is there; one that has ended but was not asked for is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Program:
    """A program that writes down how it was called, and does as it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calls = path.with_suffix(".calls")
        path.parent.mkdir(parents=True, exist_ok=True)

    def does(self, python: str) -> None:
        """Let it run Python code, where `arguments` are its own."""
        self.path.write_text(
            f"#!{PYTHON} -S\n"
            "import json, os, sys, time\n"
            "arguments = sys.argv[1:]\n"
            # A file may be gone when somebody asks what was in it.
            "given = [a[:13] + open(a[14:]).read() if a.startswith('--extra-vars=@') else a for a in arguments]\n"
            f"with open({str(self._calls)!r}, 'a') as calls:\n"
            "    print(json.dumps(given), file=calls)\n"
            f"{python}\n"
        )
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        return (
            [json.loads(line) for line in self._calls.read_text().splitlines()]
            if self._calls.exists()
            else []
        )


class Terraform(Program):
    """A `terraform` that needs no time."""

    def works(self, url: str, home: Path, *, changes: bool = False) -> None:
        host = {"address": "127.0.0.1", "connection": "local", "home": str(home), "port": 8080}
        fleet = {"url": url, "service_manager": "supervisord", "hosts": {"local-1": host}}
        self.does(
            "if arguments[0] == 'version':\n"
            "    print(json.dumps({'terraform_version': '1.11.4'}))\n"
            "elif arguments[0] == 'plan':\n"
            f"    sys.exit({2 if changes else 0})\n"
            "elif arguments[0] == 'output':\n"
            f"    print({json.dumps({'fleet': {'value': fleet}})!r})\n"
        )

    @property
    def verbs(self) -> list[str]:
        """What it was called for, but for its version."""
        return [call[0] for call in self.calls if call[0] != "version"]


@dataclass
class Server:
    """A small HTTP server on loopback."""

    url: str
    respond: Callable[[str, Any], tuple[int, bytes]] = lambda _path, _body: (404, b"")
    """From the path and the JSON, or the form's text, that was sent to the status and the body of the answer."""
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def answers(self, answers: Mapping[str, Any]) -> None:
        """Answer JSON by path, and 404 elsewhere."""

        def respond(path: str, _: Any) -> tuple[int, bytes]:
            return (200, json.dumps(answers[path]).encode()) if path in answers else (404, b"")

        self.respond = respond


@pytest.fixture
def server() -> Iterator[Server]:
    with listening() as here:
        yield here


@contextmanager
def listening() -> Iterator[Server]:
    """A server that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            form = "form" in self.headers.get("Content-Type", "")
            asked = body.decode() if form else json.loads(body) if body else None
            here.asked.append((self.path, asked))
            status, answer = here.respond(self.path, asked)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        here = Server(f"http://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield here
        listener.shutdown()
        thread.join()


@pytest.fixture
def packed(contents: Mapping[str, bytes]) -> bytes:
    """The tar of a sound bundle: the probability is sigmoid(2 width - depth + 0.5)."""
    return bundle.pack("wear", contents)[0]


@dataclass(frozen=True)
class Host:
    """A host's folder, as the role `model_server` lays it out."""

    home: Path
    packed: bytes

    def record(self, label: str, runtime: str = "r") -> ReleaseRecord:
        """The record of a release; equal labels and runtimes are equal releases."""
        return ReleaseRecord(
            model="wear",
            release=label,
            commit=hashlib.sha1(label.encode(), usedforsecurity=False).hexdigest(),
            bundle=hashlib.sha256(self.packed).hexdigest(),
            runtime=runtime * 64,
        )

    def install(self, record: ReleaseRecord) -> Path:
        folder = self.home / "releases" / record.release
        with tarfile.open(fileobj=io.BytesIO(self.packed)) as archive:
            archive.extractall(folder / "bundle", filter="data")
        (folder / "bundle.tar").write_bytes(self.packed)
        self.install_runtime(record.runtime)
        (folder / "release.json").write_text(record.model_dump_json())
        return folder

    def install_runtime(self, digest: str) -> None:
        """A runtime of one small package."""
        folder = self.home / "runtimes" / digest[:16]
        site = folder / "lib" / "python3.11" / "site-packages"
        (site / "some-1.0.dist-info").mkdir(parents=True, exist_ok=True)
        (site / "some-1.0.dist-info" / "RECORD").write_text("some.py,sha256=0,6\n")
        (site / "some.py").write_text("x = 1\n")
        (folder / "requirements.txt").write_text("some==1.0\n")
        (folder / ".complete").touch()

    def configure(self) -> None:
        """Tell supervisord what to run, as a roll-out does."""
        texts = {"supervisord.conf": "[supervisord]\n", "slot.sh": "#!/bin/sh\n"}
        for name, text in texts.items():
            (self.home / name).write_text(text)
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        (self.home / "configuration.json").write_text(json.dumps(digests))

    def make_live(self, record: ReleaseRecord, slot: str = "blue") -> None:
        """Install a release and link it."""
        folder = self.install(record)
        self.configure()
        for link, goal in ((self.home / "slots" / slot, folder), (self.home / "live", Path("slots") / slot)):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(goal)

    def log(self, *entries: tuple[str, ReleaseRecord]) -> None:
        """Append lines to the release log."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "releases.jsonl").open("a") as log:
            for action, record in entries:
                line = {**record.model_dump(), "at": "2026-06-01T12:00:00Z", "action": action, "by": "ada"}
                print(json.dumps(line), file=log)


def as_pinned(workshop: Workshop, label: str) -> ReleaseRecord:
    """The record that a release of the current commit has on a host."""
    pinned = workshop.pins
    return ReleaseRecord(
        model="wear",
        release=label,
        commit=pinned.commit,
        bundle=str(pinned.bundle.sha256),
        runtime=str(pinned.runtime.sha256),
    )


@pytest.fixture
def environment(workshop: Workshop) -> Environment:
    """`local`, of which nothing is there yet."""
    return Environment("local", workshop.repository)


@pytest.fixture
def host(environment: Environment, packed: bytes) -> Host:
    return Host(environment.folder, packed)


@pytest.fixture
def context(environment: Environment, workshop: Workshop) -> Context:
    progress = Progress(Console(file=io.StringIO()))
    return Context(environment, workshop.settings, progress, lambda: NOW, "slipway deploy local")


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terraform:
    """The only `terraform` on PATH."""
    program = Terraform(tmp_path / "bin" / "terraform")
    for tool in ("git", "dvc"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return program


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The `ansible-playbook` that belongs to this Python."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python"))
    return Program(tmp_path / "python" / "ansible-playbook")


@pytest.fixture
def serving(host: Host, server: Server, terraform: Terraform) -> Server:
    """v1.0.0 is live, and answers."""
    live = host.record("v1.0.0")
    host.make_live(live)
    host.log(("deploy", host.record("v0.9.0")), ("deploy", live))
    (host.home / "inventory.yml").write_text("{}")
    terraform.works(server.url, host.home)
    server.answers({"/metadata": live.model_dump(), "/readyz": {"live": True}})
    return server
