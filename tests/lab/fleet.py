"""Model servers of the lab, and what Ansible is told of them: bytes come from this machine by HTTP, commands by SSH."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from lab.command import HOSTS
from lab.plan import Process
from lab.play import Played, play, reached
from tests.local.workplace import Candidate, digest

from lab import lab as labs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from lab.machine import Host

HOME = "/srv/slipway"
PORT = 8080


class Fleet:
    """The model servers, as Terraform would put them out."""

    def __init__(self, lab: Lab, folder: Path, runtime: Path, url: str) -> None:
        self.lab = lab
        self._folder = folder
        self._runtime = runtime
        self._url = url

    def release(self, label: str, candidate: Candidate) -> dict[str, Any]:
        """Offer a release's bytes; what the role is told of it."""
        (self._folder / "served" / f"{label}.tar").write_bytes(candidate.tar)
        record = {
            "model": json.loads(candidate.manifest)["model"],
            "release": label,
            "commit": digest(label.encode())[:40],
            "bundle": candidate.digest,
            "runtime": digest(self._runtime.read_bytes()),
        }
        return {"model_server_release": record, "model_server_bundle_url": f"{self._url}/{label}.tar"}

    def plays(self, playbook: str, *arguments: str, limit: str = "all", **variables: Any) -> Played:
        """Run a playbook over SSH, as a user of this repository would."""
        inventory = self._inventory(variables)
        return play(self._folder, inventory, playbook, f"--limit={limit}", *arguments)

    def rolls_out(self, release: dict[str, Any], limit: str = "all", **variables: Any) -> Played:
        """Roll a release out, which must succeed."""
        played = self.plays("rollout", limit=limit, **release, **variables)
        assert played.code == 0, f"{played.failed}\n{played.output[-4000:]}"
        return played

    def _inventory(self, variables: dict[str, Any]) -> dict[str, Any]:
        hosts = {
            name: {"ansible_host": str(host.address), "model_server_address": str(host.address)}
            for name, host in self.lab.hosts.items()
            if name.startswith("model-")
        }
        shared = {
            **reached(self.lab),
            "model_server_home": HOME,
            "model_server_port": PORT,
            "model_server_python": "/usr/bin/python3",
            "model_server_service_manager": "systemd",
            "model_server_runtime_url": f"{self._url}/{self._runtime.name}",
        }
        return {"model_servers": {"hosts": hosts, "vars": shared | variables}}


@contextlib.contextmanager
def controls(folder: Path) -> Iterator[Path]:
    """A folder for `play`; the connections that SSH keeps are ended with the context."""
    yield folder
    for control in (folder / "ansible" / "cp").glob("*"):
        subprocess.run(
            ["ssh", "-O", "exit", "-o", f"ControlPath={control}", "any"], capture_output=True, check=False
        )


@contextlib.contextmanager
def own(prefix: str) -> Iterator[Lab]:
    """A lab for those tests only that name it so: others leave something on their hosts."""
    name = f"{prefix}{os.getpid()}"
    try:
        yield labs.up(name, HOSTS, Process.current())
    finally:
        labs.down(name)


def answers(host: Host, seconds: float = 10.0) -> str:
    """The release that answers at a host's front door, asked from this machine; empty where none does."""
    try:
        found = httpx.get(f"http://{host.address}:{PORT}/metadata", timeout=seconds, trust_env=False)
        return str(found.json()["release"])
    except (httpx.HTTPError, ValueError, KeyError):
        return ""


def live_slot(host: Host) -> str:
    return Path(host.run("readlink", f"{HOME}/live").strip()).name


def main_pid(host: Host, slot: str) -> str:
    return host.run("systemctl", "show", "--value", "--property=MainPID", f"slipway@{slot}").strip()


def files(host: Host) -> list[str]:
    """Everything that the role has put on a host, with its time and where it points."""
    places = f"{HOME} /etc/systemd/system"
    listed = host.run(
        f"sudo find {places} -mindepth 1 -path '*/runtimes/*/*' -prune -o -printf '%p %T@ %l\\n' 2>/dev/null || true"
    )
    return sorted(listed.splitlines())


@contextlib.contextmanager
def served(folder: Path, address: str) -> Iterator[str]:
    """Serve a folder's files to the lab; the URL."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{address}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
