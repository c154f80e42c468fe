"""What one would use without Slipway: the same service under systemd, changed by plain Ansible."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.lab.fleet import HOME, play, reached
from tests.lab.yard import Yard

_TITLES = {
    "plain": "Ansible, `serial: 1`, restart",
    "symlink": "link and restart (Ansistrano, Capistrano)",
}


class Rival:
    """One of the two, on the hosts of a yard, with the runtime that Slipway has put there."""

    def __init__(self, kind: str, port: int, folder: Path, yard: Yard, tars: Mapping[str, Path]) -> None:
        self.title = _TITLES[kind]
        self.port = port
        self._kind = kind
        self._folder = folder
        self._yard = yard
        self._tars = tars
        gatekeeper = next(iter(yard.hosts.values()))
        self._record = json.loads(gatekeeper.run("cat", f"{HOME}/live/release.json"))
        self._python = gatekeeper.run("readlink", "-f", f"{HOME}/live/runtime").strip() + "/bin/python"

    def set_up(self, release: str) -> None:
        self._plays("setup", release)

    def swap(self, release: str) -> Callable[[], None]:
        return lambda: self._plays(self._kind, release)

    def back(self, release: str) -> Callable[[], None]:
        # The files are still there where each release has a folder.
        return lambda: self._plays(self._kind, release, back=self._kind == "symlink")

    def stop(self) -> None:
        for host in self._yard.hosts.values():
            host.run("sudo", "systemctl", "stop", f"{self._kind}.service")

    def _plays(self, playbook: str, release: str, *, back: bool = False) -> None:
        variables: dict[str, Any] = {
            **reached(self._yard.lab),
            "home": f"/srv/{self._kind}",
            "unit": self._kind,
            "listen_port": self.port,
            "python": self._python,
            "record": self._record | {"release": release},
            "tar": str(self._tars[release]),
            "back": back,
        }
        hosts = {name: {"ansible_host": str(host.address)} for name, host in self._yard.hosts.items()}
        inventory = {"model_servers": {"hosts": hosts, "vars": variables}}
        played = play(self._folder, inventory, str(Path(__file__).parent / playbook))
        if played.code:
            raise RuntimeError(f"{playbook}: {played.failed}\n{played.output[-2000:]}")
