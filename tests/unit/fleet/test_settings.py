"""How an environment rolls out is said beside its Terraform, and a mistake in it is reported by its path."""

from pathlib import Path

import pytest

from slipway.errors import InputError
from slipway.fleet import settings
from slipway.fleet.environment import Environment
from slipway.fleet.settings import Rollout


@pytest.fixture
def file(environment: Environment) -> Path:
    return environment.terraform_root / "rollout.yaml"


def test_without_a_file_the_gatekeeper_is_first_and_nothing_is_compared(environment: Environment) -> None:
    assert settings.load(environment) == Rollout(batches=(1, "50%", "100%"), bake=None)


def test_an_environment_has_batches_and_a_bake_of_its_own(environment: Environment, file: Path) -> None:
    file.write_text("batches: [2, 10%, 100%]\nbake: {seconds: 600, limits: {p99: 1.5}}\n")
    found = settings.load(environment)
    assert found.batches == (2, "10%", "100%")
    assert found.bake is not None
    assert (found.bake.seconds, found.bake.limits.p99, found.bake.limits.p50) == (600, 1.5, 2.0)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("batch: [1]", "batch: unknown key; did you mean 'batches'?"),
        ("bake: {limits: {p98: 2}}", "bake.limits.p98: unknown key; did you mean 'p99'?"),
        ("bake: {seconds: soon}", 'bake.seconds: expected a number, got "soon"'),
        ("batches: []", "batches: expected at least 1 item"),
    ],
)
def test_a_mistake_is_told_by_its_path(environment: Environment, file: Path, text: str, line: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        settings.load(environment)
    first, second = str(caught.value).splitlines()[:2]
    assert first == f"{file} is not valid:"
    assert second.strip().startswith(line)


@pytest.mark.parametrize("size", ["0", "-1", "101%", "50 %", "half", "1.5"])
def test_a_size_is_a_number_of_hosts_or_a_part_of_them(
    environment: Environment, file: Path, size: str
) -> None:
    file.write_text(f"batches: [{size}]")
    with pytest.raises(InputError, match=r"batches"):
        settings.load(environment)
