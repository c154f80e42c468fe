"""The signature of a model by a key: OpenSSF's model-signing of the unpacked bundle.

The key is the one that signs git tags, so it comes in OpenSSH's format. It is in memory only: the library, which wants a
file, is given a pipe.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from slipway.errors import InputError
from slipway.release.keys import KEY

if TYPE_CHECKING:
    from model_signing import hashing

_MAKE_ONE = "ssh-keygen -t ecdsa -b 256 -N '' -f ~/.ssh/release"
_OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----"


class Signed(NamedTuple):
    """What a user needs to know that a model is the signer's."""

    signature: bytes
    public_key: bytes
    """PEM."""


class Signer:
    """Signs bundles by a private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Signer(...)"

    @property
    def public_key(self) -> bytes:
        """The public half; PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, bundle: Path) -> bytes:
        """The signature of every file in a folder, and of there being no other.

        Each is another one: ECDSA signs with a random number.
        """
        from model_signing import signing  # noqa: PLC0415 - takes a second to import

        with TemporaryDirectory() as place, _piped(self._pem()) as key:
            signature = Path(place, "model.sig")
            config = signing.Config()  # type: ignore[no-untyped-call]
            config.set_hashing_config(_every_file())
            config.use_elliptic_key_signer(private_key=key).sign(bundle, signature)
            return signature.read_bytes()

    def _pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def given() -> Signer | None:
    """The signer whose key is in the environment; None where it holds none.

    Raises:
        InputError: It is no key, or one of another kind, or encrypted.
    """
    text = os.environ.get(KEY, "").strip()
    return Signer(_key(text)) if text else None


def _key(text: str) -> ec.EllipticCurvePrivateKey:
    # The library's own errors are left out: nothing that has seen the text may be shown.
    if not text.startswith(_OPENSSH):
        raise _unfit(
            "a key in another format than OpenSSH's" if text.startswith("-----BEGIN ") else "no private key"
        )
    try:
        # A secret of GitHub's loses the line feed at its end.
        key = serialization.load_ssh_private_key(f"{text}\n".encode(), password=None)
    except TypeError:
        raise _unfit("an encrypted key, and nobody is there to type its passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unfit("a private key of OpenSSH's that is broken, or of a kind that cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        kinds = {ed25519.Ed25519PrivateKey: "an Ed25519 key", rsa.RSAPrivateKey: "an RSA key"}
        raise _unfit(next((words for kind, words in kinds.items() if isinstance(key, kind)), "a DSA key"))
    if not isinstance(key.curve, ec.SECP256R1):
        raise _unfit(f"an ECDSA key on {key.curve.name}")
    return key


def _unfit(what: str) -> InputError:
    return InputError(
        f"{KEY} holds {what}; it takes the text of a key, and models are signed by ECDSA keys on P-256",
        next_command=_MAKE_ONE,
    )


def _every_file() -> "hashing.Config":
    """Files count whose names git knows, too: by default, somebody may add a `.gitignore` to a signed model."""
    from model_signing import hashing  # noqa: PLC0415 - takes a second to import

    config = hashing.Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=[], ignore_git_paths=False)


@contextmanager
def _piped(content: bytes) -> Iterator[Path]:
    """A path from which a few bytes can be read once."""
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
        os.close(writing)
        yield Path(f"/dev/fd/{reading}")
    finally:
        os.close(reading)


def verify(bundle: Path, signed: Signed) -> bool:
    """Whether a folder is what was signed, by this key."""
    from model_signing import verifying  # noqa: PLC0415 - takes a second to import

    with TemporaryDirectory() as place:
        signature, public_key = Path(place, "model.sig"), Path(place, "signer.pub.pem")
        signature.write_bytes(signed.signature)
        public_key.write_bytes(signed.public_key)
        try:
            config = verifying.Config()  # type: ignore[no-untyped-call]
            config.set_hashing_config(_every_file())
            config.use_elliptic_key_verifier(public_key=public_key).verify(bundle, signature)
        except (AttributeError, LookupError, TypeError, ValueError, InvalidSignature):
            return False
    return True
