"""The cloud's account of an environment's machines, by the committed inventory, against AWS on loopback."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from lab.aws import Aws
from tests.infra.conftest import ROOT

from slipway.errors import MachineError
from slipway.fleet import cloud
from slipway.fleet.cloud import Machine
from slipway.fleet.environment import Environment, Host
from slipway.release.git import Repository


@pytest.fixture
def production(tmp_path: Path) -> Environment:
    shutil.copytree(ROOT / "ansible", tmp_path / "ansible")
    environment = Environment("production", Repository(tmp_path))
    environment.prepare()
    return environment


@pytest.fixture
def machine(aws: Aws) -> Any:
    """A machine as Terraform tags them, and one of another environment."""
    ec2 = aws.client("ec2")

    def run(environment: str) -> Any:
        tags = {
            "managed-by": "slipway",
            "environment": environment,
            "role": "model-server",
            "host": "model-1",
        }
        (made,) = ec2.run_instances(
            ImageId="ami-03cf127a", MinCount=1, MaxCount=1,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )["Instances"]  # fmt: skip
        return made

    made, other = run("production"), run("staging")
    yield made
    ec2.terminate_instances(InstanceIds=[made["InstanceId"], other["InstanceId"]])


def test_the_cloud_tells_which_machines_an_environment_has(
    production: Environment, machine: Any, aws: Aws
) -> None:
    found = Machine(machine["InstanceId"], machine["PrivateIpAddress"], "running")
    assert cloud.machines(production) == {"model-1": found}
    aws.client("ec2").stop_instances(InstanceIds=[machine["InstanceId"]])
    assert cloud.machines(production) == {"model-1": found._replace(state="stopped")}


def test_a_cloud_that_does_not_answer_is_not_an_empty_one(
    production: Environment, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    del aws
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(
        MachineError, match="the cloud cannot be asked: Failed to describe instances: Could not connect"
    ):
        cloud.machines(production)


def test_an_environment_without_an_inventory_of_the_cloud_has_no_such_account(
    production: Environment,
) -> None:
    assert cloud.machines(production._replace(name="local")) is None


def test_what_differs_from_what_terraform_put_out_is_named() -> None:
    host = Host(address="10.30.0.11", connection="ssh", home=Path("/srv/slipway"), port=8080)
    hosts = dict.fromkeys(("a", "b", "c", "d"), host)
    machines = {
        "a": Machine("i-1", "10.30.0.11", "running"),
        "b": Machine("i-2", "10.30.0.11", "stopped"),
        "c": Machine("i-3", "10.30.0.12", "running"),
        "e": Machine("i-5", "10.30.0.15", "running"),
    }
    assert cloud.problems(hosts, machines) == [
        "d is gone from the cloud",
        "b (i-2) is stopped in the cloud",
        "c has the address 10.30.0.12 in the cloud, not 10.30.0.11",
        "e (i-5) is in the cloud, but Terraform does not put it out",
    ]
