"""What the lab needs and is told, without making anything."""

from __future__ import annotations

import os
import shutil
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from lab.machine import nspawn
from lab.plan import Plan, Process
from lab.shell import LabError

from lab import cgroups, lab, needs, network, plan, root, ssh

PLAN = Plan("t", IPv4Interface("10.9.0.1/16"), {"one": IPv4Address("10.9.1.5")})

ALL = 2**41 - 1
"""Every capability."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where labs are written down, instead of the machine's own place."""
    monkeypatch.setattr(plan, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (("Darwin", "arm64", 0, ALL, []), "the lab's hosts run on Linux x86_64; this is Darwin arm64"),
        (("Linux", "x86_64", 1000, 0, ["nftables"]), "next: sudo make lab"),
        (("Linux", "x86_64", 0, 0xA80425FB, []), "as in most containers\n  next: on a machine, make lab"),
        (
            ("Linux", "x86_64", 0, ALL, ["mmdebstrap", "nftables"]),
            "next: apt-get install --no-install-recommends mmdebstrap nftables",
        ),
    ],
)
def test_a_refusal_says_what_to_do(machine: tuple[str, str, int, int, list[str]], expected: str) -> None:
    assert needs.refusal(*machine).endswith(expected)


def test_a_machine_with_everything_is_not_refused() -> None:
    assert needs.refusal("Linux", "x86_64", 0, ALL, []) == ""


def test_a_missing_program_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shutil, "which", lambda program, path: None if program == "nft" else f"{path}/{program}"
    )
    monkeypatch.setattr(needs, "KEYRING", Path("/"))
    assert needs.missing() == ["nftables"]


def test_a_plan_is_read_as_it_was_written(folder: Path) -> None:
    PLAN._replace(owner=Process.current()).write()
    assert plan.read("t") == PLAN._replace(owner=Process.current())
    assert plan.known() == [PLAN._replace(owner=Process.current())]
    assert plan.read("other") is None
    (folder / "half").mkdir()
    assert len(plan.known()) == 1


def test_a_lab_is_abandoned_when_its_owner_has_ended() -> None:
    here = Process.current()
    assert not PLAN.abandoned
    assert not PLAN._replace(owner=here).abandoned
    assert PLAN._replace(owner=here._replace(started=here.started - 1)).abandoned


@pytest.mark.usefixtures("folder")
def test_two_labs_have_two_networks() -> None:
    first = lab.free_plan("first", ["one", "two"])
    first.write()
    second = lab.free_plan("second", ["one"])
    assert (str(first.controller), str(second.controller)) == ("10.213.0.1/24", "10.213.1.1/24")
    assert lab.free_plan("first", ["one", "two"]) == first


def test_addresses_that_this_machine_needs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst": "default", "dev": "eth0"}, {"dst": "10.9.3.0/24", "dev": "eth0"}]'
    monkeypatch.setattr(network, "run", lambda *_: routes)
    with pytest.raises(LabError, match=r"10\.9\.0\.0/16 overlaps 10\.9\.3\.0/24, .* by eth0"):
        network.refuse_overlap(PLAN)
    network.refuse_overlap(PLAN._replace(controller=IPv4Interface("10.8.0.1/16")))


@pytest.mark.usefixtures("folder")
def test_a_name_that_is_too_long_for_a_link_is_refused() -> None:
    with pytest.raises(LabError, match="too long"):
        lab.up_as_planned(PLAN._replace(name="a-long-long-name"))


def test_the_root_comes_from_this_machines_debian_or_else_from_debians_own(tmp_path: Path) -> None:
    (own,) = root.sources(tmp_path)
    assert own.endswith("http://deb.debian.org/debian bookworm main")
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "cloud.list").write_text("deb https://example.org/apt cloud-sdk-bookworm main\n")
    (parts / "debian.sources").write_text("Types: deb\nURIs: http://example.org/debian\nSuites: bookworm\n")
    (parts / "debian.sources.disabled").write_text("Suites: bookworm\n")
    assert root.sources(tmp_path) == [str(parts / "debian.sources")]


def test_another_list_of_packages_is_another_root(monkeypatch: pytest.MonkeyPatch) -> None:
    before = root.digest()
    assert before == root.digest()
    monkeypatch.setattr(root, "PACKAGES", (*root.PACKAGES, "vim"))
    assert root.digest() != before


def test_a_root_that_cannot_be_built_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(folder: Path, _: list[str]) -> list[str]:
        return ["sh", "-c", f"mkdir {folder}; echo no network >&2; exit 7"]

    monkeypatch.setattr(root, "command", half)
    with pytest.raises(LabError, match="ended with 7: no network"):
        root.ensure(tmp_path)
    assert not [path for path in tmp_path.glob("root-*") if path.suffix != ".partial"]


def test_roots_that_nobody_asks_for_are_forgotten(tmp_path: Path) -> None:
    wanted, recent, old = (tmp_path / f"root-{name}" for name in (root.digest(), "recent", "old"))
    for folder in (wanted, recent, old):
        folder.mkdir()
    for folder in (wanted, old):
        os.utime(folder, (0, 0))
    assert root.ensure(tmp_path) == wanted
    assert sorted(tmp_path.glob("root-*")) == sorted([wanted, recent])


def test_the_container_keeps_to_its_own_network_and_group() -> None:
    argv = nspawn(Path("/r"), "slipway-t-one", "slipway-t.one")
    assert argv[0] == "systemd-nspawn"
    assert {"--network-namespace-path=/run/netns/slipway-t.one", "--keep-unit", "--register=no"} <= set(argv)
    assert [part for part in argv if part.startswith("--capability")] == ["--capability=CAP_NET_ADMIN"]


def test_ssh_knows_the_hosts_by_name_and_by_address_and_is_strict() -> None:
    lines = [line.strip() for line in ssh.config(PLAN).splitlines()]
    assert "Host one 10.9.1.5" in lines
    assert {"StrictHostKeyChecking yes", "IdentitiesOnly yes", "BatchMode yes", "User admin"} <= set(lines)


def test_hierarchies_of_both_kinds_are_found(tmp_path: Path) -> None:
    for name in ("memory", "freezer"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "empty").mkdir()
    assert cgroups.hierarchies(tmp_path) == [tmp_path / "freezer", tmp_path / "memory"]
    (tmp_path / "cgroup.controllers").touch()
    assert (cgroups.unified(tmp_path), cgroups.hierarchies(tmp_path)) == (True, [tmp_path])


def test_a_process_that_was_not_waited_for_is_not_alive() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not Process(child, 1).alive
    os.waitpid(child, 0)
