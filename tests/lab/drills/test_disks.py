"""Disks that are full, or take no bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.lab.drills.faults import read_only, small_disk
from tests.lab.fleet import HOME, PORT, live_slot
from tests.local.workplace import until

if TYPE_CHECKING:
    from tests.lab.drills.drill import Drill

FAILED = 1

pytestmark = pytest.mark.nightly


@pytest.mark.drill(15, "disk full before the copy")
def test_a_host_without_space_refuses_before_anything_is_changed(drill: Drill) -> None:
    release, host = drill.site.another(), drill.site.hosts["model-1"]
    with drill.load(), small_disk(host, "", megabytes=20):
        drill.refuses(
            FAILED, "MB free, the roll-out needs", "and nothing was changed", by=("deploy", release)
        )
        assert release not in host.run("ls", f"{HOME}/releases")
    drill.ends_on(drill.old)


@pytest.mark.drill(15, "disk full in the copy")
def test_a_disk_that_fills_up_in_the_copy_leaves_nothing_of_it(drill: Drill) -> None:
    release, host = drill.site.another(), drill.site.hosts["model-1"]
    with drill.load(), small_disk(host, "releases", megabytes=0):
        drill.refuses(FAILED, "No space left on device", by=("deploy", release))
        assert release not in host.run("ls", f"{HOME}/releases")
    drill.ends_on(drill.old)


@pytest.mark.drill(17, "read-only release folder")
def test_a_folder_that_takes_no_bytes_is_said_and_the_old_release_serves(drill: Drill) -> None:
    release, host = drill.site.another(), drill.site.hosts["model-1"]
    with drill.load(), read_only(host, "releases"):
        drill.refuses(FAILED, "Read-only file system", by=("deploy", release))
    drill.ends_on(drill.old)


@pytest.mark.drill(16, "disk full of predictions")
def test_a_disk_that_is_full_of_predictions_costs_lines_of_the_log_and_no_answer(drill: Drill) -> None:
    host = drill.site.hosts["model-1"]
    owner = "uid=$(id -u slipway),gid=$(id -g slipway)"
    place, slot = f"{HOME}/predictions", f"slipway@{live_slot(host)}"
    with drill.load():
        host.run(f"sudo mount -t tmpfs -o size=64k,mode=750,{owner} small {place}")
        host.run("sudo", "systemctl", "restart", slot)
        metrics = f"curl -s http://{host.address}:{PORT}/metrics | grep ^slipway_prediction_log_dropped_total"
        until(lambda: float(host.run(metrics).split()[1]) > 0, "lines are dropped, and counted", pause=0.3)
        assert "predictions are not logged" in host.run("sudo", "journalctl", "--unit", slot, "--no-pager")
        host.run("sudo", "umount", "--lazy", place)
        host.run("sudo", "systemctl", "restart", slot)
    drill.ends_on(drill.old, logged=False)
