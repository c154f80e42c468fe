"""`slipway infra` with a real Terraform, on this machine and against the emulated AWS, applied there once for all tests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from lab.aws import Aws
from tests.infra.conftest import Cli
from tests.infra.small import MAIN, OTHER_IMAGE, PLANTED, STATES, Small

HOST = 'aws_instance.host["model-1"]'
LOCK = {
    "ID": "11111111-2222-3333-4444-555555555555",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ada@laptop",
    "Version": "1.11.4",
    "Created": "2026-11-20T10:00:00Z",
    "Path": f"{STATES}/production/terraform.tfstate",
}
NOTHING = "local: an apply would change nothing"


class Applied(NamedTuple):
    small: Small
    said: str
    """By the first apply of staging."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Iterator[Small]:
    aws = Aws.start()
    try:
        yield Small(tmp_path_factory.mktemp("small"), aws, cli)
    finally:
        aws.stop()


@pytest.fixture(scope="module")
def applied(small: Small) -> Applied:
    return Applied(small, small.does("infra", "apply", "staging"))


def test_the_first_apply_says_what_it_makes_and_what_that_costs(applied: Applied) -> None:
    said = applied.said
    assert "staging: 6 to create, 0 to change in place, 0 to replace, 0 to destroy, 2 outputs\n" in said
    assert f"\n  {HOST}\n" in said
    assert "It will cost $19.42 a month, by the price table; before $0.00 (+19.42).\n" in said
    assert said.endswith("\nstaging has been applied\n  next: slipway status staging\n")


def test_after_an_apply_nothing_passes_for_somebody_s_work(applied: Applied) -> None:
    """The rule of a group and the versioning of a bucket come to be after the state has told of both."""
    before = applied.small.state()
    assert applied.small.told("infra", "drift", "staging", code=0)["differences"] == []
    assert applied.small.state() == before, "who looks does not write"


