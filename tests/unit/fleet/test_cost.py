import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.workshop import Workshop

from slipway.errors import InputError
from slipway.fleet import cost

PRICES = """\
as_of: 2025-01-31
region: eu-central-1
hours_per_month: 100
per_hour: {instance: {small: 0.5, large: 2}, load_balancer: 0.25, interface_endpoint: 0.1, public_address: 0.05}
per_month: {disk_gib: 0.1, detailed_monitoring: 2, alarm: 0.5, dashboard: 3, key: 1}
"""


@pytest.fixture
def prices(tmp_path: Path) -> cost.Prices:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES)
    return cost.load(file)


def resource(kind: str, mode: str = "managed", **values: Any) -> dict[str, Any]:
    return {"type": kind, "mode": mode, "values": values}


def machine(kind: str, *, monitoring: bool = True) -> dict[str, Any]:
    return resource(
        "aws_instance", instance_type=kind, monitoring=monitoring, root_block_device=[{"volume_size": 20}]
    )


def shown(*resources: dict[str, Any], under: str = "values") -> dict[str, Any]:
    """A plan or a state, with the last resource two modules deep."""
    *above, last = resources
    deep = {"child_modules": [{"resources": [last]}]}
    return {under: {"root_module": {"resources": above, "child_modules": [deep]}}}


ZONES = [resource("aws_subnet", availability_zone=f"eu-central-1{zone}") for zone in "aabb"]


@pytest.mark.parametrize("under", ["values", "planned_values"])
def test_everything_that_costs_is_counted_once(prices: cost.Prices, under: str) -> None:
    found = cost.items(
        shown(
            *ZONES,
            machine("small"),
            machine("small", monitoring=False),
            machine("large"),
            resource("aws_lb"),
            resource("aws_vpc_endpoint", vpc_endpoint_type="Interface"),
            resource("aws_vpc_endpoint", vpc_endpoint_type="Gateway"),
            resource("aws_cloudwatch_metric_alarm"),
            resource("aws_cloudwatch_dashboard"),
            resource("aws_kms_key", mode="data"),
            resource("aws_kms_key"),
            under=under,
        ),
        prices,
    )
    assert [(item.name, item.number, round(item.dollars, 2)) for item in found] == [
        ("machine large", 1, 200),
        ("machine small", 2, 100),
        ("disk, GiB", 60, 6),
        ("detailed monitoring", 2, 4),
        ("load balancer", 1, 25),
        ("public address", 2, 10),
        ("interface endpoint, in each zone", 2, 20),
        ("alarm", 1, 0.5),
        ("dashboard", 1, 3),
        ("encryption key", 1, 1),
    ]


def test_what_is_not_there_costs_nothing(prices: cost.Prices) -> None:
    assert cost.items(shown(resource("aws_vpc")), prices) == []
    assert cost.items({}, prices) == []


def test_a_machine_without_a_price_is_named(prices: cost.Prices) -> None:
    with pytest.raises(InputError) as caught:
        cost.items(shown(machine("huge")), prices)
    assert str(caught.value) == (
        "terraform/prices.yaml has no price of huge\n  next: add it under per_hour.instance, with a new date"
    )


def test_another_region_has_other_prices(prices: cost.Prices) -> None:
    with pytest.raises(InputError, match="the prices are those of eu-central-1, which has no us-east-1a"):
        cost.items(shown(resource("aws_subnet", availability_zone="us-east-1a")), prices)


def test_the_table_ends_with_the_sum_and_the_date(prices: cost.Prices) -> None:
    text = cost.table([cost.Item("alarm", 3, 0.5), cost.Item("disk, GiB", 60, 0.0952)], prices)
    assert text.splitlines()[2:5] == [
        "| alarm | 3 | 0.50 | 1.50 |",
        "| disk, GiB | 60 | 0.10 | 5.71 |",
        "| **all** | | | **7.21** |",
    ]
    assert "list prices of 2025-01-31 in eu-central-1" in text


def test_the_table_is_written_between_the_comments_and_nowhere_else() -> None:
    readme = f"# staging\n\n{cost.BEGIN}\nold\n{cost.END}\n\nthe rest\n"
    once = cost.written(readme, "| new |")
    assert once == f"# staging\n\n{cost.BEGIN}\n| new |\n{cost.END}\n\nthe rest\n"
    assert cost.written(once, "| new |") == once


def test_a_readme_without_the_comments_is_refused() -> None:
    with pytest.raises(InputError, match="no place for the cost"):
        cost.written("# staging\n", "| new |")


@pytest.mark.parametrize("old", ["region: eu-central-1\n", "hours_per_month: 100", "small: 0.5"])
def test_a_price_table_that_is_none_is_refused(tmp_path: Path, old: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.replace(old, old.replace("0", "x") if "0" in old else ""))
    with pytest.raises(InputError, match=str(file)):
        cost.load(file)


@pytest.fixture
def repository(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    (workshop.root / "terraform" / "prices.yaml").write_text(PRICES)
    monkeypatch.chdir(workshop.root)
    return workshop.root


def test_the_command_prints_the_table(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(shown(machine("small")))))
    assert cost.main([]) == 0
    assert "| machine small | 1 | 50.00 | 50.00 |" in capsys.readouterr().out
    assert (repository / "terraform").is_dir()


def test_the_command_writes_the_table_into_a_readme(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = repository / "README.md"
    readme.write_text(f"{cost.BEGIN}\n{cost.END}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(shown(machine("small")))))
    assert cost.main([str(readme)]) == 0
    assert "| machine small | 1 | 50.00 | 50.00 |" in readme.read_text()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "error: standard input is not what"),
        (json.dumps(shown(machine("huge"))), "error: terraform/prices"),
    ],
    ids=["nothing", "a machine without a price"],
)
@pytest.mark.usefixtures("repository")
def test_the_command_refuses_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert cost.main([]) == 1
    assert capsys.readouterr().err.startswith(said)
