import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.unit.workshop import Workshop

from slipway.errors import InputError, MachineError
from slipway.fleet.environment import Environment, Fleet, Host, fleet_of, inventory

HOST = {"address": "10.0.0.1", "connection": "ssh", "home": "/srv/slipway", "port": 8080}
FLEET = {"url": "http://10.0.0.1:8080", "service_manager": "supervisord", "hosts": {"a-1": HOST}}


def test_an_environment_is_a_terraform_root_and_a_folder_of_this_machine(workshop: Workshop) -> None:
    staging = Environment.named("staging", workshop.repository)
    assert staging.terraform_root == workshop.root / "terraform/environments/staging"
    assert staging.folder == workshop.root / ".slipway/staging"


@pytest.mark.parametrize("name", ["production", "", "..", "local/", "main.tf"])
def test_an_unknown_environment_names_those_that_there_are(workshop: Workshop, name: str) -> None:
    with pytest.raises(InputError) as caught:
        Environment.named(name, workshop.repository)
    assert str(caught.value) == (
        f"unknown environment {name!r}; there is local, staging\n  next: slipway status local"
    )


@pytest.mark.parametrize("name", ["eu_west", "EU", "1st", "eu-"])
def test_an_environment_that_no_tag_can_name_is_refused(workshop: Workshop, name: str) -> None:
    (workshop.root / "terraform" / "environments" / name).mkdir()
    with pytest.raises(
        InputError, match=rf"environments/{name}: an environment's name has a-z, 0-9 and -"
    ) as caught:
        Environment.named(name, workshop.repository)
    assert str(caught.value.next_command).startswith("git mv terraform/environments/")


def test_only_local_is_this_machine(workshop: Workshop) -> None:
    here = [Environment.named(name, workshop.repository).is_here for name in ("local", "staging")]
    assert here == [True, False]


def test_an_environment_with_an_inventory_takes_releases(workshop: Workshop) -> None:
    Environment.named("staging", workshop.repository).require_inventory()


def test_an_environment_without_an_inventory_takes_none(workshop: Workshop) -> None:
    (workshop.root / "terraform" / "environments" / "bare").mkdir()
    with pytest.raises(InputError) as caught:
        Environment.named("bare", workshop.repository).require_inventory()
    assert str(caught.value) == (
        "bare takes no releases yet: it has a Terraform root, but no inventory (ansible/inventory/bare)\n"
        "  next: terraform/README.md tells how to plan and apply its machines"
    )


def test_preparing_makes_the_folder_and_leaves_nothing_in_it(environment: Environment) -> None:
    environment.prepare()
    environment.prepare()
    assert list(environment.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(environment: Environment) -> None:
    environment.folder.parent.mkdir(exist_ok=True)
    environment.folder.write_text("in the way")
    with pytest.raises(MachineError) as caught:
        environment.prepare()
    assert str(caught.value) == f"{environment.folder} cannot be written to: File exists"


def test_terraforms_outputs_are_read_as_a_fleet() -> None:
    fleet = fleet_of({"fleet": FLEET, "something_else": 1})
    host = Host(address="10.0.0.1", connection="ssh", home=Path("/srv/slipway"), port=8080)
    assert fleet == Fleet(url="http://10.0.0.1:8080", service_manager="supervisord", hosts={"a-1": host})


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"fleet": {}},
        {"fleet": None},
        {"fleet": {**FLEET, "release": "v1.0.0"}},
        {"fleet": {**FLEET, "hosts": {"a-1": {**HOST, "port": "http"}}}},
        {"fleet": {**FLEET, "hosts": {"a-1": {**HOST, "colour": "blue"}}}},
    ],
    ids=["nothing", "empty", "null", "a key too many", "a port that is none", "a host's key too many"],
)
def test_outputs_that_are_no_fleet_are_refused(outputs: dict[str, Any]) -> None:
    with pytest.raises(MachineError, match=r"^Terraform's outputs do not describe a fleet: "):
        fleet_of(outputs)


def test_the_inventory_is_yaml_with_every_host_and_the_facts() -> None:
    text = inventory(fleet_of({"fleet": FLEET}), {"some_fact": [1, 2]})
    expected = {
        "model_servers": {
            "hosts": {
                "a-1": {
                    "ansible_connection": "ssh",
                    "ansible_host": "10.0.0.1",
                    "model_server_address": "10.0.0.1",
                    "model_server_home": "/srv/slipway",
                    "model_server_port": 8080,
                    "model_server_service_manager": "supervisord",
                }
            },
            "vars": {"some_fact": [1, 2]},
        }
    }
    assert YAML(typ="safe", pure=True).load(text) == json.loads(text) == expected
