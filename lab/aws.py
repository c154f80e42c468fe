"""AWS for one lab: the emulated API in a process of its own, and how programs are told of it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REGION = "eu-central-1"
ACCOUNT = "123456789012"
_END_SECONDS = 30


class Aws(NamedTuple):
    """A running server; see aws_server.py for what it is told."""

    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(cls, address: str = "127.0.0.1") -> Aws:
        """Start one; it ends with this process, however that ends."""
        server = Path(__file__).with_name("aws_server.py")
        process = subprocess.Popen(
            [sys.executable, str(server), address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            # An interrupt at the terminal is its owner's to answer.
            start_new_session=True,
        )  # fmt: skip
        return cls(process, _heard(process))

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=_END_SECONDS)
        assert self.process.stdout
        self.process.stdout.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """What leads every program that asks AWS to this server, with the rights of nobody."""
        host = self.url.split("//")[1].partition(":")[0]
        unproxied = ",".join(part for part in (os.environ.get("no_proxy", ""), host) if part)
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "NO_PROXY": unproxied,
            "no_proxy": unproxied,
        }

    @contextlib.contextmanager
    def without(self, bucket: str) -> Iterator[None]:
        """Let a bucket answer nothing but 503 for as long as the context lasts."""
        self._tell(f"down {bucket}")
        try:
            yield
        finally:
            self._tell(f"up {bucket}")

    def client(self, service: str) -> Any:
        import boto3  # noqa: PLC0415 - `lab.needs` runs where nothing is installed

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - of nobody
        )

    def _tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert _heard(self.process) == line


def _heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()
