"""Hosts of the lab are machines: they run systemd, are reached by SSH alone, and suffer what machines suffer."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from lab.shell import LabError, run

from lab import ssh

if TYPE_CHECKING:
    from lab.lab import Lab
    from lab.machine import Host


def boots(host: Host) -> str:
    """Which start of the host this is."""
    return host.run("stat -c %Y /proc/1; cut -d' ' -f22 /proc/1/stat")


def reaches(source: Host, target: Host) -> bool:
    try:
        source.run("ping", "-c1", "-W1", target.name)
    except LabError:
        return False
    return True


def memory_test(limit: str) -> str:
    """A command that takes 100 MB, with a limit."""
    unit = f"sudo systemd-run --wait --collect --quiet -p MemoryMax={limit}"
    return f"{unit} python3 -c 'b = bytearray(100 * 2**20)'"


def test_every_host_runs_and_answers_ssh_by_its_own_key(hosts: Lab) -> None:
    for host in hosts.hosts.values():
        assert host.run("systemctl", "is-system-running", "--wait") == "running\n", host.log()
        assert host.run("hostname") == f"{host.name}\n"
    keys = (hosts.plan.folder / "known_hosts").read_text().splitlines()
    assert len({line.split()[2] for line in keys}) == len(hosts.hosts)


def test_a_host_with_another_key_is_refused(hosts: Lab, host: Host) -> None:
    config, known = hosts.plan.folder / "ssh_config", hosts.plan.folder / "known_hosts"
    others = [line for line in known.read_text().splitlines() if f",{host.name} " not in line]
    wrong = hosts.plan.folder / "wrong_hosts"
    wrong.write_text(f"{host.address} {others[0].split(' ', 1)[1]}\n")
    with pytest.raises(LabError, match="Host key verification failed"):
        run("ssh", "-o", f"UserKnownHostsFile={wrong}", "-F", str(config), host.name, "true")


def test_nothing_leads_out_of_the_lab(hosts: Lab, host: Host) -> None:
    network = str(hosts.plan.controller.network)
    routes = host.run("ip", "route").splitlines()
    assert [route.split()[0] for route in routes] == [network]
    assert host.run("cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"


def test_lost_packets_are_lost_between_two_hosts_only(hosts: Lab, host: Host) -> None:
    first, second = hosts.hosts["model-1"], hosts.hosts["model-2"]
    assert reaches(first, host)
    hosts.network.drop(first.address, host.address)
    assert not reaches(first, host)
    assert not reaches(host, first)
    assert reaches(second, host)
    hosts.network.pass_all()
    assert reaches(first, host)


def test_a_cut_link_is_mended(hosts: Lab, host: Host) -> None:
    before = boots(host)
    host.cut_link()
    assert not ssh.greets(host.address)
    assert ssh.greets(hosts.hosts["model-1"].address)
    host.mend_link()
    host.wait()
    assert boots(host) == before


def test_a_frozen_host_goes_on_where_it_was(host: Host) -> None:
    before = boots(host)
    host.freeze()
    assert (host.state, ssh.greets(host.address)) == ("frozen", False)
    host.thaw()
    host.wait()
    assert (host.state, boots(host)) == ("running", before)


def test_a_power_cut_says_no_farewell_and_leaves_the_disk(host: Host) -> None:
    before = boots(host)
    host.run("echo kept >kept")
    with socket.create_connection((str(host.address), ssh.PORT), timeout=5) as connection:
        connection.recv(100)
        host.cut_power()
        assert host.state == "off"
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(100)
    host.return_power()
    assert boots(host) != before
    assert host.run("cat", "kept") == "kept\n"
    assert host.run("systemctl", "is-system-running", "--wait") == "running\n", host.log()


def test_a_host_is_shut_down_and_started(host: Host) -> None:
    began = time.monotonic()
    host.stop()
    assert host.state == "off"
    assert time.monotonic() - began < 10
    host.start()
    host.wait()
    assert "Journal stopped" in host.run("sudo", "journalctl", "--unit=systemd-journald", "--no-pager")


def test_a_small_disk_fills_up(host: Host) -> None:
    host.shrink("/srv", 4)
    fill = ("sudo", "dd", "if=/dev/zero", "of=/srv/large", "bs=1M", "count=8", "status=none")
    with pytest.raises(LabError, match="No space left on device"):
        host.run(*fill)
    host.widen("/srv")
    host.run(*fill)


def test_a_limit_of_memory_kills(host: Host) -> None:
    # 1 with cgroup v2, where systemd is told of it; 255 before that.
    with pytest.raises(LabError, match=r"ended with (1|255)"):
        host.run(memory_test("50M"))
    assert "code=killed, status=9/KILL" in host.run(
        "sudo", "journalctl", "--boot", "--no-pager", "--lines=20"
    )
    host.run(memory_test("400M"))
