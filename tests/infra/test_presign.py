"""Objects of S3 are handed to hosts by URLs that need no rights, against AWS on loopback."""

import urllib.error
import urllib.request
from http import HTTPStatus

import pytest
from lab.aws import REGION, Aws

from slipway.errors import MachineError
from slipway.fleet import presign
from slipway.release.objects import Stored

BUCKET, KEY = "presigned", "files/md5/ab/cd"


@pytest.fixture
def stored(aws: Aws) -> Stored:
    """An object, and how a remote of DVC's tells of it."""
    s3 = aws.client("s3")
    if BUCKET not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"bytes")
    return Stored(BUCKET, KEY, {"endpointurl": aws.url, "region": REGION})


def test_a_url_gives_the_object_for_an_hour_without_telling_the_secret(stored: Stored) -> None:
    url = presign.url(stored, "the bundle")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        assert answer.read() == b"bytes"
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert f"X-Amz-Expires={presign.VALID_SECONDS}" in url
    assert "X-Amz-Credential=test" in url


def test_an_object_that_is_not_there_is_named_with_what_to_do(stored: Stored) -> None:
    with pytest.raises(MachineError) as caught:
        presign.url(stored._replace(key="files/md5/no/ne"), "the bundle")
    message = str(caught.value)
    assert message.startswith(
        "the bundle cannot be handed to the hosts from s3://presigned/files/md5/no/ne: "
    )
    assert "(404)" in message
    assert message.endswith("next: dvc push")


def test_a_bucket_that_is_down_is_told_after_a_few_attempts(aws: Aws, stored: Stored) -> None:
    unavailable = str(HTTPStatus.SERVICE_UNAVAILABLE.value)
    with aws.without(BUCKET), pytest.raises(MachineError, match=unavailable):
        presign.url(stored, "the runtime")


def test_without_credentials_it_is_said(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(MachineError, match="Unable to locate credentials"):
        presign.url(stored, "the bundle")
