"""An environment of three hosts of the lab, in a working repository: everything is real but the cloud.

Its Terraform root puts out hosts that are there already, with Terraform's built-in provider only; what follows it
(inventory, SSH, playbooks, systemd) is what an environment in a cloud has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.lab.fleet import HOME, PORT
from tests.local.workplace import Workplace, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.lab import Lab

ENVIRONMENT = "yard"
_VARIABLES = """---
ansible_become: true
ansible_python_interpreter: /usr/bin/python3
model_server_python: /usr/bin/python3
host_baseline_doors:
  - {port: 8080, sources: [10.0.0.0/8]}
"""


class Yard(Workplace):
    """The working repository, and the hosts of its environment."""

    variables = _VARIABLES
    """Of all its hosts, for Ansible."""

    def __init__(self, root: Path, lab: Lab) -> None:
        super().__init__(root)
        self.lab = lab
        self.hosts = {name: host for name, host in lab.hosts.items() if name.startswith("model-")}
        self.home = root / ".slipway" / ENVIRONMENT

    @property
    def url(self) -> str:
        """The front door."""
        return self.url_of("model-1")

    def build(self) -> None:
        """Write the environment's Terraform root and inventory."""
        root = self.root / "terraform" / "environments" / ENVIRONMENT
        inventory = self.root / "ansible" / "inventory" / ENVIRONMENT
        for folder in (root, inventory / "group_vars"):
            folder.mkdir(parents=True, exist_ok=True)
        fleet = {
            "url": self.url,
            "service_manager": "systemd",
            "hosts": {
                name: {"address": str(host.address), "connection": "ssh", "home": HOME, "port": PORT}
                for name, host in self.hosts.items()
            },
        }
        (root / "main.tf.json").write_text(
            json.dumps(
                {
                    "terraform": {"backend": {"local": {}}},
                    "resource": {"terraform_data": {"fleet": {"input": fleet}}},
                    "output": {"fleet": {"value": "${terraform_data.fleet.output}"}},
                }
            )
        )
        (inventory / "hosts.yml").write_text("---\nmodel_servers:\n")
        (inventory / "group_vars" / "model_servers.yml").write_text(self.variables)
        (root / "ssh_config").write_text((self.lab.plan.folder / "ssh_config").read_text())

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def release(self) -> str:
        """Release the commit; the version."""
        self.run("dvc", "push", "--quiet")
        return self.does("release").partition("@")[2].partition(":")[0]

    def serve(self, hosts: Sequence[str] = ()) -> dict[str, str]:
        """The release that each host answers; empty where none does."""
        return {name: _answers(self.url_of(name)) for name in hosts or self.hosts}

    def url_of(self, name: str) -> str:
        return f"http://{self.hosts[name].address}:{PORT}"

    def desired(self) -> list[str]:
        """Git's desired states, the oldest first: `deploy v1.0.0`."""
        tags = [tag for tag in self.tags() if f"#{ENVIRONMENT}#" in tag]
        messages = [
            self.git("tag", "--list", "--format=%(subject)", tag) for tag in sorted(tags, key=_number)
        ]
        return [" ".join(message.split()[:2]).lower() for message in messages]

    def in_order(self, release: str) -> None:
        """Git, every host and every process agree."""
        found = self.reads("status", ENVIRONMENT)
        assert found["problems"] == [], found
        assert {name: host["live"]["release"] for name, host in found["hosts"].items()} == dict.fromkeys(
            self.hosts, release
        )
        assert found["desired"] == release
        until(lambda: set(self.serve().values()) == {release}, f"all answer {release}")

    def host_log(self, name: str) -> list[dict[str, Any]]:
        lines = self.hosts[name].run("cat", f"{HOME}/releases.jsonl").splitlines()
        return [json.loads(line) for line in lines]


def _number(tag: str) -> int:
    return int(tag.rpartition("#")[2])


def _answers(url: str) -> str:
    import httpx  # noqa: PLC0415

    try:
        # Asked again and again: to read the certificates that it trusts costs more than the answer.
        found = httpx.get(f"{url}/metadata", timeout=3, trust_env=False, verify=False)  # noqa: S501
        return str(found.json()["release"])
    except (httpx.HTTPError, ValueError, KeyError):
        return ""
