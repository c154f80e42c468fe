"""A repository at a long path with a space in it, whose environment lies on a small disk of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.local.workplace import Said, Workplace, clone, free_port, until, with_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nightly

ROOT = os.geteuid() == 0
MEGABYTES = 500


class Story(NamedTuple):
    """How an environment begins."""

    place: Workplace
    taken: Said
    """The first `slipway up`, while another program had the port."""
    left: tuple[set[str], dict[int, list[str]], list[dict[str, str]]]
    """What that left: releases, processes, log."""
    nothing_to_go_back_to: Said
    """`slipway rollback local` after the second one, which ended well."""


@pytest.fixture(scope="module")
def story(seed: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("odd") / ("long " * 25).strip() / "a path with a space" / "slipway"
    root.parent.mkdir(parents=True)
    clone(seed, root, cache)
    place = Workplace(root)
    place.home.mkdir(parents=True)
    if ROOT:
        disk = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place.home)]
        subprocess.run(disk, check=True)
    try:
        with socket.create_server(("127.0.0.1", place.port)):
            taken = place.slipway("up")
        left = (place.installed(), place.processes(), place.log())
        place.does("up")
        yield Story(place, taken, left, place.slipway("rollback", "local"))
    finally:
        place.close()
        if ROOT:
            until(lambda: _unmounted(place.home), "the disk is unmounted")


def _unmounted(folder: Path) -> bool:
    return subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode == 0


@pytest.fixture
def odd(story: Story) -> Workplace:
    if not story.place.answers():
        story.place.does("up")
    return story.place


def test_a_first_roll_out_to_a_taken_port_is_refused_and_leaves_nothing(story: Story) -> None:
    assert story.taken.code == 1
    assert f"port {story.place.port} on 127.0.0.1 cannot be had: Address already in use" in story.taken.err
    assert "nothing was changed" in story.taken.err
    assert story.left == (set(), {}, [])


def test_there_is_nothing_to_roll_a_first_release_back_to(story: Story) -> None:
    said = story.nothing_to_go_back_to
    assert (said.code, said.out) == (1, "")
    assert "there is nothing to roll local back to" in said.err
    assert "next: slipway history local" in said.err


def test_a_long_path_with_a_space_in_it_works(odd: Workplace) -> None:
    assert len(str(odd.root)) > 120
    assert " " in str(odd.root)
    assert odd.answers()
    assert odd.reads("status", "local")["problems"] == []


def test_down_stops_all_that_runs_and_up_brings_it_back(odd: Workplace) -> None:
    live, before = odd.answers(), odd.log()
    odd.does("down")
    until(
        lambda: odd.processes() == {},
        "all has ended, with the second that the door's process sleeps",
        seconds=2,
    )
    assert odd.answers() == ""
    with socket.create_server(("127.0.0.1", odd.port)):
        pass
    assert odd.slipway("status", "local").code == 1
    odd.does("down")
    odd.does("up")
    assert live == odd.one_slot_answers()
    assert before == odd.log()


def fill(file: Path) -> None:
    """Leave no room on the disk of a file."""
    with file.open("wb", buffering=0) as content, contextlib.suppress(OSError):
        while content.write(bytes(2**16)):
            pass


@pytest.mark.skipif(not ROOT, reason="only root may mount a small disk")
def test_a_disk_that_fills_up_leaves_the_old_release_serving(odd: Workplace) -> None:
    live = odd.answers()
    candidate = odd.candidate()
    odd.offer(with_note(candidate, "one too many"))
    filler = odd.home / "filler"
    try:
        fill(filler)
        full = odd.slipway("deploy", "local")
        with filler.open("ab") as file:
            file.truncate(filler.stat().st_size - 2**20)
        small = odd.slipway("deploy", "local")
    finally:
        filler.unlink()
        odd.offer(candidate)
    assert (full.code, small.code) == (1, 1)
    assert "No space left on device" in full.err
    assert "the roll-out needs" in small.err
    assert "nothing was changed" in small.err
    assert "Traceback" not in full.err + small.err
    assert live == odd.one_slot_answers()
    assert odd.reads("status", "local")["problems"] == []


def test_another_port_moves_the_service(odd: Workplace) -> None:
    live, before = odd.answers(), odd.log()
    old = odd.port
    odd.port = free_port()
    odd.does("deploy", "local")
    assert live == odd.one_slot_answers()
    assert before == odd.log()
    with socket.create_server(("127.0.0.1", old)):
        pass
    assert odd.reads("status", "local")["problems"] == []


def test_what_a_killed_supervisord_leaves_is_taken_over(odd: Workplace) -> None:
    live, before = odd.answers(), odd.log()
    os.kill(supervisord(odd), signal.SIGKILL)
    odd.does("deploy", "local")
    assert live == odd.one_slot_answers()
    assert before == odd.log()
    os.kill(supervisord(odd), signal.SIGKILL)
    odd.does("down")
    with socket.create_server(("127.0.0.1", odd.port)):
        pass  # nobody holds the door any more
    until(lambda: odd.processes() == {}, "all that ran here has ended", seconds=2)


def supervisord(place: Workplace) -> int:
    return int((place.home / "run" / "supervisord.pid").read_text())
