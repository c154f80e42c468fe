"""What an environment costs in a month, by its plan or state and the committed price table.

`terraform show -json [PLAN] | python -m slipway.fleet.cost` prints the table; with a README as its argument it writes
the table there, between two comments.
"""

import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML

from slipway.errors import InputError, SlipwayError
from slipway.release.git import Repository

BEGIN, END = "<!-- cost: written by slipway.fleet.cost -->", "<!-- /cost -->"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hourly(_Table):
    """US dollars an hour."""

    instance: dict[str, float]
    load_balancer: float
    interface_endpoint: float
    public_address: float


class Monthly(_Table):
    """US dollars a month."""

    disk_gib: float
    detailed_monitoring: float
    alarm: float
    dashboard: float
    key: float


class Prices(_Table):
    """The price table, `terraform/prices.yaml`."""

    as_of: date
    region: str
    hours_per_month: int
    per_hour: Hourly
    per_month: Monthly


class Item(NamedTuple):
    """One kind of thing that costs."""

    name: str
    number: float
    each: float
    """US dollars a month."""

    @property
    def dollars(self) -> float:
        return self.number * self.each


class _Resources:
    """The resources of a plan or a state, in all modules."""

    def __init__(self, shown: dict[str, Any]) -> None:
        values = shown.get("planned_values") or shown.get("values") or {}
        self._all = list(_resources(values.get("root_module", {})))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each["values"] for each in self._all if each["type"] == kind and each["mode"] == "managed"]


def load(file: Path) -> Prices:
    """Read the price table.

    Raises:
        InputError: It is not one, or cannot be read.
    """
    try:
        return Prices.model_validate(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(f"{file}: {error}") from error


def items(shown: dict[str, Any], prices: Prices) -> list[Item]:
    """All that costs by the hour or the month.

    Args:
        shown: What `terraform show -json` prints of a plan or a state.
        prices: The price table.

    Raises:
        InputError: The table lacks the price of an instance type, or is that of another region.
    """
    resources = _Resources(shown)
    zones = {subnet["availability_zone"] for subnet in resources.of("aws_subnet")}
    if strangers := {zone for zone in zones if not zone.startswith(prices.region)}:
        raise InputError(
            f"the prices are those of {prices.region}, which has no {', '.join(sorted(strangers))}"
        )
    hourly, monthly, hours = prices.per_hour, prices.per_month, prices.hours_per_month
    instances, balancers = resources.of("aws_instance"), resources.of("aws_lb")
    endpoints = [
        each for each in resources.of("aws_vpc_endpoint") if each["vpc_endpoint_type"] == "Interface"
    ]
    found = [
        *_machines(instances, prices),
        Item(
            "disk, GiB",
            sum(each["root_block_device"][0]["volume_size"] for each in instances),
            monthly.disk_gib,
        ),
        Item(
            "detailed monitoring", sum(each["monitoring"] for each in instances), monthly.detailed_monitoring
        ),
        Item("load balancer", len(balancers), hourly.load_balancer * hours),
        Item("public address", len(balancers) * len(zones), hourly.public_address * hours),
        Item(
            "interface endpoint, in each zone", len(endpoints) * len(zones), hourly.interface_endpoint * hours
        ),
        Item("alarm", len(resources.of("aws_cloudwatch_metric_alarm")), monthly.alarm),
        Item("dashboard", len(resources.of("aws_cloudwatch_dashboard")), monthly.dashboard),
        Item("encryption key", len(resources.of("aws_kms_key")), monthly.key),
    ]
    return [item for item in found if item.number]


def table(found: list[Item], prices: Prices) -> str:
    """The items as a table in Markdown."""
    rows = [f"| {item.name} | {item.number:g} | {item.each:.2f} | {item.dollars:.2f} |" for item in found]
    total = sum(item.dollars for item in found)
    return "\n".join(
        [
            "| in a month | number | each, $ | $ |",
            "|---|---:|---:|---:|",
            *rows,
            f"| **all** | | | **{total:.2f}** |",
            "",
            f"By AWS's on-demand list prices of {prices.as_of:%Y-%m-%d} in {prices.region} (`terraform/prices.yaml`),",
            "without tax and without what depends on use: traffic, requests, stored and written bytes.",
        ]
    )


def written(readme: str, rows: str) -> str:
    """A README with the table in its place.

    Raises:
        InputError: The README has no place for it.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(readme):
        raise InputError(f"the README has no place for the cost: {BEGIN} ... {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n{rows}\n{END}", readme)


def main(arguments: list[str]) -> int:
    """Print the cost of what comes by standard input, or write it into a README."""
    try:
        prices = load(Repository.here().root / "terraform" / "prices.yaml")
        rows = table(items(json.load(sys.stdin), prices), prices)
        for readme in map(Path, arguments):
            readme.write_text(written(readme.read_text(encoding="utf-8"), rows), encoding="utf-8")
    except json.JSONDecodeError as error:
        sys.stderr.write(f"error: standard input is not what `terraform show -json` prints: {error}\n")
        return InputError.exit_code
    except SlipwayError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    if not arguments:
        sys.stdout.write(f"{rows}\n")
    return 0


def _machines(instances: list[dict[str, Any]], prices: Prices) -> Iterator[Item]:
    kinds = [each["instance_type"] for each in instances]
    for kind in sorted(set(kinds)):
        if kind not in prices.per_hour.instance:
            raise InputError(
                f"terraform/prices.yaml has no price of {kind}",
                next_command="add it under per_hour.instance, with a new date",
            )
        yield Item(
            f"machine {kind}", kinds.count(kind), prices.per_hour.instance[kind] * prices.hours_per_month
        )


def _resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
