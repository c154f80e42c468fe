"""What was changed by hand, broke or was lost on the hosts of a fleet is shown by `status`, and mended by `--heal`.

The tests tell one story, in their order; each begins and ends with the fleet in order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.lab.fleet import HOME, PORT, live_slot, main_pid
from tests.lab.yard import ENVIRONMENT
from tests.local.load import Load
from tests.local.workplace import until

from slipway import params
from slipway.pipeline import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.machine import Host
    from tests.lab.yard import Yard

pytestmark = pytest.mark.nightly

UNIT = "/etc/systemd/system/slipway@.service"


@pytest.fixture(autouse=True)
def ends_in_order(two: Yard) -> Iterator[None]:
    """Whatever a test has done to the fleet, it serves v1.1.0 afterwards, and everything agrees."""
    yield
    two.in_order("v1.1.0")


@pytest.fixture(scope="module")
def rows(two: Yard) -> list[dict[str, Any]]:
    settings = params.load(two.root / "params.yaml")
    return stage.rows(pd.read_parquet(two.root / "data" / "validation.parquet"), settings.contract)


@pytest.fixture
def host(two: Yard) -> Host:
    """A host that is not the gatekeeper."""
    return two.hosts["model-2"]


def problems(yard: Yard) -> list[str]:
    """What `status` complains of; the exit code says so, too."""
    said = yard.slipway("status", ENVIRONMENT, "--json")
    found: list[str] = json.loads(said.out)["problems"]
    assert said.code == (1 if found else 0)
    return found


def heals(yard: Yard) -> dict[str, list[str]]:
    """Heal; what was worked on, by host."""
    said = yard.slipway("status", ENVIRONMENT, "--heal", "--json")
    assert said.code == 0, said.out + said.err
    found: dict[str, list[str]] = json.loads(said.out)["healed"]
    return found


def test_where_everything_is_in_order_nothing_is_healed_or_declared(two: Yard) -> None:
    before = (two.tags(), [two.host_log(name) for name in two.hosts])
    said = two.slipway("status", ENVIRONMENT, "--heal")
    assert (said.code, said.err) == (0, "")
    assert "every host that answers is in order" in said.out
    assert before == (two.tags(), [two.host_log(name) for name in two.hosts])


def test_a_unit_that_was_edited_is_shown_with_its_host_and_healed_without_a_failed_request(
    two: Yard, host: Host, rows: list[dict[str, Any]]
) -> None:
    host.run("sudo", "sed", "-i", "/^ProtectHome=/d", UNIT)
    assert problems(two) == [f"model-2: {UNIT} is not as the roll-out wrote it"]
    others = {name: main_pid(each, live_slot(each)) for name, each in two.hosts.items() if each != host}
    before = main_pid(host, live_slot(host))
    with Load(PORT, rows, str(host.address)) as load:
        assert list(heals(two)) == ["model-2"]
    assert (load.failed, load.releases) == ([], ["v1.1.0"])
    assert host.run("grep", "-c", "^ProtectHome=yes", UNIT) == "1\n"
    assert main_pid(host, live_slot(host)) not in {before, "0"}
    assert others == {name: main_pid(two.hosts[name], live_slot(two.hosts[name])) for name in others}


def test_what_systemctl_edit_has_left_is_shown_and_removed(two: Yard, host: Host) -> None:
    file = f"{UNIT}.d/override.conf"
    host.run(
        f"sudo mkdir {UNIT}.d && sudo tee {file} && sudo systemctl daemon-reload", text="[Service]\nNice=5\n"
    )
    assert problems(two) == [f"model-2: {file} was not written by a roll-out"]
    assert heals(two) == {"model-2": [f"{file} was not written by a roll-out"]}
    shown = host.run("systemctl", "show", "--value", "--property=Nice", f"slipway@{live_slot(host)}")
    assert shown == "0\n"


def test_a_runtime_that_lacks_files_is_shown_and_brought_again_without_a_failed_request(
    two: Yard, host: Host, rows: list[dict[str, Any]]
) -> None:
    slot = live_slot(host)
    host.run(f"sudo rm -r {HOME}/live/runtime/lib/python3.11/site-packages/starlette")
    assert problems(two) == ["model-2: the runtime of v1.1.0 is not whole"]
    with Load(PORT, rows, str(host.address)) as load:
        heals(two)
    assert (load.failed, load.releases) == ([], ["v1.1.0"])
    assert live_slot(host) != slot, "what runs was proven on the new files before it took over"


def test_releases_that_are_damaged_are_shown_and_brought_again(two: Yard, host: Host) -> None:
    for release in ("v1.0.0", "v1.1.0"):
        host.run(f"echo x | sudo tee -a {HOME}/releases/{release}/bundle/model.onnx")
    assert sorted(problems(two)) == [
        "model-2: the files of v1.1.0 are not whole",
        "model-2: v1.0.0 is on the host, but not whole: nothing can go back to it",
    ]
    heals(two)


@pytest.mark.parametrize(
    ("done", "shown"),
    [
        ("systemctl stop slipway.socket", "slipway.socket is inactive"),
        ("systemctl stop slipway@blue slipway@green", "v1.1.0 should be serving, but does not answer"),
        (
            "systemctl disable slipway.socket",
            "slipway.socket would not start with the machine: it is disabled",
        ),
    ],
)
def test_what_was_stopped_by_hand_is_shown_and_serves_again(
    two: Yard, host: Host, done: str, shown: str
) -> None:
    host.run(f"sudo {done}")
    assert f"model-2: {shown}" in problems(two)
    heals(two)


def test_a_host_on_another_release_comes_to_the_one_that_git_wants(two: Yard, host: Host) -> None:
    slot = live_slot(host)
    idle = {"blue": "green", "green": "blue"}[slot]
    host.run(
        f"cd {HOME} && sudo ln -sfn ../releases/v1.0.0 slots/{idle} && sudo systemctl start slipway@{idle} "
        f"&& sudo ln -sfn slots/{idle} live && sudo systemctl kill --signal=USR1 slipway@{idle} "
        f"&& sudo systemctl stop slipway@{slot}"
    )
    until(lambda: two.serve(["model-2"]) == {"model-2": "v1.0.0"}, "the host has been changed by hand")
    assert "model-2: git wants v1.1.0, the host has v1.0.0" in problems(two)
    before = two.tags()
    heals(two)
    assert before == two.tags()


def test_a_host_that_cannot_be_reached_does_not_keep_others_from_being_healed(two: Yard, host: Host) -> None:
    lost = two.hosts["model-3"]
    host.run("sudo", "sed", "-i", "/^ProtectHome=/d", UNIT)
    lost.cut_link()
    try:
        said = two.slipway("status", ENVIRONMENT, "--heal")
    finally:
        lost.mend_link()
    assert said.code == 1
    assert "model-3 cannot be reached" in said.out
    assert host.run("grep", "-c", "^ProtectHome=yes", UNIT) == "1\n"
