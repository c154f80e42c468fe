"""The process tells systemd when it is ready, and not before it can be asked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from slipway.serving import notify, probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving.conftest import Front, Home, Model, Start


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Something that listens where systemd does, by an abstract name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"slipway-{os.getpid()}"
        listening.bind(f"\0{name}")
        listening.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        yield listening


def test_a_process_that_is_ready_says_so(
    home: Home, cancer: Model, start: Start, systemd: socket.socket
) -> None:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    slot = start("blue")
    assert systemd.recv(100) == b"READY=1"
    probe.ready(home.folder, "blue")
    assert slot.process.poll() is None


def test_a_process_that_does_not_start_says_nothing(home: Home, front: Front, systemd: socket.socket) -> None:
    descriptor = front.listening.fileno()
    command = [sys.executable, "-m", "slipway.serving", "--home", str(home.folder), "--slot", "blue"]
    ended = subprocess.run(
        [*command, "--front-fd", str(descriptor)], pass_fds=[descriptor], capture_output=True, check=False
    )
    assert ended.returncode == 3
    systemd.settimeout(0)
    with pytest.raises(BlockingIOError):
        systemd.recv(100)


def test_a_socket_with_a_path_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("notify")
        notify.ready("notify")
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, ""])
def test_without_systemd_nobody_is_told(address: str | None) -> None:
    notify.ready(address)
