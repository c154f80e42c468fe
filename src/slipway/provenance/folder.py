"""Writes what goes with a release into a folder: all of it, or nothing."""

import shlex
import shutil
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from slipway.bundle import CARD, sha256
from slipway.errors import InputError, MachineError
from slipway.provenance import notes, sbom, signature, source, statement
from slipway.provenance.signature import Signed, Signer
from slipway.provenance.source import BUNDLE, MANIFEST, Release
from slipway.release.git import Repository
from slipway.release.keys import KEY
from slipway.release.names import ReleaseName

SIGNATURE, PUBLIC_KEY = "model.sig", "signer.pub.pem"


class Written(NamedTuple):
    """What is in the folder now."""

    folder: Path
    files: list[str]
    signed: bool


def write(repository: Repository, name: ReleaseName, folder: Path) -> Written:
    """Write what goes with a release; what is there already is left as it is.

    Raises:
        InputError: There is no such release, the key cannot sign, or a file has other content.
        MachineError: An object cannot be had, or the folder cannot be written to.
        Refused: An object's bytes are not those that git promises.
    """
    signer = signature.given()
    with source.opened(repository, name) as found:
        contents = {
            MANIFEST: found.manifest,
            "model-card.md": found.bundle.read(CARD),
            "notes.md": notes.write(found).encode(),
            "sbom.cdx.json": sbom.write(found).encode(),
            "statement.intoto.json": statement.write(found).encode(),
        }
        try:
            _refuse_others(folder, contents, found)
            contents |= _signature(folder, found, signer)
            folder.mkdir(parents=True, exist_ok=True)
            for file, content in contents.items():
                _put(folder / file, content)
            _put(folder / BUNDLE, found.bundle_file)
        except OSError as error:
            raise MachineError(f"{folder} cannot be written to: {error.strerror}") from error
    return Written(folder, sorted([*contents, BUNDLE]), signer is not None)


def _refuse_others(folder: Path, contents: dict[str, bytes], found: Release) -> None:
    """Nothing that somebody has put there is overwritten, or passed off as ours: all that is there may be published."""
    known = {*contents, BUNDLE, SIGNATURE, PUBLIC_KEY}
    halves = {_part(folder / name).name for name in known}
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in there if name not in known | halves]
    # A link may lead anywhere, and a pipe never ends.
    others += [name for name in there if name in known and not S_ISREG((folder / name).lstat().st_mode)]
    others += [
        name
        for name, content in contents.items()
        if name in there and name not in others and (folder / name).read_bytes() != content
    ]
    bundle = folder / BUNDLE
    if BUNDLE in there and BUNDLE not in others and sha256(bundle) != found.pins.bundle.sha256:
        others.append(BUNDLE)
    if others:
        raise _other(folder, others, f"not what goes with {found.name.tag}")


def _signature(folder: Path, found: Release, signer: Signer | None) -> dict[str, bytes]:
    """The signature that is there, where it is this signer's, since each signature is another one; else a new one.

    A command that is killed between the two files leaves one of them.
    """
    there = [name for name in (SIGNATURE, PUBLIC_KEY) if (folder / name).exists()]
    if signer is None:
        if there:
            raise _other(folder, there, f"whose signature it is cannot be told: {KEY} holds no key")
        return {}
    is_ours = PUBLIC_KEY not in there or (folder / PUBLIC_KEY).read_bytes() == signer.public_key
    if is_ours and SIGNATURE not in there:
        return {SIGNATURE: signer.sign(found.bundle.folder), PUBLIC_KEY: signer.public_key}
    made = Signed((folder / SIGNATURE).read_bytes() if SIGNATURE in there else b"", signer.public_key)
    if not (is_ours and signature.verify(found.bundle.folder, made)):
        raise _other(folder, there, f"not by the key in {KEY}")
    return {SIGNATURE: made.signature, PUBLIC_KEY: made.public_key}


def _other(folder: Path, names: list[str], why: str) -> InputError:
    paths = [folder / name for name in names]
    remove = shlex.join(["rm", *(["-r"] if any(path.is_dir() for path in paths) else []), *map(str, paths)])
    return InputError(
        f"{', '.join(names)} in {folder}: {why}", next_command=f"{remove}, then the same command again"
    )


def _put(file: Path, content: bytes | Path) -> None:
    """Give a file its content in one step, where it is not there."""
    if file.exists():
        return
    part = _part(file)
    part.unlink(missing_ok=True)
    # A file that is new: nobody's link is written through.
    with part.open("xb") as whole:
        if isinstance(content, bytes):
            whole.write(content)
        else:
            with content.open("rb") as source_file:
                shutil.copyfileobj(source_file, whole)
    part.replace(file)


def _part(file: Path) -> Path:
    """What a file is called until it is whole."""
    return file.with_name(f".{file.name}.part")
