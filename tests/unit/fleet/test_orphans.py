import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from tests.unit.machine import Program, Server

from slipway.errors import MachineError
from slipway.fleet import orphans
from slipway.fleet.environment import Environment

INSTANCE = "arn:aws:ec2:eu-central-1:1:instance/i-1"
GROUP = "arn:aws:logs:eu-central-1:1:log-group:/slipway/staging/hosts"
BUCKET = "arn:aws:s3:::slipway-staging-logs-1"


ENDED = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-state-name&Filter.1.Value.1=terminated"


@pytest.fixture
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The tagging API, on loopback; and that of EC2, which knows of no machine that has ended."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    return server


def ended(*ids: str) -> bytes:
    """EC2's answer that names machines."""
    items = "".join(f"<item><instanceId>{each}</instanceId></item>" for each in ids)
    return (
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>"
        f"{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    ).encode()


def page(token: str, *arns: str) -> bytes:
    found = [{"ResourceARN": arn, "Tags": []} for arn in arns]
    return json.dumps({"PaginationToken": token, "ResourceTagMappingList": found}).encode()


def test_every_page_of_what_carries_both_tags_is_read(aws: Server) -> None:
    def respond(_: str, asked: Any) -> tuple[int, bytes]:
        if isinstance(asked, str):
            return 200, ended()
        more = asked.get("PaginationToken") == "more"
        return 200, page("", BUCKET) if more else page("more", INSTANCE, GROUP)

    aws.respond = respond
    assert orphans.tagged("staging") == [INSTANCE, GROUP, BUCKET]
    assert [asked["TagFilters"] for _, asked in aws.asked[:-1]] == [
        [{"Key": "managed-by", "Values": ["slipway"]}, {"Key": "environment", "Values": ["staging"]}]
    ] * 2


def test_a_machine_that_is_terminated_is_no_orphan_though_aws_still_tells_of_it(aws: Server) -> None:
    def respond(_: str, asked: Any) -> tuple[int, bytes]:
        if isinstance(asked, str):
            assert asked.startswith(ENDED)
            return 200, ended("i-1")
        return 200, page("", INSTANCE, GROUP, f"{INSTANCE}1")

    aws.respond = respond
    assert orphans.tagged("staging") == [f"{INSTANCE}1", GROUP]


def test_what_aws_refuses_is_told_with_what_to_ask_next(aws: Server) -> None:
    aws.respond = lambda _path, _asked: (400, b'{"__type": "AccessDeniedException", "message": "no"}')
    with pytest.raises(MachineError, match="AccessDenied") as caught:
        orphans.tagged("staging")
    assert caught.value.next_command == "aws sts get-caller-identity"


def test_an_aws_that_cannot_be_reached_is_no_traceback(aws: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert aws.url
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(MachineError) as caught:
        orphans.tagged("staging")
    assert isinstance(caught.value.__cause__, EndpointConnectionError)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (set(), [INSTANCE, GROUP, BUCKET]),
        ({INSTANCE, GROUP, BUCKET}, []),
        ({"i-1", "hosts", "slipway-staging-logs-1"}, []),
        ({"i-11", "i"}, [INSTANCE, GROUP, BUCKET]),
    ],
    ids=["nothing", "by ARN", "by id", "similar ids"],
)
def test_an_orphan_is_known_neither_by_arn_nor_by_id(known: set[str], expected: list[str]) -> None:
    assert orphans.unknown([INSTANCE, GROUP, BUCKET], frozenset(known)) == expected


def test_the_state_is_asked_before_an_orphan_is_one(
    environment: Environment, terraform: Program, aws: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"resources": [{"instances": [{"attributes": {"id": "i-1", "tags": {"a": None}, "n": 1}}]}]}
    terraform.does(
        "if arguments[0] == 'version':\n"
        "    print(json.dumps({'terraform_version': '1.11.4'}))\n"
        "elif arguments[0] == 'state':\n"
        f"    print({json.dumps(state)!r})\n"
    )
    monkeypatch.setenv("SLIPWAY_STATE_BUCKET", "states")
    aws.respond = lambda _path, asked: (
        200,
        ended() if isinstance(asked, str) else page("", INSTANCE, BUCKET),
    )
    staging = environment._replace(name="staging")
    staging.prepare()
    assert orphans.of(staging) == [BUCKET]
    assert [call[0] for call in terraform.calls if call[0] != "version"] == ["init", "plan", "state"]


def test_the_command_lists_them_and_says_so_by_its_exit_code(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(environment.repository.root)
    monkeypatch.setattr(orphans, "of", lambda found: [INSTANCE] if found.name == "staging" else [])
    assert (orphans.main(["staging"]), capsys.readouterr().out) == (1, f"{INSTANCE}\n")
    assert (orphans.main(["local"]), capsys.readouterr().out) == (0, "")


def test_the_command_refuses_in_a_line(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(environment.repository.root)
    assert orphans.main(["nowhere"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: unknown environment 'nowhere'; there is local, staging\n"
    )
    assert orphans.main([]) == 64
    assert Path.cwd() == environment.repository.root
