"""Words of others, without what nobody but their owner should read, and without what a terminal would obey."""

import re

_CREDENTIALS = re.compile(r"(?<=://)[^\s/@'\"]+@")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_credentials(text: str) -> str:
    """The text with the user and the password of each URL left out: a token may stand in the place of either."""
    return _CREDENTIALS.sub("", text)


def without_controls(text: str) -> str:
    """The text without control characters but line feeds and tabs: one escape sequence may forge what stands before it."""
    return _CONTROLS.sub("", text)
