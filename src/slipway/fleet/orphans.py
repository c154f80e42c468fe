"""Resources that are tagged as an environment's but that its state does not know: what a killed apply leaves behind.

`python -m slipway.fleet.orphans staging` lists them; exit code 1 where there are any.
"""

import re
import sys
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import MachineError, SlipwayError
from slipway.fleet import terraform
from slipway.fleet.environment import STATE_FOLDER, Environment
from slipway.release.git import Repository

MANAGED_BY = ("managed-by", "slipway")
"""The tag that the provider of every environment puts on all that it makes."""


def of(environment: Environment) -> list[str]:
    """The ARNs of an environment's orphans.

    Raises:
        MachineError: AWS or the state cannot be asked.
        Locked: Somebody is applying: what looks like an orphan may be in the making.
    """
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    root = terraform.Terraform(environment, binary.path)
    root.init()
    # Asks for the lock, so that nothing is in the making; and writes back a state that an apply could not.
    root.plan()
    return unknown(tagged(environment.name), root.known())


def tagged(environment: str) -> list[str]:
    """The ARNs of all that carries the environment's tags, in the region that AWS's settings name.

    Without instances that are terminated: AWS tells of them, and of their tags, for about an hour.

    Raises:
        MachineError: AWS cannot be asked.
    """
    tags = dict([MANAGED_BY, ("environment", environment)])
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    try:
        pages = boto3.client("resourcegroupstaggingapi").get_paginator("get_resources")
        found: list[dict[str, Any]] = [
            resource
            for page in pages.paginate(TagFilters=filters)
            for resource in page["ResourceTagMappingList"]
        ]
        gone = {
            instance["InstanceId"]
            for page in boto3.client("ec2")
            .get_paginator("describe_instances")
            .paginate(
                Filters=[
                    {"Name": "instance-state-name", "Values": ["terminated"]},
                    *({"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()),
                ]
            )
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }
    except (BotoCoreError, ClientError) as error:
        raise MachineError(
            f"AWS does not say what is tagged {tags}: {error}", next_command="aws sts get-caller-identity"
        ) from error
    arns = (resource["ResourceARN"] for resource in found)
    return sorted(arn for arn in arns if arn.rpartition(":instance/")[2] not in gone)


def unknown(arns: Iterable[str], known: frozenset[str]) -> list[str]:
    """Those that the state knows neither by ARN nor by id, the last part of one."""
    return [arn for arn in arns if arn not in known and re.split("[:/]", arn)[-1] not in known]


def main(arguments: list[str]) -> int:
    """List the orphans of the environment that is named."""
    try:
        (name,) = arguments
        found = of(Environment.named(name, Repository.here()))
    except ValueError:
        sys.stderr.write("usage: python -m slipway.fleet.orphans ENV\n")
        return 64
    except SlipwayError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.writelines(f"{arn}\n" for arn in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
