"""Hosts that cannot take a release, or must not be spoken to: nothing is changed, and the message says what comes next."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from lab.shell import LabError
from tests.lab.fleet import HOME, live_slot, main_pid
from tests.lab.yard import ENVIRONMENT
from tests.local.workplace import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.machine import Host
    from tests.lab.yard import Yard

pytestmark = pytest.mark.nightly

REFUSE = "Refuse a host that cannot serve the release"


@pytest.fixture(autouse=True)
def ends_in_order(two: Yard) -> Iterator[None]:
    """Whatever a test has done to the fleet, it serves v1.1.0 afterwards, and everything agrees."""
    yield
    two.in_order("v1.1.0")


@pytest.fixture
def host(two: Yard) -> Host:
    """A host that is not the gatekeeper."""
    return two.hosts["model-2"]


def refused(yard: Yard, *arguments: str) -> str:
    """A command that must end with exit code 1 and change nothing; what it said."""
    before = (yard.tags(), {name: yard.host_log(name) for name in ("model-1", "model-3")})
    said = yard.slipway(*arguments)
    assert said.code == 1, said.out + said.err
    assert "next: " in said.err
    assert before == (yard.tags(), {name: yard.host_log(name) for name in ("model-1", "model-3")})
    return said.err


def test_a_host_whose_key_has_changed_is_not_spoken_to_and_the_line_of_the_old_key_is_named(
    two: Yard, host: Host, tmp_path: Path
) -> None:
    folder = two.lab.plan.folder
    known, other = tmp_path / "known_hosts", folder / "hosts" / "model-3" / "ssh_host_ed25519_key.pub"
    lines = (folder / "known_hosts").read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.startswith(f"{host.address},")]
    lines[number] = f"{host.address},model-2 {other.read_text().strip()}"
    known.write_text("\n".join(lines) + "\n")
    config = two.root / "terraform" / "environments" / ENVIRONMENT / "ssh_config"
    before = config.read_text()
    config.write_text(before.replace(str(folder / "known_hosts"), str(known)))
    try:
        said = refused(two, "deploy", ENVIRONMENT, "v1.0.0")
    finally:
        config.write_text(before)
    assert "model-2: ITS HOST KEY HAS CHANGED" in said
    assert f"line {number + 1} of {known}" in said
    assert f"ssh-keygen -f {known} -R '{host.address}'" in said


def test_a_host_without_ssh_is_named_with_the_reason(two: Yard, host: Host) -> None:
    host.run(
        "sudo systemd-run --quiet --on-active=60 --timer-property=AccuracySec=1s systemctl start ssh.service; sudo systemctl stop ssh.service"
    )
    try:
        said = refused(two, "deploy", ENVIRONMENT, "v1.0.0")
    finally:
        until(lambda: enters(host), "its sshd has been started again", 150)
    assert f"model-2: ssh: connect to host {host.address} port 22: Connection refused" in said


def enters(host: Host) -> bool:
    try:
        host.run("true")
    except LabError:
        return False
    return True


def what_serves(host: Host) -> tuple[str, str]:
    """The process, and what the role has put on the host."""
    return main_pid(host, live_slot(host)), host.run("ls", "-l", HOME, f"{HOME}/slots", f"{HOME}/releases")


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ('exec setarch i686 /usr/bin/python3 "$@"', "this machine is i686, the runtime is for x86_64"),
        ("echo 3.12 x86_64", "is Python 3.12, the runtime is for 3.11"),
    ],
)
def test_a_host_that_cannot_run_the_runtime_is_refused_before_anything_is_touched(
    two: Yard, python: str, words: str
) -> None:
    gatekeeper = two.hosts["model-1"]
    gatekeeper.run(
        "sudo tee /usr/local/bin/other && sudo chmod a+x /usr/local/bin/other", text=f"#!/bin/sh\n{python}\n"
    )
    variables = two.root / "ansible" / "inventory" / ENVIRONMENT / "host_vars" / "model-1.yml"
    variables.parent.mkdir(exist_ok=True)
    variables.write_text("---\nmodel_server_python: /usr/local/bin/other\n")
    before = what_serves(gatekeeper)
    said = two.slipway("deploy", ENVIRONMENT, "v1.0.0")
    variables.unlink()
    assert said.code == 1
    assert f"v1.0.0 was not rolled out, and nothing was changed\n  model-1: {REFUSE}: " in said.err
    assert words in said.err
    assert what_serves(gatekeeper) == before
    assert two.desired()[-1] == "abort v1.1.0"


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static int (*real)(clockid_t, struct timespec *);
int clock_gettime(clockid_t id, struct timespec *at) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, at);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec += SKEW;
    return code;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
"""The hosts share this machine's clock, so their programs are told another time."""


@pytest.mark.skipif(
    shutil.which("gcc") is None,
    reason="gcc is not on PATH, which builds the library that tells a host another time",
)
@pytest.mark.parametrize("skew", [7 * 60, -365 * 24 * 3600])
def test_a_host_whose_clock_is_wrong_changes_like_the_others(
    two: Yard, host: Host, tmp_path: Path, skew: int
) -> None:
    (tmp_path / "clock.c").write_text(CLOCK)
    library = tmp_path / "clock.so"
    build = [
        "gcc",
        "-shared",
        "-fPIC",
        f"-DSKEW=({skew})",
        "-o",
        str(library),
        str(tmp_path / "clock.c"),
        "-ldl",
    ]
    subprocess.run(build, check=True)
    text = base64.b64encode(library.read_bytes()).decode()
    host.run("base64 -d | sudo tee /usr/lib/clock.so >/dev/null", text=text)
    host.run("echo /usr/lib/clock.so | sudo tee /etc/ld.so.preload")
    try:
        assert abs(float(host.run("date", "+%s")) - time.time() - skew) < 60
        two.does("deploy", ENVIRONMENT, "v1.0.0")
        two.in_order("v1.0.0")
        out = two.does("rollback", ENVIRONMENT, "v1.1.0")
    finally:
        host.run("sudo rm /etc/ld.so.preload")
    # No host's clock is in the logs or in durations.
    assert not re.search(r" -[0-9.]+ s", out)
    logs = [two.host_log(name)[-2:] for name in ("model-1", "model-2")]
    assert [entry["release"] for entry in logs[1]] == ["v1.0.0", "v1.1.0"]
    assert [entry["action"] for entry in logs[0]] == [entry["action"] for entry in logs[1]]
    assert logs[1][0]["at"] <= logs[1][1]["at"]
    assert abs(datetime.fromisoformat(logs[1][1]["at"]).timestamp() - time.time()) < 600
