"""The chain from a tag to the bytes: who signed the tag, the commit it names, the lock and the manifest there.

The last link, from the manifest to the bytes, is checked wherever bytes are read: by `objects`, and by each host.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.errors import Refused
from slipway.release import pins
from slipway.release.git import GitError, Repository, Tag
from slipway.release.names import ReleaseName

SIGNERS = ".github/allowed_signers"
"""Whose tags count, as `ssh-keygen(1)` has it: with `valid-before` for who has left, whose old tags still do."""
_NUMBERED = re.compile(r"(?P<series>.+[#/])(?P<number>[1-9][0-9]*)")


def check(repository: Repository, name: ReleaseName) -> None:
    """Follow the chain of a release as far as git goes.

    Raises:
        Refused: A link is broken; it is named.
    """
    tag = trusted(repository, name.tag)
    found = pins.at(repository, tag.commit, name.model)
    for what, said, pinned in (
        ("bundle", _said(tag, "bundle"), found.bundle.sha256),
        ("runtime", _said(tag, "runtime"), found.runtime.sha256),
    ):
        if said not in {None, pinned}:
            raise _broken(name.tag, f"tag -> {what}", f"it says sha256 {said}, its commit {pinned}")
    if loose := pins.unlocked(repository, tag.commit):
        raise _broken(name.tag, f"lock -> {loose[0]}", "dvc.lock does not pin it, so no stage has written it")
    for path, (locked, actual) in edited(repository, tag.commit).items():
        raise _broken(name.tag, f"lock -> {path}", f"dvc.lock says md5 {locked}, the file has {actual}")


def edited(repository: Repository, commit: str) -> dict[str, tuple[str, str]]:
    """What the pipeline has written into git and is not what `dvc.lock` says: its md5 and the file's, by path."""
    found = {}
    for path, locked in pins.records(repository, commit).items():
        content = repository.content(commit, path) or b""
        actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if actual != locked:
            found[path] = (locked, actual)
    return found


def trusted(repository: Repository, name: str) -> Tag:
    """A tag that says its own name and, where the repository says whose tags count, that one of those has signed.

    Raises:
        Refused: It is none of these.
    """
    tag = next((tag for tag in repository.tags(name) if tag.name == name), None)
    if tag is None:
        raise Refused(f"there is no tag {name}", next_command="git fetch --tags")
    if tag.written_as != name:
        raise _broken(name, "name -> tag", f"it is a copy of {tag.written_as}")
    with _signers(repository) as signers:
        if signers:
            _require_signature(repository, tag, signers)
            if "valid-before" in _text(signers).lower():
                _refuse_dated_back(repository, tag, signers)
    return tag


def is_forged(repository: Repository, name: str) -> bool:
    """Whether a tag is none that counts."""
    try:
        trusted(repository, name)
    except Refused:
        return True
    return False


def last_date(repository: Repository, tags: Iterable[Tag]) -> datetime | None:
    """The latest date of those that count."""
    latest_first = sorted(tags, key=lambda tag: tag.at, reverse=True)
    return next((tag.at for tag in latest_first if not is_forged(repository, tag.name)), None)


def seal(repository: Repository, name: str) -> None:
    """Take back a tag that has just been made, where it is not signed by whom it must be.

    Raises:
        Refused: It was not; it is gone.
    """
    try:
        trusted(repository, name)
    except Refused as error:
        repository.remove_tag(name)
        raise Refused(
            f"{name} was not made: {error.args[0]}",
            next_command="git config gpg.format ssh && git config user.signingKey ~/.ssh/id_ecdsa.pub",
        ) from error


@contextmanager
def _signers(repository: Repository) -> Iterator[Path | None]:
    """The file that says whose tags count: a checkout that predates it, or has lost it, has the origin's."""
    file = repository.root / SIGNERS
    if file.is_file():
        yield file
    elif (text := repository.at_origin(SIGNERS)) is not None:
        with TemporaryDirectory(prefix="slipway-signers-") as folder:
            copy = Path(folder, "allowed_signers")
            copy.write_text(text, encoding="utf-8")
            yield copy
    else:
        yield None


def _text(signers: Path) -> str:
    # Names of people may be in any encoding.
    return signers.read_text(encoding="utf-8", errors="replace")


def _require_signature(repository: Repository, tag: Tag, signers: Path) -> None:
    try:
        repository.verify_tag(tag.name, signers)
    except GitError as error:
        whose = _whose(str(error), _text(signers))
        raise _broken(tag.name, "signer -> tag", f"{whose}; {SIGNERS} says whose counts") from error


def _refuse_dated_back(repository: Repository, tag: Tag, signers: Path) -> None:
    """Git judges a key by the tag's own date: whoever still has one that has lapsed can write a date of before.

    Raises:
        Refused: The tag is dated before its commit, or before one of a lower number that is signed.
    """
    if tag.at < (made := repository.date(tag.commit)):
        raise _broken(
            tag.name,
            "commit -> tag",
            f"it is dated {tag.at:%Y-%m-%d %H:%M}, before its commit ({made:%Y-%m-%d %H:%M})",
        )
    for other in _earlier(repository, tag.name):
        if other.at > tag.at and _is_signed(repository, other, signers):
            raise _broken(
                tag.name,
                f"{other.name} -> tag",
                f"it is dated {tag.at:%Y-%m-%d %H:%M}, before that ({other.at:%Y-%m-%d %H:%M})",
            )


def _earlier(repository: Repository, name: str) -> list[Tag]:
    """The tags of a series, as desired states and quarantines are, whose numbers are lower."""
    own = _NUMBERED.fullmatch(name)
    if own is None:
        return []
    named = [(_NUMBERED.fullmatch(tag.name), tag) for tag in repository.tags(f"{own['series']}*")]
    return [
        tag
        for found, tag in named
        if found and found["series"] == own["series"] and int(found["number"]) < int(own["number"])
    ]


def _is_signed(repository: Repository, tag: Tag, signers: Path) -> bool:
    try:
        _require_signature(repository, tag, signers)
    except Refused:
        return False
    return tag.written_as == tag.name


def _whose(error: str, signers: str) -> str:
    """What is wrong with a signature, by what git says of it."""
    key = re.search(r"SHA256:\S+", error)
    if "no signature found" in error:
        return "it is not signed"
    if key and key[0] in _fingerprints(signers):
        return f"its key, {key[0]}, is listed, but had lapsed at the tag's date, or is not for git"
    return f"its signature is of another key, {key[0]}" if key else f"its signature does not hold ({error})"


def _fingerprints(signers: str) -> set[str]:
    """Of the keys in a file of allowed signers, as OpenSSH writes them."""
    found = set()
    for text in re.findall(r"\s(AAAA[A-Za-z0-9+/]+=*)", signers):
        with suppress(binascii.Error):
            digest = hashlib.sha256(base64.b64decode(text)).digest()
            found.add(f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}")
    return found


def _said(tag: Tag, what: str) -> str | None:
    found = re.search(rf"^{what} sha256 (\S+)$", tag.message, re.MULTILINE)
    return found[1] if found else None


def _broken(tag: str, link: str, reason: str) -> Refused:
    return Refused(
        f"{tag} cannot be trusted; the link {link} is broken: {reason}", next_command=f"git show '{tag}'"
    )
