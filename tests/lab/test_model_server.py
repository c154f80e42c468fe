"""The role `model_server` on hosts with systemd, over SSH: what it leaves there, and what the hosts survive.

The tests tell one story, in their order; each leaves model-1 serving.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
import pytest
from lab.shell import LabError
from tests.lab.fleet import HOME, PORT, Fleet, answers, controls, files, live_slot, main_pid, served
from tests.local.load import Load
from tests.local.workplace import Candidate, Workplace, rebuilt, until, with_note

from slipway import bundle, params
from slipway.pipeline import stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.lab import Lab
    from lab.machine import Host

SECONDS_TO_RETURN = 2.0
EXPOSURE_MAXIMUM = 1.5
STARTS_MAXIMUM = 5
PREDICTIONS = f"{HOME}/predictions"


@pytest.fixture(scope="module")
def fleet(hosts: Lab, made: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Model servers on which nothing has been done."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "served").mkdir()
    runtime = made.root / "artifacts" / "runtime.tar"
    (folder / "served" / runtime.name).symlink_to(runtime.resolve())
    with controls(folder), served(folder / "served", str(hosts.plan.controller.ip)) as url:
        yield Fleet(hosts, folder, runtime, url)


@pytest.fixture(scope="module")
def first(fleet: Fleet, made: Workplace) -> dict[str, Any]:
    return fleet.release("v1.0.0", made.candidate())


@pytest.fixture(scope="module")
def second(fleet: Fleet, made: Workplace) -> dict[str, Any]:
    return fleet.release("v1.1.0", with_note(made.candidate(), "the second"))


@pytest.fixture(scope="module")
def rows(made: Workplace) -> list[dict[str, Any]]:
    settings = params.load(made.root / "params.yaml")
    return stage.rows(pd.read_parquet(made.root / "data" / "validation.parquet"), settings.contract)


@pytest.fixture(scope="module")
def serving(fleet: Fleet, first: dict[str, Any]) -> Host:
    """model-1, once a first roll-out has made it serve."""
    assert fleet.rolls_out(first, limit="model-1").changed["model-1"] > 0
    return fleet.lab.hosts["model-1"]


def journal(host: Host) -> str:
    return host.run("sudo", "journalctl", "--boot", "--no-pager", "--lines=30")


def logged(host: Host) -> str:
    """The prediction log."""
    return host.run(f"sudo sh -c 'cat {PREDICTIONS}/*.jsonl || true'")


def dropped(host: Host) -> float:
    """Rows that are not in it."""
    text = httpx.get(f"http://{host.address}:{PORT}/metrics", timeout=10, trust_env=False).text
    found = re.search(r"^slipway_prediction_log_dropped_total (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def begin_again(host: Host) -> None:
    """Restart the live slot's process: it has a file of the log open."""
    host.run("sudo", "systemctl", "restart", f"slipway@{live_slot(host)}")


def kill(host: Host) -> None:
    host.run("sudo", "systemctl", "kill", "--signal=KILL", f"slipway@{live_slot(host)}")


def tampered(candidate: Candidate) -> Candidate:
    """The same model with a golden row that it does not answer so."""

    def tamper(content: Mapping[str, bytes]) -> dict[str, bytes]:
        golden = json.loads(content[bundle.GOLDEN])
        golden["expected"][0][1] = 1 - golden["expected"][0][1]
        return {bundle.GOLDEN: json.dumps(golden).encode()}

    return rebuilt(candidate, tamper)


def test_check_mode_on_an_empty_host_changes_nothing(fleet: Fleet, first: dict[str, Any]) -> None:
    host = fleet.lab.hosts["model-3"]
    before = files(host)
    played = fleet.plays("rollout", "--check", limit="model-3", **first)
    assert (played.code, played.failed) == (0, ""), played.output[-4000:]
    assert played.changed["model-3"] > 0
    assert files(host) == before
    assert "slipway" not in host.run("cat", "/etc/passwd")


def test_a_first_rollout_serves_with_a_user_of_its_own(serving: Host) -> None:
    assert answers(serving) == "v1.0.0"
    pid = main_pid(serving, live_slot(serving))
    assert serving.run("ps", "-o", "user=", "-p", pid) == "slipway\n"
    assert serving.run("systemctl", "is-system-running") == "running\n"


def test_the_second_run_changes_nothing(fleet: Fleet, serving: Host, first: dict[str, Any]) -> None:
    before, pid = files(serving), main_pid(serving, live_slot(serving))
    assert fleet.rolls_out(first, limit="model-1").changed == {"model-1": 0}
    assert (files(serving), main_pid(serving, live_slot(serving))) == (before, pid)


