"""Three model servers behind a balancer, in a working repository with releases good and bad."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from lab.play import play, reached
from tests.lab.fleet import HOME, PORT
from tests.lab.yard import ENVIRONMENT, Yard
from tests.local.workplace import Candidate, clone, rewrite, scorer_of, until, with_note

from slipway import params
from slipway.pipeline import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

    from slipway.scorer import Scorer

FIRST, SECOND = "v1.0.0", "v1.1.0"
ANSWER_SECONDS = 3
"""After so long the balancer asks another host."""
READY_SECONDS = 15
LOCKED = 5
ROLLOUT = "batches: [1, '100%']\n"
_MODEL = "tumour-screening"
_STATISTICS = """
import socket
door = socket.socket(socket.AF_UNIX)
door.connect("/run/haproxy/admin.sock")
door.send(b"show stat\\n")
print(door.makefile().read())
"""


class Site(Yard):
    """The working repository, its fleet, and what each release answers offline."""

    def __init__(self, root: Path, lab: Lab) -> None:
        super().__init__(root, lab)
        self.balancer = lab.hosts["balancer-1"]
        self.variables = f"{self.variables}model_server_ready_timeout_seconds: {READY_SECONDS}\n"
        self.models: dict[str, Scorer] = {}
        self.rows: list[dict[str, Any]] = []
        self._offline = root.parent / "offline"

    @property
    def url(self) -> str:
        return f"http://{self.balancer.address}:{PORT}"

    @property
    def settings(self) -> Path:
        return self.root / "terraform" / "environments" / ENVIRONMENT / "rollout.yaml"

    def provision(self, folder: Path) -> None:
        """Bring the balancer to the baseline, and to its front door; a deploy does so with the other hosts."""
        door = {"port": PORT, "sources": [str(self.lab.plan.controller.network)]}
        shared = {
            "host_baseline_doors": [door],
            "load_balancer_port": PORT,
            "load_balancer_answer_seconds": ANSWER_SECONDS,
            "load_balancer_servers": {
                name: {"address": str(host.address), "port": PORT} for name, host in self.hosts.items()
            },
        }
        hosts = {"balancer-1": {"ansible_host": str(self.balancer.address)}}
        groups: dict[str, Any] = {"load_balancers": {"hosts": {"balancer-1": {}}}}
        inventory = {"all": {"hosts": hosts, "vars": reached(self.lab) | shared, "children": groups}}
        played = play(folder, inventory, "provision")
        assert played.code == 0, f"{played.failed}\n{played.output[-4000:]}"

    def learn(self, label: str, candidate: Candidate) -> None:
        """Remember what a release answers."""
        folder = self._offline / label
        folder.mkdir(parents=True)
        self.models[label] = scorer_of(candidate.tar, folder)

    def forge(self, candidate: Candidate, *, bundle: bytes = b"", drop: str = "") -> str:
        """Tag a release that the pipeline would never have made, without running it; its version.

        Args:
            candidate: What it consists of.
            bundle: What the store has instead of the candidate's own bytes.
            drop: A file that its commit lacks.
        """
        label = f"v3.0.{sum('@v3.' in tag for tag in self.tags())}"
        head, tar = self.git("rev-parse", "HEAD"), bundle or candidate.tar
        md5, lock = _md5(tar), candidate.lock
        rewrite(self.cached(md5), tar)
        for path, locked in {
            "artifacts/bundle.tar": md5,
            "manifest.json": _md5(candidate.manifest.encode()),
        }.items():
            lock = re.sub(rf"(path: {path}\n\s+hash: md5\n\s+md5: )\w+", rf"\g<1>{locked}", lock)
            assert locked in lock
        (self.root / "dvc.lock").write_text(lock)
        (self.root / "manifest.json").write_text(candidate.manifest)
        if drop:
            (self.root / drop).unlink()
        self.commit(f"Forge {label}")
        self.git("tag", "--annotate", "--message", label, f"{_MODEL}@{label}")
        self.git("reset", "--quiet", "--hard", head)
        return label

    def another(self) -> str:
        """A sound release that no host has yet. One that fails is never rolled out again: each drill has its own."""
        candidate = with_note(self.candidate(), f"of {len(self.tags())} tags")
        label = self.forge(candidate)
        self.learn(label, candidate)
        return label

    def cached(self, md5: str) -> Path:
        """Where DVC's cache has an object."""
        file = Path(self.run("dvc", "cache", "dir").strip()) / "files" / "md5" / md5[:2] / md5[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def md5_of(self, label: str) -> str:
        """DVC's address of a release's bundle."""
        lock = self.git("show", f"{_MODEL}@{label}:dvc.lock")
        found = re.search(r"path: artifacts/bundle\.tar\n\s+hash: md5\n\s+md5: (\w+)", lock)
        assert found is not None
        return found[1]

    def tag_of(self, label: str) -> str:
        return f"{_MODEL}@{label}"

    def is_barred(self, label: str) -> bool:
        """Whether nobody may roll a release out again."""
        return f"quarantine/{_MODEL}/{label}/1" in self.tags()

    @contextlib.contextmanager
    def baking(self, **settings: Any) -> Iterator[None]:
        """Compare new hosts with old ones meanwhile; time and memory only where a limit of them is given."""
        limits = {"memory": None, "p50": 1000, "p99": 1000, "positives": 1, "score": 1}
        bake = {"seconds": 2, "look_seconds": 0.5, "minimum_requests": 50, **settings}
        bake["limits"] = limits | settings.get("limits", {})
        rewrite(self.settings, f"{ROLLOUT}bake: {json.dumps(bake)}\n".encode())
        try:
            yield
        finally:
            rewrite(self.settings, ROLLOUT.encode())

    @contextlib.contextmanager
    def bad_line(self, percent: int, seconds: float) -> Iterator[None]:
        """Lose so many of the packets between this machine and the hosts, and take so long to and fro."""
        file = self.settings.with_name("ssh_config")
        before = file.read_text()
        for control in (self.home / "ansible" / "cp").glob("*"):
            control.unlink()  # connections that are there already are quick
        far = f"{sys.executable} {Path(__file__).with_name('far.py')} %h %p {seconds / 2}"
        rewrite(file, f"{before}    ProxyCommand {far}\n".encode())
        for host in self.hosts.values():
            self.lab.network.lose(self.lab.plan.controller.ip, host.address, percent)
        try:
            yield
        finally:
            self.lab.network.pass_all()
            rewrite(file, before.encode())

    def settle(self) -> str:
        """Bring the fleet to one release, whatever a drill has left; the release."""
        for release in (FIRST, SECOND):
            # A drill may have shown it to fail by its own fault: it is barred by its odd tags, and freed by the even ones.
            if sum(tag.startswith(f"quarantine/{_MODEL}/{release}/") for tag in self.tags()) % 2:
                self.does("release", "--unquarantine", release)
        serving, wanted = set(self.serve().values()), self.desired()[-1:]
        (live,) = serving if len(serving) == 1 else {""}
        if live not in {FIRST, SECOND} or wanted[0].split()[1] != live:
            self.insists("deploy", FIRST)
            live = FIRST
        self.await_rotation(self.hosts)
        return live

    def insists(self, *command: str) -> str:
        """Give a command, which must succeed once no playbook of another one is in its way; what it printed."""
        out = ""

        def done() -> bool:
            nonlocal out
            said = self.slipway(command[0], ENVIRONMENT, *command[1:])
            assert said.code in {0, LOCKED}, said.out + said.err + self.journal()
            out = said.out
            return said.code == 0

        until(done, f"{command} ends well", 600, pause=1)
        return out

    def states(self) -> dict[str, str]:
        """Each host's state, as the balancer sees it: UP or DOWN."""
        return {name: row[17].split()[0] for name, row in self._statistics().items()}

    def sessions(self, name: str) -> int:
        """How many requests a host has got."""
        return int(self._statistics()[name][7])

    def repeats(self) -> int:
        """How often the balancer has asked a host again, or another one."""
        return sum(int(row[15]) + int(row[16]) for row in self._statistics().values())

    def failures(self) -> dict[str, int]:
        """How often each host has gone from UP to DOWN."""
        return {name: int(row[22]) for name, row in self._statistics().items()}

    def await_rotation(self, hosts: Any) -> None:
        """Wait until exactly these hosts get requests."""
        wanted = {name: "UP" if name in hosts else "DOWN" for name in self.hosts}
        until(lambda: self.states() == wanted, f"the balancer uses {sorted(hosts)}", 60, pause=0.3)

    def logged(self) -> list[str]:
        """The ids in the prediction logs of all hosts."""
        command = f"""sudo sh -c 'cat {HOME}/predictions/*.jsonl' | grep -oE '"request": ?"[0-9a-f]{{32}}"' || true"""
        return [line.split('"')[3] for host in self.hosts.values() for line in host.run(command).splitlines()]

    def _statistics(self) -> dict[str, list[str]]:
        table = self.balancer.run("sudo python3 -", text=_STATISTICS).splitlines()
        rows = [line.split(",") for line in table if line.startswith("hosts,model-")]
        return {row[1]: row for row in rows}

    def another_clone(self, root: Path) -> Site:
        """Another machine, which shares nothing with this one but the hosts."""
        shutil.copytree(
            self.root,
            root,
            symlinks=True,
            ignore=shutil.ignore_patterns("lock", "ansible-tmp*", "cp", "store", "artifacts"),
        )
        return Site(root, self.lab)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def build(root: Path, lab: Lab, seed: Path, cache: Path) -> Site:
    """A fleet that serves its first release, and a second one that answers otherwise."""
    clone(seed, root, cache)
    site = Site(root, lab)
    site.build()
    rewrite(site.settings, ROLLOUT.encode())
    site.run("dvc", "repro", "--quiet")
    site.commit("Describe the yard")
    assert site.release() == FIRST
    site.learn(FIRST, site.candidate())
    site.set("train.hyperparameters", "{C: 0.03, class_weight: balanced}")
    site.run("dvc", "repro", "--quiet")
    site.commit("Regularise more")
    assert site.release() == SECOND
    site.learn(SECOND, site.candidate())
    contract = params.load(site.root / "params.yaml").contract
    site.rows = stage.rows(pd.read_parquet(site.root / "data" / "validation.parquet"), contract)
    site.provision(root.parent)
    rewrite(site.settings, b"batches: ['100%']\n")
    site.does("deploy", ENVIRONMENT, FIRST)
    rewrite(site.settings, ROLLOUT.encode())
    return site
