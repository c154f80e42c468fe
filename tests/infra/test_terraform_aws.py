"""Whole environments against AWS on loopback: applied, changed and destroyed, with an empty plan after each step."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from lab.aws import ACCOUNT, REGION, Aws
from lab.certificate import self_signed
from tests.infra.conftest import ROOT, Cli

from slipway.fleet import cost, orphans, terraform
from slipway.fleet.environment import Environment, Fleet, Host
from slipway.release.git import Repository

DOMAIN = "models.example.com"
OVERRIDE = 'provider "aws" {\n  max_retries = 5\n}\n'
"""What the server lacks must fail soon: by itself the provider tries for minutes. Its development server does drop a
connection now and then, once in some thousands."""

FOURTH = '  model-4 = { zone = "eu-central-1b", private_ip = "10.30.144.12" }\n'


@pytest.fixture
def given(aws: Aws, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person brings: a certificate, a key, a repository."""
    certificate, key = self_signed(DOMAIN)
    aws.client("acm").import_certificate(Certificate=certificate, PrivateKey=key)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(cli.config))
    monkeypatch.setenv("TF_VAR_domain", DOMAIN)
    monkeypatch.setenv("TF_VAR_github_repository", "acme/models")
    monkeypatch.setenv("TF_VAR_ssh_public_key", public_key())
    # As a workflow gives it; a variable of the repository that nobody has set is empty.
    monkeypatch.setenv("TF_VAR_github_ids", '{owner = "12", repository = "345"}')
    for name in ("alarm_email", "github_provider_arn", "state_bucket"):
        monkeypatch.setenv(f"TF_VAR_{name}", "")
    # What is protected must be changed before it is destroyed, which takes half a minute.
    monkeypatch.setenv("TF_VAR_protected", "false")


@pytest.mark.nightly
@pytest.mark.usefixtures("given", "state_bucket")
def test_production_is_applied_changed_and_destroyed(tree: Path, aws: Aws, cli: Cli) -> None:
    environment = environment_of(tree, "production")
    root = terraform.Terraform(environment, cli.binary)
    root.init()
    root.apply()
    assert root.plan() is False, "the second plan is not empty"
    assert root.fleet() == fleet_of_production(aws)
    the_machines_are_as_they_should_be(aws, root.fleet())
    assert the_table_in_the_readme(environment) == the_table_of(environment, cli)
    what_no_state_knows_is_an_orphan(aws, root)
    artefacts_can_be_kept(aws)

    change(environment, "hosts = {\n", f"hosts = {{\n{FOURTH}")
    root.apply()
    assert root.plan() is False, "the plan after the change is not empty"
    assert sorted(root.fleet().hosts) == ["model-1", "model-2", "model-3", "model-4"]

    shell(cli, environment, "destroy", "-auto-approve", "-input=false", "-no-color")
    assert root.known() & set(instances(aws)) == set()
    assert instances(aws) == {}


@pytest.mark.usefixtures("given", "state_bucket")
def test_staging_is_planned_and_its_cost_is_what_its_readme_says(tree: Path, cli: Cli) -> None:
    environment = environment_of(tree, "staging")
    root = terraform.Terraform(environment, cli.binary)
    root.init()
    plan = environment.folder / "plan"
    shell(cli, environment, "plan", "-input=false", "-no-color", f"-out={plan}")
    assert the_table_in_the_readme(environment) == the_table_of(environment, cli, str(plan))


def fleet_of_production(aws: Aws) -> Fleet:
    ids = {tags(each)["host"]: id_ for id_, each in instances(aws).items()}
    addresses = {"model-1": "10.30.128.11", "model-2": "10.30.144.11", "model-3": "10.30.128.12"}
    return Fleet(
        url=f"https://{DOMAIN}",
        service_manager="systemd",
        hosts={
            name: Host(address=address, connection="ssh", home=Path("/srv/slipway"), port=8080, ssh=ids[name])
            for name, address in addresses.items()
        },
    )


def the_machines_are_as_they_should_be(aws: Aws, fleet: Fleet) -> None:
    """As AWS tells it, and as the inventory will look for them."""
    found = {tags(each)["host"]: each for each in instances(aws).values()}
    assert {name: each["PrivateIpAddress"] for name, each in found.items()} == {
        name: host.address for name, host in fleet.hosts.items()
    }
    for each in found.values():
        expected = {"managed-by": "slipway", "environment": "production", "model": "tumour-screening"}
        assert expected.items() <= tags(each).items()
        assert each["MetadataOptions"]["HttpTokens"] == "required"
        assert "PublicIpAddress" not in each


def artefacts_can_be_kept(aws: Aws) -> None:
    """By everybody of the account; the bucket is not empty when it is destroyed."""
    bucket = f"slipway-production-artefacts-{ACCOUNT}"
    kept = aws.client("s3").put_object(Bucket=bucket, Key="dvc/object", Body=b"1")
    assert kept["ServerSideEncryption"] == "aws:kms"
    assert kept["VersionId"]


def what_no_state_knows_is_an_orphan(aws: Aws, root: terraform.Terraform) -> None:
    """As of an apply that was killed after AWS had made a machine, and before the state knew."""
    found, known = orphans.tagged("production"), root.known()
    for kind in ("instance", "loadbalancer", "vpc", "security-group"):
        assert [arn for arn in found if f":{kind}/" in arn], f"no {kind} is tagged, or moto does not tell"
    assert orphans.unknown(found, known) == []
    mark = [{"Key": "managed-by", "Value": "slipway"}, {"Key": "environment", "Value": "production"}]
    ec2 = aws.client("ec2")
    (left,) = ec2.run_instances(
        ImageId="ami-03cf127a", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": mark}],
    )["Instances"]  # fmt: skip
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{left['InstanceId']}"
    assert orphans.unknown(orphans.tagged("production"), known) == [arn]
    ec2.terminate_instances(InstanceIds=[left["InstanceId"]])
    assert orphans.unknown(orphans.tagged("production"), known) == [], "AWS still tells of it"


def environment_of(tree: Path, name: str) -> Environment:
    """An environment in the copy, whose folder is beside it."""
    (tree / "environments" / name / "provider_override.tf").write_text(OVERRIDE)
    return Environment(name, Repository(tree.parent))


def change(environment: Environment, old: str, new: str) -> None:
    file = environment.terraform_root / "terraform.tfvars"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def shell(cli: Cli, environment: Environment, *arguments: str) -> str:
    """Terraform as a person runs it beside Slipway."""
    data = environment.folder / "terraform" / "data"
    return cli.does(environment.terraform_root, *arguments, data=data)


def the_table_of(environment: Environment, cli: Cli, *plan: str) -> str:
    prices = cost.load(ROOT / "terraform" / "prices.yaml")
    shown = json.loads(shell(cli, environment, "show", "-json", *plan))
    return cost.table(cost.items(shown, prices), prices)


def the_table_in_the_readme(environment: Environment) -> str:
    text = (environment.terraform_root / "README.md").read_text()
    found = re.search(f"{re.escape(cost.BEGIN)}\n(.*?)\n{re.escape(cost.END)}", text, re.DOTALL)
    assert found, f"{environment.name}/README.md does not tell the cost"
    return found[1]


def instances(aws: Aws) -> dict[str, dict[str, Any]]:
    """Those that have not been terminated, by id."""
    pages = aws.client("ec2").get_paginator("describe_instances").paginate()
    found = [each for page in pages for group in page["Reservations"] for each in group["Instances"]]
    return {each["InstanceId"]: each for each in found if each["State"]["Name"] != "terminated"}


def tags(instance: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance["Tags"]}


def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
