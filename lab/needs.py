"""What the lab needs of a machine, and how to get it where it is missing. Needs nothing itself but Python."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from lab.shell import SYSTEM_PATH

PACKAGES = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
}
"""Programs, and the packages of Debian (and of Ubuntu) that bring them."""
_NET_ADMIN, _SYS_ADMIN = 12, 21
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def missing() -> list[str]:
    """The packages that this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    lacking = [package for program, package in PACKAGES.items() if shutil.which(program, path=path) is None]
    return sorted([*lacking, *([] if KEYRING.exists() else ["debian-archive-keyring"])])


def refusal(system: str, machine: str, user: int, capabilities: int, lacking: list[str]) -> str:
    """Why there can be no lab on a machine, and what to do; empty where there can be.

    Args:
        system: The operating system, as `platform.system` names it.
        machine: The architecture.
        user: The user's number.
        capabilities: What the user may do, a bit each (capabilities(7)).
        lacking: What `missing` found.
    """
    if (system, machine) != ("Linux", "x86_64"):
        return f"the lab's hosts run on Linux x86_64; this is {system} {machine}"
    if user != 0:
        return (
            "the lab makes network namespaces, mounts and containers, which needs root\n  next: sudo make lab"
        )
    if not all(capabilities >> bit & 1 for bit in (_NET_ADMIN, _SYS_ADMIN)):
        return "root may make no namespaces and mounts here, as in most containers\n  next: on a machine, make lab"
    if lacking:
        packages = " ".join(lacking)
        return f"this machine lacks {', '.join(lacking)}\n  next: apt-get install --no-install-recommends {packages}"
    return ""


def refusal_here() -> str:
    """`refusal`, for this machine."""
    return refusal(platform.system(), platform.machine(), os.geteuid(), _capabilities(), missing())


def _capabilities() -> int:
    """What this process may do; nothing where the kernel is not Linux."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
