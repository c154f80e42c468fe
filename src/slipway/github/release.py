"""The GitHub Release of a tag: notes and files, put together as a draft and then published.

A published release may be immutable on GitHub's side, so everything is in it before it is shown.
"""

import mimetypes
import re
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import httpx

from slipway.errors import InputError, Refused
from slipway.github import files, markup
from slipway.github.answers import Asset, Reference, Release
from slipway.github.api import Answered, Api
from slipway.github.workflow import Workflow
from slipway.release.names import ReleaseName

NOTES = "notes.md"

_NAME = re.compile(r"[A-Za-z0-9_-]+([._-]+[A-Za-z0-9_-]+)*")
"""GitHub renames files that are called otherwise, and they would not be found again."""
_ASSETS = 1000
_ASSET_BYTES = (1 << 31) - 1


class _File(NamedTuple):
    name: str
    file: BufferedReader
    size: int
    sha256: str


def publish(workflow: Workflow, api: Api, name: ReleaseName, folder: Path) -> list[str]:
    """Make or complete the GitHub Release of a tag; lines that tell what was done.

    Raises:
        InputError: The tag is not on GitHub, the folder has what no release can have, or GitHub refuses.
        Refused: The release has a file of the same name with other bytes; nothing was changed.
        MachineError: GitHub does not answer.
    """
    with ExitStack() as stack:
        notes, wanted = _contents(stack, folder)
        _require_tag(workflow, api, name)
        release = api.once(lambda: _there(workflow, api, name), lambda: _draft(workflow, api, name, notes))
        missing = _missing(workflow, api, release, wanted)
        for file in missing:
            _upload(workflow, api, release, file)
    said = [f"{name.tag} has {file.name}" for file in missing]
    if not release.draft:
        return [*said, f"{name.tag} is published{'' if said else ', as it was'}: {release.html_url}"]
    # A draft of a command that was killed may have older notes.
    fields = {"body": notes, "draft": False, "make_latest": "legacy"}
    api.change(f"{workflow.home}/releases/{release.id}", fields)
    shown = _there(workflow, api, name) or release
    return [*said, f"{name.tag} is published: {shown.html_url}"]


def _contents(stack: ExitStack, folder: Path) -> tuple[str, list[_File]]:
    """The notes, and the other files, opened."""
    notes = files.text(folder, NOTES)
    if len(notes) > markup.LIMIT:
        raise InputError(
            f"{folder / NOTES} has more than {markup.LIMIT} characters, which no release can have"
        )
    names = sorted(path.name for path in folder.iterdir() if path.name != NOTES)
    if len(names) > _ASSETS:
        raise InputError(f"{folder} has {len(names)} files, and a release has {_ASSETS} at the most")
    return notes, [_opened(stack, folder, name) for name in names]


def _opened(stack: ExitStack, folder: Path, name: str) -> _File:
    if not _NAME.fullmatch(name):
        raise InputError(f"{folder / name} cannot be a release's file: GitHub would rename it")
    file = stack.enter_context(files.opened(folder, name))
    size = file.seek(0, 2)
    if not 0 < size <= _ASSET_BYTES:
        raise InputError(f"{folder / name} has {size} bytes, and a release's file has 1 to {_ASSET_BYTES}")
    file.seek(0)
    return _File(name, file, size, file_digest(file, "sha256").hexdigest())


def _require_tag(workflow: Workflow, api: Api, name: ReleaseName) -> None:
    """Without it, GitHub would make one of its own, on whatever the default branch is then."""
    try:
        found = api.get(Reference, f"{workflow.home}/git/ref/tags/{name.tag}")
    except Answered as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
        raise InputError(
            f"{name.tag} is no tag of {workflow.repository} on GitHub",
            next_command=f"git push origin {name.tag}",
        ) from None
    if found.object.type != "tag":
        raise InputError(f"{name.tag} on GitHub is not an annotated tag, and so no release of Slipway's")


def _there(workflow: Workflow, api: Api, name: ReleaseName) -> Release | None:
    """The release, published or a draft, which GitHub does not find by its tag; a published one goes before drafts."""
    found = [each for each in _releases(workflow, api) if each.tag_name == name.tag]
    return min(found, key=lambda each: (each.draft, each.id), default=None)


def _releases(workflow: Workflow, api: Api) -> Iterator[Release]:
    return api.each(Release, f"{workflow.home}/releases")


def _draft(workflow: Workflow, api: Api, name: ReleaseName, notes: str) -> Release:
    fields = {"tag_name": name.tag, "name": f"{name.model} {name.label}", "body": notes, "draft": True}
    return api.make(Release, f"{workflow.home}/releases", fields)


def _missing(workflow: Workflow, api: Api, release: Release, wanted: list[_File]) -> list[_File]:
    """The files that a release lacks, or has in half.

    Raises:
        Refused: It has one of the files with other bytes.
    """
    there = _assets(workflow, api, release)
    whole = {name: asset for name, asset in there.items() if asset.state == "uploaded"}
    for file in wanted:
        if _is_signature(file):
            continue
        if file.name in whole and not _same(workflow, api, whole[file.name], file):
            raise Refused(
                f"{release.tag_name} on GitHub has another {file.name} than {file.sha256}, and a release does not change",
                next_command="slipway release",
            )
    return [file for file in wanted if file.name not in whole]


def _is_signature(file: _File) -> bool:
    """Of the same bytes by the same key there are many; the one that was published first stays."""
    return file.name.endswith(".sig")


def _assets(workflow: Workflow, api: Api, release: Release) -> dict[str, Asset]:
    return {each.name: each for each in api.each(Asset, f"{workflow.home}/releases/{release.id}/assets")}


def _same(workflow: Workflow, api: Api, asset: Asset, file: _File) -> bool:
    if asset.size != file.size:
        return False
    digest = asset.digest or f"sha256:{api.sha256(f'{workflow.home}/releases/assets/{asset.id}')}"
    return digest == f"sha256:{file.sha256}"


def _upload(workflow: Workflow, api: Api, release: Release, file: _File) -> None:
    """Send a file, and again where a first try left half of it."""
    address = release.upload_url.partition("{")[0]
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"

    def whole() -> Asset | None:
        found = _assets(workflow, api, release).get(file.name)
        if found and found.state != "uploaded":
            api.delete(f"{workflow.home}/releases/assets/{found.id}")
            return None
        return found

    came = api.once(whole, lambda: api.upload(Asset, address, file.name, file.file, media_type))
    if came.name != file.name or not _same(workflow, api, came, file):
        raise Refused(f"GitHub has kept {file.name} of {release.tag_name} otherwise than it was sent")
