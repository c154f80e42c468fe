"""Disks that are full, or take no bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.lab.drills.faults import read_only, small_disk
from tests.lab.fleet import HOME
from tests.local.workplace import with_note

if TYPE_CHECKING:
    from tests.lab.drills.drill import Drill

FAILED = 1

pytestmark = pytest.mark.slow_drill


def forged(drill: Drill) -> str:
    """A sound release that no host has yet."""
    return drill.site.forge(with_note(drill.site.candidate(), f"of {drill.site.tags()[-1]}"))


@pytest.mark.drill(15, "disk full before the copy")
def test_a_host_without_space_refuses_before_anything_is_changed(drill: Drill) -> None:
    release, host = forged(drill), drill.site.hosts["model-1"]
    with drill.load(), small_disk(host, "", megabytes=20):
        drill.refuses(
            FAILED, "MB free, the roll-out needs", "and nothing was changed", by=("deploy", release)
        )
        assert release not in host.run("ls", f"{HOME}/releases")
    drill.ends_on(drill.old)


@pytest.mark.drill(15, "disk full in the copy")
def test_a_disk_that_fills_up_in_the_copy_leaves_nothing_of_it(drill: Drill) -> None:
    release, host = forged(drill), drill.site.hosts["model-1"]
    with drill.load(), small_disk(host, "releases", megabytes=0):
        drill.refuses(FAILED, "No space left on device", by=("deploy", release))
        assert release not in host.run("ls", f"{HOME}/releases")
    drill.ends_on(drill.old)


@pytest.mark.drill(17, "read-only release folder")
def test_a_folder_that_takes_no_bytes_is_said_and_the_old_release_serves(drill: Drill) -> None:
    release, host = forged(drill), drill.site.hosts["model-1"]
    with drill.load(), read_only(host, "releases"):
        drill.refuses(FAILED, "Read-only file system", by=("deploy", release))
    drill.ends_on(drill.old)
