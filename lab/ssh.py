"""How the lab's hosts are reached: one key pair a lab, and hosts whose keys are known before they start."""

from __future__ import annotations

import shutil
import socket
import time
from typing import TYPE_CHECKING

from lab.root import USER
from lab.shell import LabError, run

if TYPE_CHECKING:
    from ipaddress import IPv4Address
    from pathlib import Path

    from lab.plan import Plan

PORT = 22
_HOST_KEY = "ssh_host_ed25519_key"
_PAUSE_SECONDS = 0.02


def prepare(plan: Plan) -> None:
    """Make the lab's key pair, a key of each host, `known_hosts`, and `ssh_config` for `ssh -F`; keys stay that are there."""
    folder = plan.folder
    _keygen(folder / "key", "slipway lab")
    known = []
    for host, address in plan.hosts.items():
        key = folder / "hosts" / host / _HOST_KEY
        key.parent.mkdir(parents=True, exist_ok=True)
        _keygen(key, host)
        known.append(f"{address},{host} {key.with_suffix('.pub').read_text()}")
    (folder / "known_hosts").write_text("".join(known))
    (folder / "ssh_config").write_text(config(plan))


def config(plan: Plan) -> str:
    """The text of `ssh_config`: hosts by name or by address, strict about their keys, no other identity."""
    hosts = "".join(
        f"Host {host} {address}\n    HostName {address}\n" for host, address in plan.hosts.items()
    )
    return (
        f"{hosts}Host *\n    User {USER}\n    IdentityFile {plan.folder / 'key'}\n    IdentitiesOnly yes\n"
        f"    UserKnownHostsFile {plan.folder / 'known_hosts'}\n    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n    BatchMode yes\n    ConnectTimeout 5\n    LogLevel ERROR\n"
    )


def admit(plan: Plan, host: str, root: Path) -> None:
    """Put a host's own key into its root, and the lab's public key where it lets the user in."""
    source, target = plan.folder / "hosts" / host, root / "etc" / "ssh"
    for name in (_HOST_KEY, f"{_HOST_KEY}.pub"):
        shutil.copy(source / name, target / name)
    (target / _HOST_KEY).chmod(0o600)
    home = root / "home" / USER
    owner = home.stat()
    keys = home / ".ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(plan.folder / "key.pub", keys / "authorized_keys")
    for path in (keys, keys / "authorized_keys"):
        shutil.chown(path, owner.st_uid, owner.st_gid)


def wait(address: IPv4Address, seconds: float) -> None:
    """Wait until a host's sshd greets.

    Raises:
        LabError: It does not, in that time.
    """
    until = time.monotonic() + seconds
    while not greets(address):
        if time.monotonic() > until:
            raise LabError(f"{address} does not answer SSH after {seconds:g} s")
        time.sleep(_PAUSE_SECONDS)


def greets(address: IPv4Address) -> bool:
    """Whether something that speaks SSH listens there."""
    try:
        with socket.create_connection((str(address), PORT), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _keygen(file: Path, comment: str) -> None:
    if file.with_suffix(".pub").exists():
        return
    file.unlink(missing_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file))
