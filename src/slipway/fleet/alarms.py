"""Alarms of an environment that fire: who deploys is told; going back is never held up, so it does not ask."""

from pathlib import Path

from ruamel.yaml import YAML

from slipway.errors import MachineError
from slipway.fleet.environment import Environment

_CONNECT_SECONDS = 3
_READ_SECONDS = 5


def firing(environment: Environment) -> dict[str, str]:
    """The alarms of CloudWatch that fire, and what each says; none where the environment is not in a cloud.

    They are those that begin with the environment's name, as the Terraform module `observability` calls them.

    Raises:
        MachineError: The cloud does not answer, or not to us.
    """
    if not (inventory := environment.cloud_inventory):
        return {}
    import boto3  # noqa: PLC0415 - takes half a second to import
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    patience = Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 2}
    )
    try:
        client = boto3.client("cloudwatch", region_name=_region(inventory), config=patience)
        pages = client.get_paginator("describe_alarms")
        found = [
            alarm
            for page in pages.paginate(AlarmNamePrefix=f"{environment.name}-")
            for alarm in page["MetricAlarms"]
            if alarm["StateValue"] == "ALARM"
        ]
    except (BotoCoreError, ClientError) as error:
        raise MachineError(f"CloudWatch cannot be asked: {error}") from error
    return {alarm["AlarmName"]: alarm.get("AlarmDescription", "") for alarm in found}


def _region(inventory: Path) -> str | None:
    """Where its machines are, by the inventory; None leaves it to AWS's own settings."""
    told = YAML(typ="safe", pure=True).load(inventory.read_text(encoding="utf-8")) or {}
    return next(iter(told.get("regions", [])), None)
