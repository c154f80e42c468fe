"""What is done to hosts: each as a context, so that nothing of it is left."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.lab.fleet import HOME, live_slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.machine import Host

_SABOTAGE = "/srv/sabotage"
_DROP_IN = "/run/systemd/system/slipway@.service.d"


_ONLY = """
import os, sys
if "--slot" in sys.orig_argv:
    slot = sys.orig_argv[sys.orig_argv.index("--slot") + 1]
    if os.path.basename(os.readlink("slots/" + slot)) == {release!r}:
        exec({code!r})
"""


@contextlib.contextmanager
def sabotaged(host: Host, release: str, code: str, *settings: str) -> Iterator[None]:
    """Run Python in every slot that starts with a release, before anything else of it; and set its unit otherwise."""
    code = _ONLY.format(release=release, code=code)
    unit = "\n".join(["[Service]", f"Environment=PYTHONPATH={_SABOTAGE}", *settings, ""])
    host.run(f"sudo mkdir -p {_SABOTAGE} {_DROP_IN} && sudo tee {_SABOTAGE}/sitecustomize.py", text=code)
    host.run(f"sudo tee {_DROP_IN}/sabotage.conf && sudo systemctl daemon-reload", text=unit)
    try:
        yield
    finally:
        host.run(f"sudo rm -r {_SABOTAGE} {_DROP_IN} && sudo systemctl daemon-reload")
        slot = f"slipway@{live_slot(host)}"
        host.run(f"sudo systemctl reset-failed {slot}; sudo systemctl restart {slot}")


@contextlib.contextmanager
def without_power(host: Host) -> Iterator[None]:
    """A host that is lost, and comes back at the end."""
    host.cut_power()
    try:
        yield
    finally:
        host.return_power()


@contextlib.contextmanager
def without_link(host: Host) -> Iterator[None]:
    host.cut_link()
    try:
        yield
    finally:
        host.mend_link()


def kill_worker(host: Host) -> None:
    """Kill the process that answers."""
    host.run("sudo", "systemctl", "kill", "--signal=KILL", f"slipway@{live_slot(host)}")


@contextlib.contextmanager
def small_disk(host: Host, folder: str, megabytes: int) -> Iterator[None]:
    """Move a folder of the home to a disk that has so much space left."""
    place, copy = f"{HOME}/{folder}".rstrip("/"), "/mnt/small"
    host.run(
        f"sudo mkdir -p {copy} && used=$(sudo du -sm {place} | cut -f1) && "
        f"sudo mount -t tmpfs -o size=$((used + {megabytes}))m,mode=755 small {copy} && "
        f"sudo cp -a {place}/. {copy}/ && sudo mount --bind {copy} {place}"
    )
    if not megabytes:
        host.run(f"sudo dd if=/dev/zero of={place}/.ballast bs=4k status=none 2>/dev/null || true")
    try:
        yield
    finally:
        host.run(f"sudo umount --lazy {place} && sudo umount --lazy {copy}")


@contextlib.contextmanager
def read_only(host: Host, folder: str) -> Iterator[None]:
    place = f"{HOME}/{folder}"
    host.run(f"sudo mount --bind {place} {place} && sudo mount -o remount,bind,ro {place}")
    try:
        yield
    finally:
        host.run("sudo", "umount", "--lazy", place)
