"""A state in a bucket, on loopback: its lock, and what is left when an apply is killed or its bucket goes down.

The root makes nothing but `terraform_data`, so Terraform needs no provider here: the backend is its own.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lab.aws import Aws

from slipway.errors import InputError, Locked, MachineError
from slipway.fleet import orphans, terraform
from slipway.fleet.environment import Environment
from slipway.release.git import Repository

BACKEND = """\
terraform {
  backend "s3" {
    key          = "staging/terraform.tfstate"
    region       = "eu-central-1"
    use_lockfile = true
    max_retries  = 4
  }
}
"""
MAIN = """\
resource "terraform_data" "first" {
  input = 1
}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "touch '${path.root}/began'; while [ -e '${path.root}/wait' ]; do sleep 0.05; done"
  }
}
"""
APPLY = """\
import sys
from pathlib import Path
from slipway.fleet.environment import Environment
from slipway.fleet.terraform import Terraform
from slipway.release.git import Repository
root = Terraform(Environment("staging", Repository(Path(sys.argv[1]))), Path(sys.argv[2]))
root.apply()
"""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment("staging", Repository(tmp_path))
    made.terraform_root.mkdir(parents=True)
    (made.terraform_root / "main.tf").write_text(BACKEND + MAIN)
    return made


@pytest.fixture
def root(environment: Environment, state_bucket: str, terraform_binary: Path) -> terraform.Terraform:
    assert state_bucket
    made = terraform.Terraform(environment, terraform_binary)
    made.init()
    return made


def begun(environment: Environment, binary: Path) -> subprocess.Popen[str]:
    """Slipway in an apply that has made one resource and is making the next."""
    (environment.terraform_root / "wait").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", APPLY, str(environment.repository.root), str(binary)],
        stderr=subprocess.PIPE,
        text=True,
    )
    until((environment.terraform_root / "began").exists)
    return process


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def child_of(process: subprocess.Popen[str]) -> int:
    """The Terraform that it started."""
    said = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (child,) = map(int, said)
    return child


def free(locked: Locked) -> None:
    """Do what the message says, to the letter."""
    wait, _, command = str(locked.next_command).partition(": ")
    assert wait == "wait, or where that is dead"
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)


def keys(aws: Aws, bucket: str) -> set[str]:
    return {each["Key"] for each in aws.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_the_state_is_kept_in_the_bucket(
    root: terraform.Terraform, environment: Environment, aws: Aws, state_bucket: str
) -> None:
    root.apply()
    assert keys(aws, state_bucket) == {"staging/terraform.tfstate"}
    assert root.plan() is False
    assert not list(environment.terraform_root.glob("*.tfstate"))


def test_a_state_that_cannot_be_read_is_not_an_empty_one(
    root: terraform.Terraform, aws: Aws, state_bucket: str
) -> None:
    assert not root.applied
    with aws.without(state_bucket), pytest.raises(MachineError, match="terraform output failed"):
        assert root.applied


def test_a_root_is_prepared_for_one_bucket(
    root: terraform.Terraform,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    terraform_binary: Path,
) -> None:
    elsewhere = terraform.Terraform(environment._replace(name="other"), terraform_binary)
    here = [root.initialised, elsewhere.initialised]
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", "another")
    assert [*here, root.initialised] == [True, False, False]


def test_without_a_bucket_it_is_said_how_to_name_one(
    environment: Environment, terraform_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLIPWAY_STATE_BUCKET", raising=False)
    with pytest.raises(InputError) as caught:
        terraform.Terraform(environment, terraform_binary).init()
    assert str(caught.value) == (
        "staging keeps its Terraform state in a bucket, and SLIPWAY_STATE_BUCKET names none\n"
        "  next: export SLIPWAY_STATE_BUCKET=..., as terraform/README.md tells"
    )


def test_a_bucket_that_is_not_there_is_told_in_terraforms_words(
    environment: Environment, terraform_binary: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert aws.url
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", "nobodys")
    with pytest.raises(MachineError, match="nobodys"):
        terraform.Terraform(environment, terraform_binary).init()


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_who_comes_second_is_told_who_is_at_it(
    root: terraform.Terraform, environment: Environment, terraform_binary: Path, verb: str
) -> None:
    first = begun(environment, terraform_binary)
    with pytest.raises(Locked) as caught:
        getattr(root, verb)()
    (environment.terraform_root / "wait").unlink()
    assert first.communicate(timeout=60)[1] == ""
    assert first.returncode == 0
    assert caught.value.exit_code == 5
    said = str(caught.value)
    assert said.startswith("the state of staging is locked: ")
    assert f"@{os.uname().nodename} is at it since 20" in said
    assert "(OperationTypeApply, lock " in said
    assert root.plan() is False


def test_a_killed_apply_leaves_a_lock_that_the_next_command_frees(
    root: terraform.Terraform, environment: Environment, terraform_binary: Path
) -> None:
    slipway = begun(environment, terraform_binary)
    os.kill(child_of(slipway), signal.SIGKILL)
    (environment.terraform_root / "wait").unlink()
    said = slipway.communicate(timeout=60)[1]
    assert f"terraform apply was killed in {environment.terraform_root}: SIGKILL\n" in said
    assert "  next: the same command again; where a lock was left, it says whose\n" in said
    with pytest.raises(Locked) as caught:
        root.apply()
    free(caught.value)
    root.apply()
    assert root.plan() is False


def test_a_cancelled_apply_writes_its_state_and_frees_the_lock(
    root: terraform.Terraform, environment: Environment, terraform_binary: Path, aws: Aws, state_bucket: str
) -> None:
    slipway = begun(environment, terraform_binary)
    slipway.send_signal(signal.SIGINT)
    said = slipway.communicate(timeout=60)[1]
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert keys(aws, state_bucket) == {"staging/terraform.tfstate"}
    assert {"first", "slow"} <= root.known()
    (environment.terraform_root / "wait").unlink()
    root.apply()
    assert root.plan() is False


def test_a_state_that_could_not_be_written_is_kept_and_pushed_before_the_next_plan(
    root: terraform.Terraform, environment: Environment, terraform_binary: Path, aws: Aws, state_bucket: str
) -> None:
    left = environment.terraform_root / "errored.tfstate"
    # Fewer tries, as all of them will fail.
    main = environment.terraform_root / "main.tf"
    main.write_text(main.read_text().replace("max_retries  = 4", "max_retries  = 2"))
    root.init()
    slipway = begun(environment, terraform_binary)
    with aws.without(state_bucket):
        (environment.terraform_root / "wait").unlink()
        said = slipway.communicate(timeout=120)[1]
        assert f"  next: mend that, and keep {left}: the same command again pushes it first\n" in said
        assert left.is_file()
        with pytest.raises(MachineError):
            root.plan()
        assert left.is_file(), "a state that could not be pushed is kept"
    # The lock could not be freed either.
    with pytest.raises(Locked) as caught:
        root.plan()
    assert left.is_file()
    free(caught.value)
    assert root.plan() is False, "what was made is known: nothing is made twice"
    assert not left.exists()
    assert keys(aws, state_bucket) == {"staging/terraform.tfstate"}


def test_what_carries_our_tags_and_is_in_no_state_is_an_orphan(
    root: terraform.Terraform, environment: Environment, aws: Aws
) -> None:
    tags = {"managed-by": "slipway", "environment": "staging"}
    made = [
        aws.client("sns").create_topic(
            Name=name, Tags=[{"Key": key, "Value": value} for key, value in {**tags, **change}.items()]
        )["TopicArn"]
        for name, change in (("left", {}), ("known", {}), ("anothers", {"environment": "production"}))
    ]
    (environment.terraform_root / "known.tf").write_text(
        f'resource "terraform_data" "known" {{\n  input = "{made[1]}"\n}}\n'
    )
    root.apply()
    try:
        assert orphans.of(environment) == [made[0]]
    finally:
        for arn in made:
            aws.client("sns").delete_topic(TopicArn=arn)
