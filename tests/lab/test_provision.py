"""The roles `host_baseline` and `load_balancer` on hosts of the lab: what they close, and what they keep open."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from lab.play import Played, play, reached
from lab.shell import LabError, run
from tests.lab.fleet import controls
from tests.local.load import Load
from tests.local.workplace import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.lab import Lab
    from lab.machine import Host

pytestmark = pytest.mark.nightly

PORT, CLOSED_PORT = 8080, 8081
BACKENDS = ("model-2", "model-3")
MANAGED = ("model-2", "balancer-1")
BACKEND = """
import http.server, json, socket
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = socket.gethostname()
        found = {"release": name, "predictions": [{"label": name, "probability": 1.0}]}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("", PORT), Handler).serve_forever()
"""


class Site(NamedTuple):
    """Two hosts that answer with their name, and a balancer before them."""

    lab: Lab
    folder: Path

    @property
    def balancer(self) -> Host:
        return self.lab.hosts["balancer-1"]

    @property
    def inventory(self) -> dict[str, Any]:
        door = {"port": PORT, "sources": [str(self.lab.plan.controller.network)]}
        hosts = {name: {"ansible_host": str(self.lab.hosts[name].address)} for name in MANAGED}
        servers = {name: {"address": str(self.lab.hosts[name].address), "port": PORT} for name in BACKENDS}
        shared = {
            "host_baseline_doors": [door],
            "load_balancer_port": PORT,
            "load_balancer_servers": servers,
        }
        groups: dict[str, Any] = {"load_balancers": {"hosts": {"balancer-1": {}}}}
        return {"all": {"hosts": hosts, "vars": reached(self.lab) | shared, "children": groups}}

    def provisions(self, *arguments: str, **variables: Any) -> Played:
        given = [f"--extra-vars={json.dumps(variables)}"] if variables else []
        return play(self.folder, self.inventory, "provision", *arguments, *given)


@pytest.fixture(scope="module")
def bare(hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The hosts as they are made, with something that listens on two ports."""
    with controls(tmp_path_factory.mktemp("site")) as folder:
        site = Site(hosts, folder)
        for name in BACKENDS:
            for port in (PORT, CLOSED_PORT):
                listen(hosts.hosts[name], port)
        yield site


@pytest.fixture(scope="module")
def site(bare: Site) -> Site:
    """The hosts as the playbook leaves them."""
    played = bare.provisions()
    assert played.code == 0, f"{played.failed}\n{played.output[-4000:]}"
    assert min(played.changed.values()) > 0
    return bare


def listen(host: Host, port: int) -> None:
    host.run("cat >backend.py", text=BACKEND.replace("PORT", str(port)))
    start = f"sudo systemd-run --quiet --collect --unit=backend-{port} -p Restart=always -p RestartSec=50ms"
    host.run(f"cp backend.py backend-{port}.py; {start} python3 $HOME/backend-{port}.py")


def is_open(host: Host, port: int) -> bool:
    try:
        with socket.create_connection((str(host.address), port), timeout=0.7):
            return True
    except OSError:
        return False


def enters(site: Site, user: str, *options: str) -> bool:
    config = str(site.lab.plan.folder / "ssh_config")
    try:
        run("ssh", "-F", config, "-l", user, *options, BACKENDS[0], "true")
    except LabError as error:
        if "Permission denied" in str(error):
            return False
        raise
    return True


def main_pid(host: Host, unit: str) -> str:
    return host.run("systemctl", "show", "--value", "--property=MainPID", unit).strip()


def answering(load: Load) -> set[str]:
    return set(load.releases)


def load_on(site: Site) -> Load:
    return Load(PORT, [{}], str(site.balancer.address))


def test_before_the_baseline_root_may_enter_and_every_port_is_open(bare: Site) -> None:
    host = bare.lab.hosts[BACKENDS[0]]
    host.run("sudo install -d -m700 ~root/.ssh && sudo cp .ssh/authorized_keys ~root/.ssh/")
    assert enters(bare, "root")
    until(lambda: is_open(host, CLOSED_PORT), "a program listens")


def test_the_machine_that_ansible_runs_on_is_refused(bare: Site) -> None:
    inventory = {"all": {"hosts": {"here": {"ansible_connection": "local"}}}}
    played = play(bare.folder, inventory, "provision")
    assert played.code == 2
    assert "it is for hosts of a fleet" in played.failed


def test_check_mode_on_a_bare_host_changes_nothing(bare: Site) -> None:
    host = bare.lab.hosts[BACKENDS[0]]
    listing = "sudo find /etc -newer /etc/hostname -type f -o -newer /etc/hostname -type l"
    before = host.run(listing)
    played = bare.provisions("--check", f"--limit={host.name}")
    assert (played.code, played.failed) == (0, ""), played.output[-4000:]
    assert played.changed[host.name] > 0
    assert host.run(listing) == before