def test_check_mode_of_another_release_changes_nothing(
    fleet: Fleet, serving: Host, second: dict[str, Any]
) -> None:
    before = files(serving)
    played = fleet.plays("rollout", "--check", limit="model-1", **second)
    assert (played.code, played.failed) == (0, ""), played.output[-4000:]
    assert played.changed["model-1"] > 0
    assert (files(serving), answers(serving)) == (before, "v1.0.0")


def test_a_slot_is_hardly_exposed(serving: Host) -> None:
    unit = f"slipway@{live_slot(serving)}.service"
    said = serving.run("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) < EXPOSURE_MAXIMUM, "\n".join(line for line in said.splitlines() if "✗" in line)


def test_what_serves_cannot_change_what_it_serves(serving: Host) -> None:
    slot = live_slot(serving)
    inside = f"sudo nsenter --mount --target {main_pid(serving, slot)} --setuid 0"
    with pytest.raises(LabError, match="Read-only file system"):
        serving.run(f"{inside} touch {HOME}/releases/v1.0.0/bundle/model.onnx")
    serving.run(f"{inside} touch {HOME}/run/{slot}.json")


def test_what_was_answered_is_written_down_for_the_service_s_group(
    serving: Host, rows: list[dict[str, Any]]
) -> None:
    url = f"http://{serving.address}:{PORT}/predict"
    answer = httpx.post(url, json=rows[0], headers={"X-Request-Id": "lab-1"}, timeout=10, trust_env=False)
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (200, "lab-1")
    until(lambda: '"request":"lab-1"' in logged(serving), "the line is there")
    found = json.loads(logged(serving).splitlines()[-1])
    assert (found["release"], found["predictions"]) == ("v1.0.0", answer.json()["predictions"])
    modes = serving.run(f"sudo sh -c 'stat --format=%U:%G:%a {PREDICTIONS} {PREDICTIONS}/*'")
    assert modes.split() == ["slipway:slipway:750", "slipway:slipway:640"]


def test_a_disk_that_is_full_of_predictions_costs_lines_of_the_log_and_no_answer(
    serving: Host, rows: list[dict[str, Any]]
) -> None:
    owner = "uid=$(id -u slipway),gid=$(id -g slipway)"
    serving.run(f"sudo mount -t tmpfs -o size=64k,mode=750,{owner} none {PREDICTIONS}")
    begin_again(serving)
    try:
        with Load(PORT, rows, str(serving.address)) as load:
            until(lambda: dropped(serving) > 0, "the disk is full")
            time.sleep(0.5)
        whole = [json.loads(line) for line in logged(serving).splitlines()]
    finally:
        serving.run(f"sudo sh -c 'rm {PREDICTIONS}/*' && sudo umount --lazy {PREDICTIONS}")
    assert (load.failed, load.releases) == ([], ["v1.0.0"])
    assert len(whole) + dropped(serving) == len(load.requests)
    said = serving.run("sudo journalctl --boot --no-pager --output=cat | grep '^predictions are'")
    assert said.splitlines()[-1].startswith("predictions are not logged: [Errno 28]")
    begin_again(serving)
    before = len(logged(serving).splitlines())
    with Load(PORT, rows, str(serving.address)) as load:
        pass
    until(lambda: len(logged(serving).splitlines()) == before + len(load.requests), "all are logged again")


def test_a_swap_under_load_loses_no_request(
    fleet: Fleet, serving: Host, second: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    began = time.monotonic()
    with Load(PORT, rows, str(serving.address)) as load:
        fleet.rolls_out(second, limit="model-1")
        ended = time.monotonic()
    assert load.failed == []
    assert load.releases == ["v1.0.0", "v1.1.0"]
    assert load.per_second >= 100
    assert Load.illegal(load.requests, "v1.0.0", "v1.1.0", began, ended) == []


def test_a_bad_release_is_refused_by_its_golden_rows_and_the_old_one_serves(
    fleet: Fleet, serving: Host, made: Workplace, rows: list[dict[str, Any]]
) -> None:
    bad = fleet.release("v2.0.0", tampered(made.candidate()))
    with Load(PORT, rows, str(serving.address)) as load:
        played = fleet.plays("rollout", limit="model-1", **bad)
    assert played.code == 2
    assert played.failed.startswith("Start the slot's process, and wait until it is ready:")
    assert "fails its golden rows: golden row 0: expected" in played.failed
    assert (load.failed, load.releases, answers(serving)) == ([], ["v1.1.0"], "v1.1.0")
    assert "v2.0.0" not in serving.run("ls", f"{HOME}/releases")
    assert serving.run("systemctl", "is-system-running") == "running\n", journal(serving)


def test_bytes_that_are_not_those_of_the_release_are_refused_by_a_host_that_has_nothing_yet(
    fleet: Fleet, first: dict[str, Any]
) -> None:
    host = fleet.lab.hosts["model-3"]
    record = first["model_server_release"] | {"runtime": "0" * 64}
    played = fleet.plays("rollout", limit="model-3", **(first | {"model_server_release": record}))
    assert played.code == 2
    assert "Fetch the runtime" in played.failed
    assert "0" * 64 in played.failed
    assert host.run("ls", f"{HOME}/releases", f"{HOME}/slots").split() == [
        f"{HOME}/releases:",
        f"{HOME}/slots:",
    ]


def test_a_limit_of_memory_kills_and_the_old_release_serves(
    fleet: Fleet, serving: Host, first: dict[str, Any]
) -> None:
    idle = {"blue": "green", "green": "blue"}[live_slot(serving)]
    limit = f"/run/systemd/system/slipway@{idle}.service.d/limit.conf"
    serving.run(
        f"sudo mkdir -p $(dirname {limit}) && sudo tee {limit} && sudo systemctl daemon-reload",
        text="[Service]\nMemoryMax=20M\n",
    )
    played = fleet.plays("rollout", limit="model-1", **first)
    assert played.code == 2
    # systemd is told that memory was the reason with cgroup v2 only.
    assert re.search(
        "it ended before it was ready: because (a fatal signal|of an out-of-memory)", played.failed
    )
    assert answers(serving) == "v1.1.0"
    serving.run(f"sudo rm {limit} && sudo systemctl daemon-reload")
    assert (
        serving.run("systemctl", "show", "--value", "--property=MemoryMax", f"slipway@{idle}") == f"{2**30}\n"
    )


def test_a_killed_process_is_back_soon_and_its_requests_wait(serving: Host) -> None:
    slot = live_slot(serving)
    before = main_pid(serving, slot)
    kill(serving)
    # No second try: the socket is systemd's, and was never closed.
    began = time.monotonic()
    assert answers(serving) == "v1.1.0"
    assert time.monotonic() - began < SECONDS_TO_RETURN
    assert main_pid(serving, slot) != before


def test_a_host_that_had_no_power_serves_again_by_itself(serving: Host) -> None:
    serving.cut_power()
    assert answers(serving, seconds=0.5) == ""
    serving.return_power()
    until(lambda: answers(serving) == "v1.1.0", "the live slot is started with the machine")
    assert serving.run("systemctl", "is-system-running", "--wait") == "running\n", journal(serving)


def test_a_unit_that_was_edited_by_hand_is_shown_and_healed_without_a_failed_request(
    fleet: Fleet, serving: Host, second: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    unit = "/etc/systemd/system/slipway@.service"
    serving.run("sudo", "sed", "-i", "/^ProtectHome=/d", unit)
    assert fleet.plays("rollout", "--check", limit="model-1", **second).changed["model-1"] > 0
    before = main_pid(serving, live_slot(serving))
    with Load(PORT, rows, str(serving.address)) as load:
        fleet.rolls_out(second, limit="model-1")
    assert (load.failed, load.releases) == ([], ["v1.1.0"])
    assert main_pid(serving, live_slot(serving)) not in {before, "0"}
    assert serving.run("grep", "-c", "^ProtectHome=yes", unit) == "1\n"


def test_a_slot_that_dies_again_and_again_is_given_up_until_the_next_rollout(
    fleet: Fleet, serving: Host, second: dict[str, Any]
) -> None:
    kills = 0
    while answers(serving):
        kill(serving)
        kills += 1
    # Its first start may have been too long ago to count.
    assert kills in {STARTS_MAXIMUM, STARTS_MAXIMUM + 1}
    assert serving.run("systemctl is-active slipway.socket || true") == "failed\n"
    fleet.rolls_out(second, limit="model-1")
    assert answers(serving) == "v1.1.0"


def test_what_was_stopped_stays_so_until_the_next_rollout(
    fleet: Fleet, serving: Host, second: dict[str, Any]
) -> None:
    played = fleet.plays("stop", limit="model-1,model-3")
    assert (played.code, played.failed) == (0, "")
    assert played.changed == {"model-1": 1, "model-3": 0}
    assert answers(serving) == ""
    assert serving.run("systemctl is-enabled slipway.socket || true") == "disabled\n"
    fleet.rolls_out(second, limit="model-1")
    assert answers(serving) == "v1.1.0"
