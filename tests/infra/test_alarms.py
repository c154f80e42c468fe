"""Alarms that fire before a deploy, as CloudWatch on loopback tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slipway.errors import MachineError
from slipway.fleet import alarms
from slipway.fleet.environment import Environment
from slipway.release.git import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.aws import Aws


@pytest.fixture
def production(tmp_path: Path) -> Environment:
    """An environment in a cloud."""
    inventory = tmp_path / "ansible" / "inventory" / "production"
    inventory.mkdir(parents=True)
    (inventory / "aws_ec2.yml").write_text("plugin: amazon.aws.aws_ec2\nregions: [eu-central-1]\n")
    return Environment("production", Repository(tmp_path))


@pytest.fixture
def fires(aws: Aws) -> Iterator[Callable[[str], None]]:
    """Lets an alarm fire."""
    client, made = aws.client("cloudwatch"), []

    def fire(name: str, state: str = "ALARM") -> None:
        client.put_metric_alarm(
            AlarmName=name, AlarmDescription=f"{name} it is", ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1, MetricName="m", Namespace="n", Period=60, Statistic="Sum", Threshold=1.0,
        )  # fmt: skip
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")
        made.append(name)

    yield fire
    client.delete_alarms(AlarmNames=made)


@pytest.mark.parametrize("region", [None, "us-east-1"], ids=["no region", "another region"])
def test_alarms_that_fire_are_told_and_others_are_not(
    production: Environment, fires: Callable[..., None], monkeypatch: pytest.MonkeyPatch, region: str | None
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, region) if region else monkeypatch.delenv(name)
    assert alarms.firing(production) == {}
    fires("production-slow")
    fires("production-model-1-busy", "OK")
    fires("staging-slow")
    assert alarms.firing(production) == {"production-slow": "production-slow it is"}


def test_an_environment_that_is_in_no_cloud_has_none(
    production: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert alarms.firing(Environment("yard", production.repository)) == {}


@pytest.mark.usefixtures("aws")
def test_a_cloud_that_does_not_answer_is_an_error(
    production: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(MachineError, match=r"CloudWatch cannot be asked: .*127\.0\.0\.1:9"):
        alarms.firing(production)