def test_what_was_changed_behind_terraform_is_named_without_its_values_and_mended(
    applied: Applied, tmp_path: Path
) -> None:
    small = applied.small
    ec2, s3, ssm = (small.aws.client(name) for name in ("ec2", "s3", "ssm"))
    group = small.host()["SecurityGroups"][0]["GroupId"]
    door = {
        "IpProtocol": "tcp",
        "FromPort": 2222,
        "ToPort": 2222,
        "IpRanges": [{"CidrIp": "198.51.100.0/24"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[door])
    ssm.put_parameter(Name="/small/token", Value=f"by-hand-{PLANTED}", Type="SecureString", Overwrite=True)
    s3.delete_bucket(Bucket="objects-of-the-small")
    # What the code says meanwhile is no drift.
    small.main("staging").write_text(MAIN.replace("model-1", "model-9"))
    before = small.state()
    done = small.slipway("infra", "drift", "staging", "--out", str(tmp_path))
    small.main("staging").write_text(MAIN)
    assert done.returncode == 2, done.stderr
    assert done.stdout.split("\n", 1)[1] == (
        "staging: 2 changed and 2 gone behind Terraform's back\n"
        "\nDANGEROUS\n  aws_s3_bucket.objects: a bucket is gone\n"
        "\nChanged (2)\n"
        "  aws_security_group.hosts: ingress\n"
        "  aws_ssm_parameter.token: value, version\n"
        "\nGone (2)\n  aws_s3_bucket.objects: a bucket\n  aws_s3_bucket_versioning.objects\n"
    )
    page, told = (tmp_path / "drift.md").read_text(), (tmp_path / "drift.json").read_text()
    assert page.startswith("## Drift of staging: 2 changed and 2 gone behind Terraform's back\n")
    assert "- `aws_security_group.hosts`: ingress\n" in page
    assert json.loads(told)["missing"] == ["aws_s3_bucket.objects"]
    for value in ("198.51.100", "2222", "by-hand", group, PLANTED):
        assert value not in done.stdout + done.stderr + page + told
    assert small.state() == before, "who looks does not write"
    said = small.does("infra", "apply", "staging")
    assert "staging: 2 to create, 1 to change in place, 0 to replace, 0 to destroy" in said
    assert "\nChanged behind Terraform's back\n" in said
    assert s3.get_bucket_versioning(Bucket="objects-of-the-small")["Status"] == "Enabled"


def test_what_would_lose_a_host_and_a_bucket_is_refused_and_no_value_is_told(applied: Applied) -> None:
    small = applied.small
    machine = small.host()["InstanceId"]
    start, end = MAIN.index('resource "aws_s3_bucket" "objects"'), MAIN.index('resource "aws_ssm_parameter"')
    small.main("staging").write_text((MAIN[:start] + MAIN[end:]).replace("ami-03cf127a", OTHER_IMAGE))
    before = small.state()
    done = small.slipway("infra", "apply", "staging", token=f"new-{PLANTED}")
    small.main("staging").write_text(MAIN)
    assert done.returncode == 3, done.stderr
    assert done.stderr == (
        "error: nothing has been applied to staging, as that would take away what something depends on:\n"
        f"  {HOST}: replaces a host, forced by ami\n"
        "  aws_s3_bucket.objects: destroys a bucket\n"
        "  next: slipway infra apply staging --allow-destroy, where that is meant\n"
    )
    assert (small.state(), small.host()["InstanceId"]) == (before, machine)
    (changed,) = [line for line in done.stdout.splitlines() if "aws_ssm_parameter.token" in line]
    assert changed.endswith("value, version")
    said = done.stdout + done.stderr
    for value in (PLANTED, "10.30.0.0", "t3.small", "ami-", "objects-of", "/small/token", machine):
        assert value not in said, value
    left = [each for each in (small.root / ".slipway").rglob("*") if each.is_file()]
    assert left
    assert not [each for each in left if PLANTED.encode() in each.read_bytes()], "a plan was left behind"


def test_local_is_planned_applied_and_compared_too(small: Small, tmp_path: Path) -> None:
    planned = small.told("infra", "plan", "local", "--out", str(tmp_path), code=2)
    assert planned["counts"] == {"create": 1, "change": 0, "replace": 0, "destroy": 0}
    assert json.loads((tmp_path / "infrastructure.json").read_text()) == planned
    assert (tmp_path / "infrastructure.md").read_text() == (
        "## Infrastructure of local: 1 to create, 0 to change in place, 0 to replace, 0 to destroy, 1 output\n\n"
        "**To create (1)**\n\n- `terraform_data.host`\n\n**Outputs that change**\n\n- `fleet`\n"
    )
    small.does("infra", "apply", "local")
    assert small.told("infra", "plan", "local", code=0)["pending"] is False
    assert NOTHING in small.does("infra", "apply", "local")
    assert small.told("infra", "drift", "local", code=0)["differences"] == []
    assert not list((small.root / ".slipway" / "local" / "terraform").glob("plan-*"))


def test_a_loss_that_is_meant_is_applied(small: Small) -> None:
    small.does("infra", "apply", "local", "--allow-destroy")
    main = small.main("local")
    text = main.read_text()
    main.write_text(text.replace("  input = {", "  triggers_replace = 1\n  input = {"))
    refused = small.slipway("infra", "apply", "local")
    assert refused.returncode == 3, refused.stderr
    assert "  terraform_data.host: replaces a host, forced by triggers_replace\n" in refused.stderr
    said = small.does("infra", "apply", "local", "--allow-destroy")
    assert "0 to create, 0 to change in place, 1 to replace, 0 to destroy" in said
    assert NOTHING in small.does("infra", "apply", "local")
    main.write_text(text)


@pytest.mark.parametrize("verb", ["plan", "apply", "drift"])
def test_who_comes_second_is_told_who_is_at_it(small: Small, verb: str) -> None:
    s3, key = small.aws.client("s3"), "production/terraform.tfstate.tflock"
    s3.put_object(Bucket=STATES, Key=key, Body=json.dumps(LOCK).encode())
    done = small.slipway("infra", verb, "production")
    s3.delete_object(Bucket=STATES, Key=key)
    assert done.returncode == 5, done.stdout + done.stderr
    assert done.stderr.startswith(
        "error: the state of production is locked: ada@laptop is at it since 2026-11-20"
    )
    assert f"force-unlock -force {LOCK['ID']}\n" in done.stderr


@pytest.mark.parametrize("verb", ["plan", "drift"])
def test_a_folder_that_is_a_file_is_refused(small: Small, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").touch()
    done = small.slipway("infra", verb, "local", "--out", str(tmp_path / "file"))
    assert (done.returncode, done.stderr.count("Traceback")) == (1, 0)
    assert "file cannot be written to: " in done.stderr


def test_an_environment_that_is_none_is_refused(small: Small) -> None:
    done = small.slipway("infra", "plan", "mars")
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown environment 'mars'; there is local, production, staging\n")
