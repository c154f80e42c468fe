"""`python -m lab`: what it leaves, whoever is killed, and whom it refuses."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab.cgroups import CGROUPS
from lab.shell import run

from lab import plan as plans

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
NAME = f"k{os.getpid()}"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lab", *arguments]


def traces(name: str) -> dict[str, list[str]]:
    """All that a lab leaves on a machine, by kind."""
    return {
        "processes": sorted(line for line in command_lines() if f"--machine=slipway-{name}-" in line),
        "mounts": [
            line for line in Path("/proc/self/mounts").read_text().splitlines() if f"/{name}/" in line
        ],
        "namespaces": [
            line for line in run("ip", "netns").splitlines() if line.startswith(f"slipway-{name}")
        ],
        "links": [line for line in run("ip", "-br", "link").splitlines() if line.startswith(f"lab-{name}")],
        # Not by a glob: other groups come and go meanwhile.
        "groups": sorted(
            folder for folder, _, _ in os.walk(CGROUPS) if f"slipway-lab.{name}." in Path(folder).name
        ),
        "folders": [str(path) for path in plans.FOLDER.glob(name)],
    }


def command_lines() -> Iterator[str]:
    """Of all processes that are there; others end while they are read."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes().decode(errors="replace").replace("\0", " ")


def clean(name: str) -> bool:
    return not any(traces(name).values())


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.45, 0.6])
def test_whenever_up_is_killed_down_leaves_nothing(seconds: float) -> None:
    with subprocess.Popen(
        command("up", "--name", NAME), cwd=REPOSITORY, stdout=subprocess.DEVNULL
    ) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command("down", "--name", NAME), cwd=REPOSITORY, check=False)
    assert done.returncode == 0
    assert clean(NAME), traces(NAME)


OWNED = """
import time
from lab import lab
from lab.plan import Process
lab.up({name!r}, ["model-1"], Process.current())
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.usefixtures("able")
def test_a_lab_whose_owner_is_killed_is_removed_by_the_next_command() -> None:
    program = [sys.executable, "-c", OWNED.format(name=NAME)]
    with subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert all(traces(NAME).values()), traces(NAME)
        process.send_signal(signal.SIGKILL)
    assert all(traces(NAME).values()), "nobody has removed it yet"
    said = subprocess.run(
        command("down", "--name", "another"), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert said.stdout == "there is no lab 'another'\n"
    assert clean(NAME), traces(NAME)


@pytest.mark.usefixtures("able")
def test_a_lab_that_is_up_stays_as_it_is_until_down() -> None:
    def said(verb: str) -> str:
        return subprocess.run(
            command(verb, "--name", NAME), cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout

    try:
        said("up")
        before = traces(NAME)
        status = said("status").splitlines()
        assert [line.split()[0] for line in status] == ["model-1", "model-2", "model-3", "balancer-1"]
        assert {line.split()[2] for line in status} == {"running"}
        assert said("up").splitlines()[:4] == status
        assert traces(NAME) == before
    finally:
        assert said("down") == f"{NAME} is removed\n"
    assert clean(NAME), traces(NAME)


@pytest.mark.skipif(sys.platform != "linux", reason="the refusal of other systems is tested in test_needs")
def test_without_root_it_refuses_and_says_what_to_do() -> None:
    # In a user namespace without a map, root is nobody, and can still read this repository.
    nobody = ["unshare", "--user"] if os.geteuid() == 0 else []
    said = subprocess.run(
        [*nobody, *command("up", "--name", NAME)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.splitlines() == [
        "error: the lab makes network namespaces, mounts and containers, which needs root",
        "  next: sudo make lab",
    ]
