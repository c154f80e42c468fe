import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.machine import lives

from slipway.errors import Locked
from slipway.fleet import lock

OWNER = {"by": "ada", "command": "slipway up", "since": "2026-06-01 12:00:00", "pid": "4711"}
OTHER = {**OWNER, "by": "grace", "command": "slipway down"}

HOLD = """
import json, subprocess, sys
from pathlib import Path
from slipway.fleet import lock
with lock.held(Path(sys.argv[1]), json.loads(sys.argv[2])) as descriptor:
    if sys.argv[3] == "with child":
        child = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor])
        print(child.pid, flush=True)
    else:
        print(0, flush=True)
    input()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def holder(file: Path, how: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), json.dumps(OWNER), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


@pytest.fixture
def alone(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    for process, _ in holder(file, "alone"):
        yield process


@pytest.fixture
def with_child(file: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the lock and gave it to a child, and the child's id."""
    for process, child in holder(file, "with child"):
        yield process, child
        if lives(child):
            os.kill(child, signal.SIGKILL)


def taken_over(file: Path, seconds: float = 10) -> None:
    """Take the lock as soon as the kernel has freed it."""
    end = time.monotonic() + seconds
    while True:
        try:
            with lock.held(file, OTHER):
                return
        except Locked:
            assert time.monotonic() < end
            time.sleep(0.02)


def refused(file: Path) -> Locked:
    with pytest.raises(Locked) as caught, lock.held(file, OTHER):
        pass
    return caught.value


def test_who_comes_second_is_told_who_is_first_and_since_when(
    file: Path, alone: subprocess.Popen[str]
) -> None:
    error = refused(file)
    assert alone.poll() is None
    assert error.exit_code == 5
    assert str(error) == (
        "ada is at it since 2026-06-01 12:00:00: 'slipway up' (process 4711)\n"
        "  next: wait, then the same command again"
    )


def test_who_is_refused_leaves_the_first_ones_name(file: Path, alone: subprocess.Popen[str]) -> None:
    first, second = refused(file), refused(file)
    assert alone.poll() is None
    assert str(first) == str(second)


def test_in_one_process_too_the_second_is_refused(file: Path) -> None:
    with lock.held(file, OWNER):
        assert str(refused(file)).startswith("ada is at it since")


def test_a_lock_is_free_after_its_work(file: Path) -> None:
    with lock.held(file, OWNER):
        pass
    with lock.held(file, OTHER):
        assert json.loads(file.read_text()) == OTHER


def test_a_lock_is_free_after_its_work_failed(file: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.held(file, OWNER):
        raise ZeroDivisionError
    with lock.held(file, OTHER):
        pass


def test_a_holder_that_was_killed_holds_nothing(file: Path, alone: subprocess.Popen[str]) -> None:
    refused(file)
    alone.send_signal(signal.SIGKILL)
    taken_over(file)


def test_work_that_outlives_its_command_keeps_the_lock(
    file: Path, with_child: tuple[subprocess.Popen[str], int]
) -> None:
    command, child = with_child
    command.send_signal(signal.SIGKILL)
    command.wait()
    assert lives(child)
    assert str(refused(file)).startswith("ada is at it since")
    os.kill(child, signal.SIGKILL)
    taken_over(file)


@pytest.mark.parametrize("text", ["", "{", '{"by": "ada"}'], ids=["empty", "torn", "of another version"])
def test_a_holder_that_cannot_be_read_is_somebody(
    file: Path, alone: subprocess.Popen[str], text: str
) -> None:
    file.write_text(text)
    assert alone.poll() is None
    assert str(refused(file)) == "somebody else is at it\n  next: wait, then the same command again"


def test_an_owner_is_written_down_in_words() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert lock.owner("slipway up", "ada", 4711, now) == OWNER
