"""AWS on one machine: moto's own HTTP server in a process of its own, patched where it differs from AWS.

It listens on the address that it is given, or on loopback. It prints its address, and ends when its standard input does: with whoever started it, however that ended. A line
`down BUCKET` on its standard input makes a bucket answer 503, `up BUCKET` makes it well again; each is acknowledged.

What moto 5.2.1 lacks or answers differently, and is mended here and nowhere else:

- `ssm:GetParameter` knows no image of Debian (`/aws/service/debian/...`).
- `ec2:MonitorInstances` and `UnmonitorInstances` are not there: Terraform would try for minutes.
- An instance whose security groups came with its network interface (as they do where it has an address of its own)
  tells of no security groups: every plan would set them again.
- A rule of a security group whose peer is a group or a prefix list forgets its description.
- `s3:GetBucketNotificationConfiguration` does not tell that events go to EventBridge.
- A bucket's policy is enforced without its conditions, so one that denies what comes without TLS denies everything.
  Such statements are taken as fulfilled: this server stands in for one that speaks TLS.

The managed policies of IAM are there only on request, which is a setting of moto.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses.monitoring import Monitoring
from moto.iam.access_control import IAMPolicy
from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

IMAGE = "ami-03cf127a"
"""One that moto knows."""

DOWN: set[str] = set()
"""Buckets that answer 503."""


class Front:
    """What every request meets first."""

    def __init__(self, create: Callable[..., Any]) -> None:
        self._moto = DomainDispatcherApplication(create)

    def __call__(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if request["PATH_INFO"].split("/")[1] in DOWN:
            start("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._moto(request, start)
        return answer


def know_debian() -> None:
    known = SimpleSystemManagerBackend.get_parameter

    def get_parameter(self: Any, name: str) -> Parameter | None:
        if not name.startswith("/aws/service/debian/"):
            return known(self, name)
        return Parameter(
            account_id=self.account_id,
            name=name,
            value=IMAGE,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=0,
            version=1,
            data_type="text",
        )

    SimpleSystemManagerBackend.get_parameter = get_parameter


def monitor_instances() -> None:
    def turn(state: str) -> Callable[[Any], ActionResult]:
        def answer(self: Any) -> ActionResult:
            monitored = []
            for instance_id in self._get_param("InstanceIds", []):
                self.ec2_backend.get_instance(instance_id).monitoring_state = state
                monitored.append({"InstanceId": instance_id, "Monitoring": {"State": state}})
            return ActionResult({"InstanceMonitorings": monitored})

        return answer

    Monitoring.monitor_instances = turn("enabled")
    Monitoring.unmonitor_instances = turn("disabled")


def tell_groups_of_instances() -> None:
    make = Instance.__init__

    def init(self: Any, *arguments: Any, **keywords: Any) -> None:
        make(self, *arguments, **keywords)
        self.security_groups = self.security_groups or list(self.nics[0]._group_set)

    Instance.__init__ = init


def keep_descriptions_of_rules() -> None:
    make = SecurityGroupRule.__init__

    def init(self: Any, *arguments: Any, **keywords: Any) -> None:
        make(self, *arguments, **keywords)
        # A range of addresses, a group or a prefix list.
        self.peers = [peer for peer in arguments[5:8] if peer]

    def description(self: Any) -> str | None:
        return next((peer["Description"] for peer in self.peers if "Description" in peer), None)

    SecurityGroupRule.__init__ = init
    SecurityGroupRule.description = property(description)


def tell_of_event_bridge() -> None:
    known = S3Response.get_bucket_notification

    def get_bucket_notification(self: Any) -> Any:
        configuration = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if configuration is None or configuration.event_bridge is None:
            return known(self)
        self.data["Action"] = "GetBucketNotificationConfiguration"
        return self.serialized(ActionResult({"EventBridgeConfiguration": {}}))

    S3Response.get_bucket_notification = get_bucket_notification


def take_tls_as_given() -> None:
    def get_permission(self: Any, action: str, resource: str) -> Any:
        policy = json.loads(self.policy or '{"Statement": []}')
        without_tls = {"Bool": {"aws:SecureTransport": "false"}}
        policy["Statement"] = [each for each in policy["Statement"] if each.get("Condition") != without_tls]
        return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    for mend in (
        know_debian,
        monitor_instances,
        tell_groups_of_instances,
        keep_descriptions_of_rules,
        tell_of_event_bridge,
        take_tls_as_given,
    ):
        mend()
    threaded_moto_server.DomainDispatcherApplication = Front
    server = threaded_moto_server.ThreadedMotoServer(
        ip_address=(sys.argv[1:] or ["127.0.0.1"])[0], port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    say(f"http://{host}:{port}")
    for line in sys.stdin:
        verb, bucket = line.split()
        (DOWN.add if verb == "down" else DOWN.discard)(bucket)
        say(line.strip())
    server.stop()


if __name__ == "__main__":
    main()