def test_the_second_run_changes_nothing(site: Site) -> None:
    played = site.provisions()
    assert (played.code, set(played.changed.values())) == (0, {0}), played.output[-4000:]


def test_nobody_enters_as_root_or_by_password(site: Site) -> None:
    assert not enters(site, "root")
    assert not enters(site, "admin", "-o", "PubkeyAuthentication=no")
    assert enters(site, "admin")
    said = site.lab.hosts[BACKENDS[0]].run("sudo", "sshd", "-T", "-C", "user=admin")
    assert {"passwordauthentication no", "permitrootlogin no"} <= set(said.splitlines())


def test_a_connection_whose_far_end_is_lost_is_ended(site: Site) -> None:
    """The lock of a roll-out is held by a connection. It takes a minute or so to end, which is not waited for here."""
    said = site.lab.hosts[BACKENDS[0]].run("sudo", "sshd", "-T")
    assert {"clientaliveinterval 10", "clientalivecountmax 3"} <= set(said.splitlines())


def test_only_listed_ports_are_open_also_after_the_next_start(site: Site) -> None:
    host = site.lab.hosts[BACKENDS[0]]
    assert is_open(host, PORT)
    assert not is_open(host, CLOSED_PORT)
    assert host.run(f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{CLOSED_PORT}") == "200"
    host.stop()
    host.start()
    host.wait()
    assert "dport 8080" in host.run("sudo", "nft", "list", "ruleset")
    for port in (PORT, CLOSED_PORT):
        listen(host, port)


def test_updates_are_of_security_alone_and_logs_have_a_limit(site: Site) -> None:
    host = site.lab.hosts[BACKENDS[0]]
    origins = host.run("apt-config", "dump", "Unattended-Upgrade::Origins-Pattern").splitlines()
    assert [line.split('"')[1] for line in origins if '"origin' in line] == [
        "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"
    ]
    timers = ("apt-daily-upgrade.timer", "logrotate.timer", "systemd-timesyncd.service")
    assert host.run("systemctl", "is-enabled", *timers).split() == ["enabled"] * 3
    assert f"SystemMaxUse={512 * 2**20}" in host.run("systemd-analyze", "cat-config", "systemd/journald.conf")
    assert "NTP=0.debian.pool.ntp.org" in host.run("systemd-analyze", "cat-config", "systemd/timesyncd.conf")


def test_reloads_of_the_balancer_lose_no_request(site: Site) -> None:
    until(lambda: is_open(site.balancer, PORT), "the balancer listens")
    before = main_pid(site.balancer, "haproxy")
    with load_on(site) as load:
        for _ in range(10):
            site.balancer.run("sudo", "systemctl", "reload", "haproxy")
    assert load.failed == []
    assert answering(load) == set(BACKENDS)
    assert main_pid(site.balancer, "haproxy") == before


def test_a_killed_backend_costs_no_request(site: Site) -> None:
    host = site.lab.hosts[BACKENDS[0]]
    with load_on(site) as load:
        for _ in range(3):
            host.run("sudo", "systemctl", "kill", "--signal=KILL", f"backend-{PORT}")
            time.sleep(0.3)
    assert load.failed == []


def test_a_host_that_hangs_leaves_the_rotation_and_comes_back(site: Site) -> None:
    host = site.lab.hosts[BACKENDS[0]]

    def both() -> bool:
        with load_on(site) as load:
            pass
        return answering(load) == set(BACKENDS)

    until(both, "both hosts answer")
    host.cut_link()
    try:
        until(lambda: state_of(site, host.name) == "DOWN", "the balancer's check fails")
        with load_on(site) as load:
            pass
        assert (load.failed, answering(load)) == ([], {BACKENDS[1]})
    finally:
        host.mend_link()
    until(both, "both hosts answer again")


def state_of(site: Site, name: str) -> str:
    """A host's state, as the balancer sees it."""
    program = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
    program += "s.send(b'show stat\\n'); print(s.makefile().read())"
    table = site.balancer.run("sudo python3 -", text=program).splitlines()
    (row,) = [line.split(",") for line in table if line.startswith(f"hosts,{name},")]
    return row[17].split()[0]


def test_a_configuration_that_is_none_is_refused_and_the_balancer_goes_on(site: Site) -> None:
    before = site.balancer.run("cat", "/etc/haproxy/haproxy.cfg")
    with load_on(site) as load:
        played = site.provisions(
            "--start-at-task=Write the configuration", load_balancer_check_path="/ready z\n    nonsense"
        )
    assert played.code == 2
    assert "failed to validate" in played.failed
    assert load.failed == []
    assert site.balancer.run("cat", "/etc/haproxy/haproxy.cfg") == before
