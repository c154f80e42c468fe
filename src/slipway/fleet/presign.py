"""URLs by which a host fetches an object of S3 for a while, and needs no rights of its own."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from slipway.errors import MachineError
from slipway.release.objects import Stored

VALID_SECONDS = 3600
"""A roll-out with its bakes must come to its last host meanwhile; what a host has is not fetched again."""
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 5, 3


def url(stored: Stored, what: str) -> str:
    """A URL of an object, good for an hour, once it is sure that the object is there.

    Raises:
        MachineError: It is not there, S3 does not answer, or there are no credentials.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - takes half a second to import

    place = {"Bucket": stored.bucket, "Key": stored.key}
    try:
        client = _client(stored.settings)
        client.head_object(**place)
        return str(client.generate_presigned_url("get_object", Params=place, ExpiresIn=VALID_SECONDS))
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        raise _refusal(
            stored, what, error, "dvc push" if status == HTTPStatus.NOT_FOUND else "slipway doctor"
        ) from error
    except BotoCoreError as error:
        raise _refusal(stored, what, error, "slipway doctor") from error


def _client(settings: Mapping[str, str]) -> Any:
    import boto3  # noqa: PLC0415 - takes half a second to import
    from botocore.config import Config  # noqa: PLC0415

    session = boto3.Session(profile_name=settings.get("profile"), region_name=settings.get("region"))
    config = Config(
        # What is encrypted by a key of KMS is given away by this signature only.
        signature_version="s3v4",
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
    )
    return session.client("s3", endpoint_url=settings.get("endpointurl"), config=config)


def _refusal(stored: Stored, what: str, error: Exception, remedy: str) -> MachineError:
    place = f"s3://{stored.bucket}/{stored.key}"
    return MachineError(f"{what} cannot be handed to the hosts from {place}: {error}", next_command=remedy)
