"""One host of a lab: a systemd-nspawn container over the shared root, which can suffer what machines suffer."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

from lab import ssh
from lab.cgroups import Group
from lab.plan import Process
from lab.shell import LabError, attempt, run

if TYPE_CHECKING:
    from lab.network import Network
    from lab.plan import Plan

START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_LAST_WORDS = 1000
_PROPAGATED = Path("/run/systemd/nspawn/propagate")


class Host:
    """A host, from before it is made until after it is destroyed."""

    def __init__(self, plan: Plan, name: str, network: Network) -> None:
        self.name = name
        self.address = plan.hosts[name]
        self._plan = plan
        self._network = network
        self._machine = f"slipway-{plan.name}-{name}"
        self._folder = plan.folder / "hosts" / name
        self._root = self._folder / "root"
        self._group = Group(f"slipway-lab.{plan.name}.{name}")

    # From nothing to a host, and back

    def create(self, base: Path) -> None:
        """Lay the host's own files over the shared root, and connect it."""
        upper, work = self._folder / "upper", self._folder / "work"
        for folder in (upper, work, self._root):
            folder.mkdir(parents=True)
        # A host that is destroyed has nothing to be synchronised for.
        layers = f"lowerdir={base},upperdir={upper},workdir={work},volatile"
        run("mount", "-t", "overlay", "-o", layers, "overlay", str(self._root))
        (self._root / "etc" / "hostname").write_text(f"{self.name}\n")
        names = "".join(f"{address} {host}\n" for host, address in self._plan.hosts.items())
        (self._root / "etc" / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        ssh.admit(self._plan, self.name, self._root)
        prefix = self._plan.controller.network.prefixlen
        self._network.attach(self.name, IPv4Interface(f"{self.address}/{prefix}"))

    def start(self) -> None:
        """Switch it on; `wait` says when it can be reached."""
        self._group.make()
        script = self._folder / "start.sh"
        script.write_text(self._script())
        self._group.launch(script)

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers SSH.

        Raises:
            LabError: It does not, in that time; with what its container said last.
        """
        try:
            ssh.wait(self.address, seconds)
        except LabError as error:
            raise LabError(f"{error}\n{self.log()[-_LAST_WORDS:]}".rstrip()) from error

    def stop(self) -> None:
        """Shut it down as an operator does; by force where that takes too long."""
        self._group.thaw()
        if (process := self._process()) and process.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            until = time.monotonic() + _STOP_SECONDS
            while process.alive and time.monotonic() < until:
                time.sleep(0.02)
        self._group.kill()

    def destroy(self) -> None:
        """Remove it, or what is there of it; its namespace goes with the network."""
        if (process := self._process()) and process.alive:
            self._group.thaw()
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self._group.kill()
        self._group.remove()
        while attempt("umount", str(self._root)):
            pass
        shutil.rmtree(_PROPAGATED / self._machine, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    # What happens to machines

    def cut_power(self) -> None:
        """End it in the middle of everything; nobody gets a farewell from it, not even a closed connection."""
        self._network.cut(self.name)
        self._group.kill()

    def return_power(self) -> None:
        """Switch it on again, with the disk as it was left."""
        self._network.mend(self.name)
        self.start()
        self.wait()

    def freeze(self) -> None:
        """Let it hang: its connections stay, and nothing answers."""
        self._group.freeze()

    def thaw(self) -> None:
        self._group.thaw()

    def cut_link(self) -> None:
        self._network.cut(self.name)

    def mend_link(self) -> None:
        self._network.mend(self.name)

    def shrink(self, folder: str, megabytes: int) -> None:
        """Lay a disk of so few bytes over a folder."""
        self.run("sudo", "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "small", folder)

    def widen(self, folder: str) -> None:
        """Take the small disk away."""
        self.run("sudo", "umount", "--lazy", folder)

    @property
    def state(self) -> str:
        """`running`, `frozen` or `off`."""
        if not ((process := self._process()) and process.alive):
            return "off"
        return "frozen" if self._group.frozen else "running"

    # To do something there

    def run(self, *command: str, text: str = "") -> str:
        """Run a command there by SSH, as the user who may sudo; what it printed.

        Raises:
            LabError: It fails, or the host cannot be reached.
        """
        config = self._plan.folder / "ssh_config"
        return run("ssh", "-F", str(config), self.name, "--", *command, text=text)

    def place(self, path: str) -> Path:
        """A file of the host's, as this machine reaches it: sockets too.

        Raises:
            LabError: The host is off.
        """
        process = self._process()
        if not process or not process.alive:
            raise LabError(f"{self.name} is off")
        # The container's own process sees this machine's files; its first child is the host's PID 1.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return Path(f"/proc/{children[0]}/root") / path

    def log(self) -> str:
        """What its container said; printed where a test fails."""
        with contextlib.suppress(OSError):
            return (self._folder / "console.log").read_text(errors="replace")
        return ""

    def _process(self) -> Process | None:
        """The container's process, by what it wrote down of itself before it became one."""
        try:
            pid, started = (self._folder / "process").read_text().split()
        except (OSError, ValueError):
            return None
        return Process(int(pid), int(started))

    def _script(self) -> str:
        """The shell script that becomes the container. It ends at once where the lab has been removed meanwhile."""
        argv = nspawn(self._root, self._machine, self._network.space(self.name))
        return (
            f"set -e\ncd {self._folder}\nexec >>console.log 2>&1 </dev/null\n{self._group.entry()}"
            "read -r stat </proc/$$/stat\nset -- ${stat##*)}\n"
            'shift 19\necho "$$ $1" >process\n'
            # Never `yes`: that would let the host change this machine's settings of the kernel.
            f"export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network\nexec {' '.join(argv)}\n"
        )


def nspawn(root: Path, machine: str, space: str) -> list[str]:
    """The command line of a host's container."""
    return [
        *("systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={machine}"),
        *("--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{space}"),
        *("--capability=CAP_NET_ADMIN", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        *("--console=pipe", "--kill-signal=SIGRTMIN+3", "/sbin/lab-init"),
    ]
