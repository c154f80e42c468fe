"""The chain from a tag to the bytes: who signed the tag, the commit it names, the lock and the manifest there.

The last link, from the manifest to the bytes, is checked wherever bytes are read: by `objects`, and by each host.
"""

import hashlib
import re

from slipway.errors import Refused
from slipway.release import pins
from slipway.release.git import GitError, Repository, Tag
from slipway.release.names import ReleaseName

SIGNERS = ".github/allowed_signers"
"""Whose tags count, as `ssh-keygen(1)` has it: with `valid-before` for who has left, whose old tags still do."""


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
    for path, locked in pins.records(repository, tag.commit).items():
        text = repository.read(tag.commit, path)
        actual = hashlib.md5((text or "").encode(), usedforsecurity=False).hexdigest()
        if actual != locked:
            raise _broken(name.tag, f"lock -> {path}", f"dvc.lock says md5 {locked}, the file has {actual}")


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
    signers = repository.root / SIGNERS
    if signers.is_file():
        try:
            repository.verify_tag(name, signers)
        except GitError as error:
            raise _broken(
                name, "signer -> tag", f"{_whose(str(error))}; {SIGNERS} says whose counts"
            ) from error
    return tag


def is_forged(repository: Repository, name: str) -> bool:
    """Whether a tag is none that counts."""
    try:
        trusted(repository, name)
    except Refused:
        return True
    return False


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


def _whose(error: str) -> str:
    """What is wrong with a signature, by what git says of it."""
    key = re.search(r"SHA256:\S+", error)
    if "no signature found" in error:
        return "it is not signed"
    return f"its signature is of another key, {key[0]}" if key else f"its signature does not hold ({error})"


def _said(tag: Tag, what: str) -> str | None:
    found = re.search(rf"^{what} sha256 (\S+)$", tag.message, re.MULTILINE)
    return found[1] if found else None


def _broken(tag: str, link: str, reason: str) -> Refused:
    return Refused(
        f"{tag} cannot be trusted; the link {link} is broken: {reason}", next_command=f"git show '{tag}'"
    )
