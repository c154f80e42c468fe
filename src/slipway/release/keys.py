"""The key that signs tags: the one in the environment, as a workflow has it, or the one that git is set up with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

KEY = "SLIPWAY_SIGNING_KEY"
"""The variable that holds a private key, in OpenSSH's format and without a passphrase."""


def withheld() -> dict[str, str]:
    """The environment for programs that sign nothing: without the key, which they, and whatever they run, might tell."""
    return {name: value for name, value in os.environ.items() if name != KEY}


@contextmanager
def given() -> Iterator[list[str]]:
    """Options of git that sign by the key in the environment, for as long as they are needed; none where it has none."""
    text = os.environ.get(KEY, "").strip()
    if not text:
        yield []
        return
    with TemporaryDirectory(prefix="slipway-key-") as folder:
        file = Path(folder) / "key"
        file.touch(mode=0o600)
        # A secret of GitHub's loses the newline at its end, without which OpenSSH reads no key.
        file.write_text(f"{text}\n", encoding="utf-8")
        yield ["-c", "gpg.format=ssh", "-c", f"user.signingKey={file}"]
