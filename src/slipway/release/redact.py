"""Words of other programs, without what they quote of a URL that nobody but its owner should read."""

import re

_CREDENTIALS = re.compile(r"(?<=://)[^\s/@'\"]+@")


def without_credentials(text: str) -> str:
    """The text with the user and the password of each URL left out: a token may stand in the place of either."""
    return _CREDENTIALS.sub("", text)
