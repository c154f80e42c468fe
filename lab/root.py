"""The root file system that all hosts share: Debian 12, built once and kept in a cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from lab.needs import KEYRING
from lab.shell import alone, run

CACHE = Path("/var/cache/slipway/lab")
SUITE = "bookworm"
USER = "admin"
"""Who logs in, as on Debian's images for the cloud."""
PACKAGES = (
    *(
        "systemd-sysv",
        "dbus",
        "libpam-systemd",
        "openssh-server",
        "sudo",
        "procps",
        "ca-certificates",
        "netbase",
    ),
    *("python3-minimal", "python3-venv", "python3-apt", "iproute2", "iputils-ping", "curl"),
    *("haproxy", "nftables", "logrotate", "unattended-upgrades", "systemd-timesyncd"),
)
"""Hosts have no way out: whatever a role needs is in here."""
_MASKED = (
    *("systemd-udevd.service", "systemd-resolved.service", "systemd-networkd.service"),
    *("console-getty.service", "e2scrub_reap.service", "e2scrub_all.timer", "fstrim.timer"),
)
"""What a container has nothing to do for."""
_DISABLED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "unattended-upgrades.service"),
    *("haproxy.service", "nftables.service", "systemd-timesyncd.service", "getty@tty1.service"),
)
"""What a role may want, and nobody else does."""
_INIT = """\
#!/bin/sh
# On hybrid cgroups systemd-nspawn mounts the controllers read-only, and MemoryMax would silently be ignored.
for controller in memory pids cpu blkio; do
    [ ! -d "/sys/fs/cgroup/$controller" ] || mount -o remount,bind,rw "/sys/fs/cgroup/$controller"
done
exec /lib/systemd/systemd "$@"
"""
_FILES = {
    "sbin/lab-init": (0o755, _INIT),
    "etc/ssh/sshd_config.d/lab.conf": (0o644, "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n"),
    "etc/sudoers.d/lab": (0o440, f"{USER} ALL=(ALL) NOPASSWD: ALL\n"),
    "etc/default/locale": (0o644, "LANG=C.UTF-8\n"),
}
_BUILD_SECONDS = 900
_KEPT_SECONDS = 7 * 24 * 3600


def digest() -> str:
    """Of everything that decides what is in the root."""
    parts = [SUITE, USER, PACKAGES, _MASKED, _DISABLED, sorted(_FILES.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def ensure(cache: Path = CACHE) -> Path:
    """The root's folder; it is built where it is not there, which takes about half a minute."""
    folder = cache / f"root-{digest()}"
    with alone(cache / ".lock"):
        if not folder.is_dir():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            run(*command(partial, sources()), seconds=_BUILD_SECONDS)
            finish(partial)
            partial.rename(folder)
        now = time.time()
        os.utime(folder, (now, now))
        _forget_others(cache, now)
    return folder


def command(folder: Path, apt: list[str]) -> list[str]:
    """The command line that fills a folder from sources of apt."""
    leave_out = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
    return [
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in leave_out),
        "--aptopt=Acquire::Languages none",
        f'--customize-hook=chroot "$1" useradd --create-home --shell=/bin/bash {USER}',
        *(SUITE, str(folder), *apt),
    ]


def sources(folder: Path = Path("/etc/apt")) -> list[str]:
    """Where this machine gets Debian 12 from; Debian's own address where it is no Debian 12."""
    candidates = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    suites = {SUITE, f"{SUITE}-updates", f"{SUITE}-security"}
    found = [
        str(file)
        for file in candidates
        if file.suffix in {".list", ".sources"}
        and file.is_file()
        and suites & set(file.read_text(errors="replace").split())
    ]
    return found or [f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main"]


def finish(root: Path) -> None:
    """Write what makes a Debian a host of the lab. Keys are each host's own."""
    for key in (root / "etc" / "ssh").glob("ssh_host_*"):
        key.unlink()
    for name, (mode, content) in _FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
    for verb, units in (("mask", _MASKED), ("disable", _DISABLED)):
        run("systemctl", "--quiet", f"--root={root}", verb, *units)


def _forget_others(cache: Path, now: float) -> None:
    """Remove roots that nobody has asked for lately; another clone's may have another list of packages."""
    mounts = Path("/proc/self/mounts").read_text()
    for folder in cache.glob("root-*"):
        if now - folder.stat().st_mtime > _KEPT_SECONDS and str(folder) not in mounts:
            shutil.rmtree(folder, ignore_errors=True)
