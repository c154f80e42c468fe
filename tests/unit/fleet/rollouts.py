"""An environment that can be rolled out to, and what git, its hosts and Ansible were told."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.machine import Host, Program, Server, Terraform
from tests.unit.workshop import NOW, Workshop

from slipway.errors import SlipwayError
from slipway.fleet.context import Context
from slipway.release import desired
from slipway.release.names import ReleaseName
from slipway.serving.release import ReleaseRecord

FAILS = {
    "_event": "v2_runner_on_failed",
    "hosts": {"local-1": {"msg": "Wait until the slot is ready: the service said: no such file"}},
    "task": {"name": "model_server : Say what failed", "path": "/tasks/restore.yml:30"},
}


@pytest.fixture
def ready(context: Context, server: Server, terraform: Terraform, ansible: Program) -> Context:
    """Terraform and Ansible are there and do nothing, quickly."""
    terraform.works(server.url, context.environment.folder)
    ansible.does("")
    return context


@pytest.fixture
def fails(ansible: Program) -> Callable[[], None]:
    """Lets every roll-out fail on the host."""
    return lambda: ansible.does(f"print({json.dumps(FAILS)!r}); sys.exit(2)")


def told(ansible: Program) -> dict[str, Any]:
    """The variables of the last playbook."""
    (variables,) = [a.partition("=")[2] for a in ansible.calls[-1] if a.startswith("--extra-vars=")]
    found: dict[str, Any] = json.loads(variables)
    return found


def declared(workshop: Workshop) -> list[str]:
    """What git says of `local`, as `deploy v1.0.0`."""
    history = desired.history(workshop.repository, "wear", "local")
    return [f"{state.action} {state.release.label}" for state in history]


def on_host(host: Host, workshop: Workshop, *labels: str) -> list[ReleaseRecord]:
    """Releases of git that are installed and were live one after the other; the last one is."""
    records = [host.record(label) for label in labels]
    for record in records:
        host.make_live(record)
        host.log(("deploy", record))
        name = ReleaseName.from_tag(f"wear@{record.release}", "wear")
        if name:
            desired.declare(workshop.repository, "local", name, "deploy", NOW)
    return records


def refusal(act: Callable[[], object]) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught:
        act()
    return caught.value
