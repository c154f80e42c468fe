"""A repository with three environments of which the emulated AWS has one: a host, a bucket, and what surrounds them.

`production` has its state in a bucket, but makes nothing that needs a provider; `local` is on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from lab.aws import REGION
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from lab.aws import Aws
    from tests.infra.conftest import Cli

PLANTED = "hunter2-of-the-database"
STATES = "states-of-the-small"
OTHER_IMAGE = "ami-12c6146b"
MAIN = """\
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
  backend "s3" {
    key          = "staging/terraform.tfstate"
    region       = "eu-central-1"
    use_lockfile = true
  }
}
provider "aws" {
  region      = "eu-central-1"
  max_retries = 5
}
variable "token" {
  type      = string
  sensitive = true
}
data "aws_subnets" "all" {}
resource "aws_security_group" "hosts" {
  name = "hosts"
}
resource "aws_vpc_security_group_ingress_rule" "service" {
  security_group_id = aws_security_group.hosts.id
  ip_protocol       = "tcp"
  from_port         = 8080
  to_port           = 8080
  cidr_ipv4         = "10.30.0.0/16"
}
resource "aws_instance" "host" {
  for_each               = toset(["model-1"])
  ami                    = "ami-03cf127a"
  instance_type          = "t3.small"
  monitoring             = false
  subnet_id              = sort(data.aws_subnets.all.ids)[0]
  vpc_security_group_ids = [aws_security_group.hosts.id]
  root_block_device {
    volume_size = 20
  }
}
resource "aws_s3_bucket" "objects" {
  bucket = "objects-of-the-small"
}
resource "aws_s3_bucket_versioning" "objects" {
  bucket = aws_s3_bucket.objects.id
  versioning_configuration {
    status = "Enabled"
  }
}
resource "aws_ssm_parameter" "token" {
  name  = "/small/token"
  type  = "SecureString"
  value = var.token
}
output "token" {
  value     = var.token
  sensitive = true
}
output "fleet" {
  value = {
    url             = "http://small.example.com"
    service_manager = "systemd"
    hosts = { for name, host in aws_instance.host : name => {
      address = host.private_ip, connection = "ssh", home = "/srv/slipway", port = 8080, ssh = host.id
    } }
  }
}
"""

WITHOUT_PROVIDER = """\
terraform {
  backend "s3" {
    key          = "production/terraform.tfstate"
    region       = "eu-central-1"
    use_lockfile = true
  }
}
resource "terraform_data" "host" {
  input = 1
}
"""


class Small:
    """The repository, as a person works on it."""

    def __init__(self, root: Path, aws: Aws, cli: Cli) -> None:
        self.root, self.aws = root, aws
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **aws.environment,
            "SLIPWAY_STATE_BUCKET": STATES,
            "TF_CLI_CONFIG_FILE": str(cli.config),
            "TF_VAR_token": PLANTED,
            "COLUMNS": "200",
        }
        self._files()
        where = {"LocationConstraint": REGION}
        aws.client("s3").create_bucket(Bucket=STATES, CreateBucketConfiguration=where)

    def _files(self) -> None:
        for name in ("params.yaml", "dvc.yaml", "terraform/prices.yaml"):
            (self.root / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        shutil.copytree(ROOT / "ansible" / "inventory", self.root / "ansible" / "inventory")
        shutil.copytree(ROOT / "terraform" / "environments" / "local", self.main("local").parent)
        for environment, text in (("staging", MAIN), ("production", WITHOUT_PROVIDER)):
            self.main(environment).parent.mkdir()
            self.main(environment).write_text(text)
        subprocess.run(["git", "init", "--quiet", "--template=", self.root], check=True)

    def main(self, environment: str) -> Path:
        return self.root / "terraform" / "environments" / environment / "main.tf"

    def slipway(self, *arguments: str, token: str = PLANTED) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "slipway.cli", *arguments],
            cwd=self.root,
            env={**self.environment, "TF_VAR_token": token},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def told(self, *arguments: str, code: int, token: str = PLANTED) -> dict[str, Any]:
        """What it prints as JSON."""
        done = self.slipway(*arguments, "--json", token=token)
        assert done.returncode == code, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def does(self, *arguments: str) -> str:
        done = self.slipway(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def state(self) -> str:
        """Changes whenever the state is written."""
        head = self.aws.client("s3").head_object(Bucket=STATES, Key="staging/terraform.tfstate")
        return f"{head['ETag']} {head['LastModified']}"

    def host(self) -> dict[str, Any]:
        """The machine that has not been terminated."""
        groups = self.aws.client("ec2").describe_instances()["Reservations"]
        (found,) = [
            each for group in groups for each in group["Instances"] if each["State"]["Name"] != "terminated"
        ]
        return dict(found)
