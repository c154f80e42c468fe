"""The model's signature: the library's own verifier accepts it, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidSignature
from model_signing import hashing, signing, verifying
from tests.provenance.conftest import KEY_KINDS

from slipway.errors import InputError
from slipway.provenance import signature
from slipway.provenance.signature import Signed
from slipway.release.keys import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.provenance.conftest import Keys, Provided

PROGRAM = str(Path(sys.executable).parent / "model_signing")


class Download:
    """What a user has: the files of a release, and the bundle unpacked."""

    def __init__(self, folder: Path) -> None:
        self.bundle = folder / "bundle"
        self.signature, self.public_key = folder / "model.sig", folder / "signer.pub.pem"
        with tarfile.open(folder / "bundle.tar") as archive:
            archive.extractall(self.bundle, filter="data")

    @property
    def command(self) -> list[str]:
        """As the notes have it."""
        return [
            PROGRAM, "verify", "key", str(self.bundle), "--signature", str(self.signature),
            "--public_key", str(self.public_key), "--no-ignore-git-paths",
        ]  # fmt: skip

    def accepted_by_program(self) -> bool:
        done = subprocess.run(self.command, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        assert ("Verification succeeded" in done.stdout) == (done.returncode == 0)
        return done.returncode == 0

    def accepted_by_library(self) -> bool:
        config = verifying.Config()  # type: ignore[no-untyped-call]
        files = hashing.Config()  # type: ignore[no-untyped-call]
        config.set_hashing_config(files.set_ignored_paths(paths=[], ignore_git_paths=False))
        try:
            config.use_elliptic_key_verifier(public_key=self.public_key).verify(self.bundle, self.signature)
        except (ValueError, InvalidSignature):
            return False
        return True


@pytest.fixture
def download(provided: Provided, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Download:
    monkeypatch.setenv(KEY, keys("ecdsa"))
    return Download(provided("v1.0.0"))


def test_who_has_the_public_key_can_verify_the_model(download: Download) -> None:
    assert download.accepted_by_library()
    assert download.accepted_by_program()
    assert download.public_key.read_text().startswith("-----BEGIN PUBLIC KEY-----\n")


def test_the_public_key_is_that_of_the_key_that_signs_tags(
    download: Download, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ssh = tmp_path_factory.getbasetemp() / "keys" / "ecdsa.pub"
    command = ["ssh-keygen", "-i", "-m", "PKCS8", "-f", str(download.public_key)]
    converted = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert converted.split()[:2] == ssh.read_text().split()[:2]


def flip(download: Download) -> None:
    file = download.bundle / "model.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def add(download: Download) -> None:
    (download.bundle / "more.txt").write_text("more")


def add_for_git(download: Download) -> None:
    (download.bundle / ".gitignore").write_text("more")


def remove(download: Download) -> None:
    (download.bundle / "reference.json").unlink()


def swap_names(download: Download) -> None:
    one, other = download.bundle / "golden.json", download.bundle / "reference.json"
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def rename(download: Download) -> None:
    (download.bundle / "model.onnx").rename(download.bundle / "model2.onnx")


def flip_in_the_signature(download: Download) -> None:
    text = download.signature.read_text()
    at = text.index('"payload":"') + 300
    download.signature.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])


DAMAGE = [flip, add, add_for_git, remove, swap_names, rename, flip_in_the_signature]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: str(damage.__name__))
def test_another_model_is_refused(download: Download, damage: Callable[[Download], None]) -> None:
    damage(download)
    assert not download.accepted_by_library()
    assert not download.accepted_by_program()
    signed = Signed(download.signature.read_bytes(), download.public_key.read_bytes())
    assert not signature.verify(download.bundle, signed)


def test_what_another_key_has_signed_is_refused(
    download: Download, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys("another"))
    stranger = signature.given()
    assert stranger
    download.signature.write_bytes(stranger.sign(download.bundle))
    assert not download.accepted_by_library()
    assert not download.accepted_by_program()
    download.public_key.write_bytes(stranger.public_key)
    assert download.accepted_by_library(), "so nobody may take the public key from beside the model"


@pytest.mark.parametrize("content", [b"", b"{}", b"no JSON", b'{"verificationMaterial": 1}'])
def test_what_is_no_signature_is_none(download: Download, content: bytes) -> None:
    assert not signature.verify(download.bundle, Signed(content, download.public_key.read_bytes()))
    assert not signature.verify(download.bundle, Signed(download.signature.read_bytes(), content))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ed25519", "an Ed25519 key"),
        ("rsa", "an RSA key"),
        ("p384", "an ECDSA key on secp384r1"),
        ("encrypted", "an encrypted key, and nobody is there to type its passphrase"),
        ("pem", "a key in another format than OpenSSH's"),
    ],
)
def test_a_key_of_another_kind_is_named_with_how_to_make_one(
    keys: Keys, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys(kind))
    with pytest.raises(InputError) as caught:
        signature.given()
    assert str(caught.value) == (
        f"SLIPWAY_SIGNING_KEY holds {words}; it takes the text of a key, and models are signed by ECDSA keys on P-256\n"
        "  next: ssh-keygen -t ecdsa -b 256 -N '' -f ~/.ssh/release"
    )


def test_a_key_that_is_cut_off_or_no_key_at_all_is_refused(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = keys("ecdsa")
    for text, words in (
        (whole[:200], "a private key of OpenSSH's that is broken"),
        (whole.replace("b3BlbnNzaC1r", "b3BlbnNzaC1x"), "a private key of OpenSSH's that is broken"),
        ("not a key", "no private key"),
    ):
        monkeypatch.setenv(KEY, text)
        with pytest.raises(InputError, match=words):
            signature.given()


@pytest.mark.parametrize(
    "change", [str.strip, lambda text: text.replace("\n", "\r\n"), lambda text: f"\n{text}\n"]
)
def test_a_key_survives_how_secrets_are_stored(
    keys: Keys, change: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, change(keys("ecdsa")))
    assert signature.given()


@pytest.mark.parametrize("value", ["", " \n"])
def test_an_empty_variable_is_no_key(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, value)
    assert signature.given() is None


def test_the_key_that_the_error_recommends_is_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"ssh-keygen {' '.join(KEY_KINDS['ecdsa'][:4])} -N '' -f ~/.ssh/release" == signature._MAKE_ONE
    (tmp_path / ".ssh").mkdir()
    home = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["bash", "-c", f"{signature._MAKE_ONE} -q"], cwd=tmp_path, env=home, check=True)
    monkeypatch.setenv(KEY, (tmp_path / ".ssh" / "release").read_text())
    assert signature.given()


def test_the_private_key_is_in_no_file_while_it_signs(
    download: Download, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    given, there = list[Path](), list[Path]()
    use = signing.Config.use_elliptic_key_signer

    def watched(config: signing.Config, *, private_key: Path) -> signing.Config:
        given.append(private_key)
        there.extend(path for path in place.rglob("*") if path.is_file())
        return use(config, private_key=private_key)

    monkeypatch.setattr(signing.Config, "use_elliptic_key_signer", watched)
    signer = signature.given()
    assert signer
    signer.sign(download.bundle)
    assert [path.parent for path in given] == [Path("/dev/fd")]
    assert there == []
    assert list(place.iterdir()) == []


def test_signing_leaves_no_pipe_open(download: Download) -> None:
    signer = signature.given()
    assert signer
    signer.sign(download.bundle)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    signer.sign(download.bundle)
    shutil.rmtree(download.bundle)
    with pytest.raises((ValueError, OSError)):
        signer.sign(download.bundle)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
