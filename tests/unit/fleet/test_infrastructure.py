"""What is known of an environment's machines, and what of that is left when the state's bucket does not answer."""

import os
import re

import pytest
from tests.unit.machine import Terraform

from slipway.errors import MachineError
from slipway.fleet import infrastructure
from slipway.fleet.context import Context

BACKEND = 'terraform {\n  backend "s3" {}\n}\n'
LEARNED = 1_780_000_000


@pytest.fixture
def staging(context: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    """An environment whose state is in a bucket, and has never been read here."""
    environment = context.environment._replace(name="staging")
    environment.terraform_root.mkdir(parents=True, exist_ok=True)
    (environment.terraform_root / "main.tf").write_text(BACKEND)
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", "states")
    return context._replace(environment=environment)


@pytest.fixture
def unread(staging: Context, terraform: Terraform) -> Context:
    """The same after its state has been read, at a known time, and can be read no more."""
    terraform.works("http://10.0.0.1:8080", staging.environment.folder)
    assert infrastructure.known(staging)
    os.utime(staging.environment.folder / "fleet.json", (LEARNED, LEARNED))
    fail(terraform)
    return staging


def fail(terraform: Terraform) -> None:
    terraform.does(
        "if arguments[0] == 'version':\n"
        "    print(json.dumps({'terraform_version': '1.11.4'}))\n"
        "else:\n"
        "    sys.exit('Error: the bucket does not answer')\n"
    )


def test_who_goes_back_goes_on_with_the_hosts_of_last_time_and_is_told_since_when(unread: Context) -> None:
    told: list[str] = []
    fleet = infrastructure.known(unread, told.append)
    assert fleet
    assert (fleet.url, list(fleet.hosts)) == ("http://10.0.0.1:8080", ["local-1"])
    (said,) = told
    assert re.search("bucket does not answer", said)
    assert said.endswith("; the hosts are those of 2026-05-28 20:26 UTC")
    assert infrastructure.provide(unread, "rollback", None) == fleet


def test_who_goes_back_does_not_ask_twice(unread: Context, terraform: Terraform) -> None:
    fleet = infrastructure.known(unread, lambda _: None)
    asked = len(terraform.calls)
    assert infrastructure.provide(unread, "rollback", fleet) == fleet
    assert len(terraform.calls) == asked
    with pytest.raises(MachineError, match="bucket does not answer"):
        infrastructure.provide(unread, "deploy", fleet)


def test_who_deploys_does_not_go_on(unread: Context) -> None:
    with pytest.raises(MachineError, match="bucket does not answer"):
        infrastructure.known(unread)
    with pytest.raises(MachineError, match="bucket does not answer"):
        infrastructure.provide(unread, "deploy", None)


@pytest.mark.parametrize("known", [None, "", "{}"], ids=["nothing", "an empty file", "another file"])
def test_where_no_hosts_are_known_nobody_goes_on(
    staging: Context, terraform: Terraform, known: str | None
) -> None:
    fail(terraform)
    staging.environment.prepare()
    if known is not None:
        (staging.environment.folder / "fleet.json").write_text(known)
    with pytest.raises(MachineError, match="bucket does not answer"):
        infrastructure.known(staging, lambda _: None)
    with pytest.raises(MachineError, match="bucket does not answer"):
        infrastructure.provide(staging, "rollback", None)
