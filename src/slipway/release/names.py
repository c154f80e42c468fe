"""The grammar of tags, which is GTO's: `<model>@vX.Y.Z` is a release, `<model>#<environment>#<N>` a desired state."""

import re
from typing import NamedTuple, Self

from semver import Version

from slipway.errors import InputError, Refused

_MODEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ENVIRONMENT = r"[a-z](?:[a-z0-9-]*[a-z0-9])?"
# Of few digits: one more than the largest that somebody else has tagged must still be the name of a file.
_COUNT = r"[1-9][0-9]{0,8}"
_NUMBER = rf"(?:0|{_COUNT})"
_RELEASE = re.compile(rf"(?P<model>{_MODEL})@v(?P<version>{_NUMBER}\.{_NUMBER}\.{_NUMBER})")
_DESIRED = re.compile(rf"(?P<model>{_MODEL})#(?P<environment>{_ENVIRONMENT})#(?P<number>{_COUNT})")

FIRST = Version(1, 0, 0)


def is_environment(text: str) -> bool:
    """Whether a tag can name an environment so."""
    return re.fullmatch(_ENVIRONMENT, text) is not None


def count(digits: str) -> int | None:
    """The number that a tag of a series ends in, or None where that is none."""
    return int(digits) if re.fullmatch(_COUNT, digits) else None


def following(number: int, series: str) -> int:
    """The next number of a series.

    Raises:
        Refused: There is none.
    """
    if count(str(number + 1)) is None:
        raise Refused(
            f"no number is left after {series}{number}, which nobody has come to by counting",
            next_command=f"git push origin --delete 'refs/tags/{series}{number}' && git tag --delete '{series}{number}'",
        )
    return number + 1


class ReleaseName(NamedTuple):
    """A release: a version of a model."""

    model: str
    version: Version

    @classmethod
    def parse(cls, text: str, model: str) -> Self:
        """Read `v1.2.3`, `1.2.3` or `<model>@v1.2.3`.

        Raises:
            InputError: It is none of these, or names another model.
        """
        full = text if "@" in text else f"{model}@v{text.removeprefix('v')}"
        match = _RELEASE.fullmatch(full)
        if not match:
            raise InputError(f"{text!r} is not a release; expected v1.2.3 or {model}@v1.2.3")
        if match["model"] != model:
            raise InputError(f"{text!r} is a release of {match['model']}, but this repository makes {model}")
        return cls(model, Version.parse(match["version"]))

    @classmethod
    def from_tag(cls, tag: str, model: str) -> Self | None:
        """The release that a tag names, or None where it names none of this model."""
        match = _RELEASE.fullmatch(tag)
        if not match or match["model"] != model:
            return None
        return cls(model, Version.parse(match["version"]))

    @property
    def label(self) -> str:
        return f"v{self.version}"

    @property
    def tag(self) -> str:
        return f"{self.model}@{self.label}"


class DesiredName(NamedTuple):
    """A desired state: what an environment should run, for the N-th time that somebody decided it."""

    model: str
    environment: str
    number: int

    @classmethod
    def from_tag(cls, tag: str, model: str, environment: str) -> Self | None:
        """The desired state that a tag names, or None where it is of another model or environment."""
        match = _DESIRED.fullmatch(tag)
        if not match or (match["model"], match["environment"]) != (model, environment):
            return None
        return cls(model, environment, int(match["number"]))

    @property
    def tag(self) -> str:
        return f"{self.model}#{self.environment}#{self.number}"
