"""Words of others, without what nobody but their owner should read, and without what a terminal would obey."""

import re

# A password may have any character, though it should not have a slash: after a colon, all up to the last @ may be one.
_CREDENTIALS = re.compile(r"(?<=://)(?:[^\s/:]*:\S*|[^\s/]+)@")
_SIGNATURES = re.compile(
    r"([?&](?:(?:x-(?:amz|goog)-)?(?:signature|security-token|credential)|sig|(?:access_)?token)=)[^\s&'\"]+",
    re.IGNORECASE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_credentials(text: str) -> str:
    """The text without the user and the password of each URL (a token may stand in the place of either) and its signature."""
    return _SIGNATURES.sub(r"\1...", _CREDENTIALS.sub("", text))


def without_controls(text: str) -> str:
    """The text without control characters but line feeds and tabs: one escape sequence may forge what stands before it."""
    return _CONTROLS.sub("", text)
