"""The playbooks for engineers without our command: `verify` tells what does not agree, `rescue` serves again.

The tests tell one story, in their order; each leaves model-1 serving, with v1.0.0 and v1.1.0 on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.lab.fleet import HOME, Fleet, answers, controls, files, live_slot, main_pid, own, served
from tests.local.workplace import Workplace, with_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from lab.machine import Host
    from lab.play import Played

pytestmark = pytest.mark.nightly

UNIT = "/etc/systemd/system/slipway@.service"
FLIP = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(99); b = f.read(1); f.seek(99); f.write(bytes([b[0] ^ 1]))"


@pytest.fixture(scope="module")
def hosts(able: None) -> Iterator[Lab]:  # noqa: ARG001 - comes first
    """A lab of this story's own: others leave something on their hosts."""
    with own("e") as lab:
        yield lab


@pytest.fixture(scope="module")
def fleet(hosts: Lab, made: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """model-1 has served v1.0.0, and serves v1.1.0; where their bytes came from is gone."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "served").mkdir()
    runtime = made.root / "artifacts" / "runtime.tar"
    (folder / "served" / runtime.name).symlink_to(runtime.resolve())
    with controls(folder):
        with served(folder / "served", str(hosts.plan.controller.ip)) as url:
            fleet = Fleet(hosts, folder, runtime, url)
            fleet.rolls_out(fleet.release("v1.0.0", made.candidate()), limit="model-1")
            second = with_note(made.candidate(), "the second")
            fleet.rolls_out(fleet.release("v1.1.0", second), limit="model-1")
        yield fleet


@pytest.fixture
def host(fleet: Fleet) -> Host:
    return fleet.lab.hosts["model-1"]


def verifies(fleet: Fleet) -> Played:
    return fleet.plays("verify", limit="model-1")


def rescues(fleet: Fleet, *arguments: str) -> Played:
    return fleet.plays("rescue", *arguments, limit="model-1")


def flip(host: Host, file: str) -> None:
    """Change one bit of a file, so that its length and its time tell nothing; again, and it is as it was."""
    host.run(f"sudo python3 - {file}", text=FLIP)


def test_verify_of_a_sound_host_says_what_it_serves_and_changes_nothing(fleet: Fleet, host: Host) -> None:
    before = (files(host), main_pid(host, live_slot(host)))
    played = verifies(fleet)
    assert (played.code, played.changed) == (0, {"model-1": 0}), played.failed
    assert f"v1.1.0 serves from {live_slot(host)}: bundle " in played.output
    assert (files(host), main_pid(host, live_slot(host))) == before


def test_verify_of_a_host_on_which_nothing_is_deployed_says_so(fleet: Fleet) -> None:
    played = fleet.plays("verify", limit="model-3")
    assert (played.code, played.failed) == (2, "nothing is deployed")


def test_verify_finds_a_flipped_bit_anywhere_and_a_unit_that_was_edited(fleet: Fleet, host: Host) -> None:
    spoilt = (
        f"{HOME}/live/bundle/model.onnx",
        f"{HOME}/live/runtime/lib/python3.11/site-packages/starlette/routing.py",
        f"{HOME}/releases/v1.0.0/bundle.tar",
    )
    unit = host.run("cat", UNIT)
    host.run("sudo", "sed", "-i", "/^ProtectHome=/d", UNIT)
    for file in spoilt:
        flip(host, file)
    before = files(host)
    played = verifies(fleet)
    assert played.code == 2
    for sentence in (
        "v1.1.0 is on the host, but its files are not whole",
        "v1.0.0 is on the host, but its files are not whole",
        "the runtime of v1.1.0 is not whole",
        f"{UNIT} is not as the roll-out wrote it",
    ):
        assert sentence in played.failed
    assert files(host) == before
    for file in spoilt:
        flip(host, file)
    host.run(f"sudo tee {UNIT}", text=unit)
    assert verifies(fleet).code == 0


def test_verify_finds_a_process_that_is_not_what_live_names(fleet: Fleet, host: Host) -> None:
    slot = live_slot(host)
    host.run(f"sudo ln -sfn ../releases/v1.0.0 {HOME}/slots/{slot}")
    played = verifies(fleet)
    host.run(f"sudo ln -sfn ../releases/v1.1.0 {HOME}/slots/{slot}")
    assert played.code == 2
    assert "v1.0.0 should be serving, but v1.1.0 answers" in played.failed


def test_rescue_of_a_sound_host_changes_nothing(fleet: Fleet, host: Host) -> None:
    before = (files(host), main_pid(host, live_slot(host)))
    played = rescues(fleet)
    assert (played.code, played.changed) == (0, {"model-1": 0}), played.failed
    assert (files(host), main_pid(host, live_slot(host))) == before


def test_rescue_serves_again_where_links_log_units_and_processes_are_damaged(
    fleet: Fleet, host: Host
) -> None:
    host.run(
        "sudo systemctl stop slipway.socket slipway.service; sudo systemctl mask --now slipway.socket; "
        f"cd {HOME} && sudo rm live slots/green && sudo mkdir -p slots/green/folder live/folder "
        f"&& printf '\\377not json' | sudo tee releases.jsonl >/dev/null && echo '[Service]' | sudo tee {UNIT}"
    )
    assert answers(host, seconds=2) == ""
    played = rescues(fleet)
    assert played.code == 0, f"{played.failed}\n{played.output[-4000:]}"
    assert answers(host) == "v1.1.0"
    assert host.run("ls", f"{HOME}/releases").split() == ["v1.0.0", "v1.1.0"]
    assert '"action": "rescue"' in host.run("tail", "-n1", f"{HOME}/releases.jsonl")
    assert verifies(fleet).code == 0


def test_rescue_goes_to_the_release_that_is_named(fleet: Fleet, host: Host) -> None:
    host.run("sudo systemctl stop slipway@blue slipway@green")
    played = rescues(fleet, "--extra-vars=release=v1.0.0")
    assert played.code == 0, played.failed
    assert answers(host) == "v1.0.0"


def test_rescue_to_what_is_not_on_the_host_names_what_is_and_changes_nothing(
    fleet: Fleet, host: Host
) -> None:
    before = files(host)
    played = rescues(fleet, "--extra-vars=release=v9.0.0")
    assert played.code == 2
    assert played.failed == (
        "v9.0.0 is not on this host, or not whole with its runtime; whole are: v1.1.0, v1.0.0"
    )
    assert (files(host), answers(host)) == (before, "v1.0.0")


def test_rescue_does_not_serve_what_is_damaged(fleet: Fleet, host: Host) -> None:
    """What `live` names is not whole: what was live before is, and serves."""
    flip(host, f"{HOME}/releases/v1.0.0/bundle/model.onnx")
    host.run(
        "sudo systemctl kill --signal=KILL slipway@blue slipway@green; sudo systemctl stop slipway.socket"
    )
    played = rescues(fleet)
    assert played.code == 0, played.failed
    assert answers(host) == "v1.1.0"
