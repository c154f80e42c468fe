"""What a slot serves: the release that its link points to, checked and ready to answer."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.bundle import Bundle
from slipway.errors import Refused

RECORD, BUNDLE, RUNTIME = "release.json", "bundle", "runtime"
"""A release's folder: its record, the unpacked bundle, and a link to the installed runtime."""


class ReleaseRecord(BaseModel):
    """The identity of a release on a host; written by the roll-out, shown by `/metadata`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    release: str
    commit: str
    bundle: str
    """Sha256 of the bundle's tar."""
    runtime: str
    """Sha256 of the runtime's tar."""


class Release:
    """A release read from its folder.

    Raises:
        Refused: The record, the bundle or the model's golden answers are not as they should be.
    """

    def __init__(self, folder: Path) -> None:
        self.record = _record(folder / RECORD)
        self.bundle = Bundle(folder / BUNDLE)
        if self.bundle.manifest.model != self.record.model:
            raise Refused(f"{folder} says {self.record.model}, its bundle {self.bundle.manifest.model}")
        self.contract = self.bundle.contract
        self.scorer = self.bundle.scorer()


def _record(path: Path) -> ReleaseRecord:
    try:
        return ReleaseRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"{path} is missing: the release was not installed whole") from None
    except ValidationError as error:
        raise Refused(f"{path} is not a release's record: {error.errors()[0]['msg']}") from error
