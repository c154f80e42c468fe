"""A GitHub Release is made once, whole, and does not change."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.github.conftest import Slipway
from tests.github.server import TOKEN, Fault, GitHub
from tests.unit.workshop import Workshop

from slipway.release import chain

TAG = "wear@v1.0.0"
FILES = {"bundle.tar": b"\x00bundle" * 50_000, "model-card.md": b"# wear\n", "sbom.cdx.json": b"{}"}
UPLOAD = "/uploads/repos/octo/screening/releases/"


@pytest.fixture
def parcel(folder: Path, hub: GitHub, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with notes and three files, for a tag that has been pushed."""
    monkeypatch.chdir(workshop.root)
    workshop.releases(1)
    hub.tags[TAG] = "tag"
    (folder / "notes.md").write_text("It is better.\n")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def stored(hub: GitHub, release: dict[str, Any]) -> dict[str, bytes]:
    return {each["name"]: hub.contents[each["id"]] for each in release["assets"]}


def refused(slipway: Slipway, parcel: Path, code: int = 1, version: str = "v1.0.0") -> str:
    ended = slipway("release", version, str(parcel))
    assert (ended.code, ended.out) == (code, "")
    return ended.errors.rpartition("error: ")[2].strip()


def test_a_release_has_the_notes_and_every_other_file(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    code, out, errors = slipway("release", "v1.0.0", str(parcel))

    assert (code, errors) == (0, "")
    (made,) = hub.releases
    assert (made["tag_name"], made["name"], made["body"]) == (TAG, "wear v1.0.0", "It is better.\n")
    assert (made["draft"], made["make_latest"]) == (False, "legacy")
    assert stored(hub, made) == FILES
    assert out.splitlines() == [
        *(f"{TAG} has {name}" for name in sorted(FILES)),
        f"{TAG} is published: {made['html_url']}",
    ]


def test_it_is_published_when_all_is_in_it_and_not_before(
    hub: GitHub, slipway: Slipway, parcel: Path
) -> None:
    slipway("release", TAG, str(parcel))

    assert [each.partition(" ")[0] for each in hub.writes] == ["POST", "POST", "POST", "POST", "PATCH"]
    assert b'"draft":true' in next(each.body for each in hub.asked if each.method == "POST")


def test_it_again_changes_nothing(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    slipway("release", "v1.0.0", str(parcel))
    hub.releases[0]["body"] = "It is better. A word was misspelt."
    hub.asked.clear()

    code, out, errors = slipway("release", "v1.0.0", str(parcel))

    assert (code, errors) == (0, "")
    assert out == f"{TAG} is published, as it was: {hub.releases[0]['html_url']}\n"
    assert hub.writes == []
    assert [each for each in hub.asked if each.path.startswith("/storage/")] == []


def test_a_published_release_gets_the_file_that_it_lacks(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    hub.page = 1
    for number in range(3):
        hub.release(f"wear@v0.{number}.0")
    made = hub.release(TAG, body="by hand")
    hub.asset(made, "model-card.md", FILES["model-card.md"])
    hub.asset(made, "by-hand.txt", b"kept")
    slipway("release", "v1.0.0", str(parcel))

    assert stored(hub, made) == {**FILES, "by-hand.txt": b"kept"}
    assert made["body"] == "by hand"
    assert len(hub.releases) == 4


@pytest.mark.parametrize("state", ["uploaded", "starter"])
def test_a_draft_of_a_command_that_was_killed_is_completed(
    hub: GitHub, slipway: Slipway, parcel: Path, state: str
) -> None:
    made = hub.release(TAG, draft=True, body="older notes")
    content = FILES["bundle.tar"] if state == "uploaded" else b""
    hub.asset(made, "bundle.tar", content, state)
    slipway("release", "v1.0.0", str(parcel))

    assert len(hub.releases) == 1
    assert stored(hub, made) == FILES
    assert (made["draft"], made["body"]) == (False, "It is better.\n")


@pytest.mark.parametrize("digests", [True, False], ids=["GitHub knows digests", "the bytes are fetched"])
@pytest.mark.parametrize("other", [b"{ }", b"[]"], ids=["another size", "the same size"])
def test_a_file_with_other_bytes_is_refused_and_nothing_is_changed(
    hub: GitHub, slipway: Slipway, parcel: Path, other: bytes, *, digests: bool
) -> None:
    hub.digests = digests
    made = hub.release(TAG)
    hub.asset(made, "sbom.cdx.json", other)

    said = refused(slipway, parcel, 3)

    assert said.startswith(f"{TAG} on GitHub has another sbom.cdx.json than ")
    assert hub.writes == []


def test_where_bytes_are_fetched_from_the_token_is_not_shown(
    hub: GitHub, slipway: Slipway, parcel: Path
) -> None:
    hub.digests = False
    slipway("release", "v1.0.0", str(parcel))
    slipway("release", "v1.0.0", str(parcel))

    fetched = [each for each in hub.asked if each.path.startswith("/storage/")]
    assert len(fetched) >= len(FILES)
    assert {each.authorization for each in fetched} == {""}


def test_a_tag_that_was_not_pushed_is_not_made(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    hub.tags.clear()

    assert refused(slipway, parcel) == (
        f"{TAG} is no tag of octo/screening on GitHub\n  next: git push origin {TAG}"
    )
    assert hub.writes == []


def test_a_release_that_nobody_who_counts_has_signed_is_not_published(
    hub: GitHub, slipway: Slipway, parcel: Path, workshop: Workshop
) -> None:
    workshop.write({chain.SIGNERS: ""})

    assert "the link signer -> tag is broken: it is not signed" in refused(slipway, parcel, 3)
    assert hub.asked == []


def test_a_lightweight_tag_is_no_release(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    hub.tags[TAG] = "commit"

    assert "is not an annotated tag" in refused(slipway, parcel)
    assert hub.writes == []


@pytest.mark.parametrize(
    "version",
    ["v1.0.0-candidate+7524a8b8.179eb3d1.1eb09fdd", "latest", "other@v1.0.0", "wear#production#1", "../x"],
)
def test_what_is_no_release_of_this_model_is_refused(
    hub: GitHub, slipway: Slipway, parcel: Path, version: str
) -> None:
    hub.tags[version] = "tag"

    assert " is " in refused(slipway, parcel, version=version)
    assert hub.asked == []


def linked(parcel: Path) -> None:
    (parcel / "key.pem").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda parcel: (parcel / "notes.md").unlink(), "notes.md cannot be read as a plain file"),
        (lambda parcel: (parcel / "notes.md").write_text("x" * 65_537), "has more than 65536 characters"),
        (lambda parcel: (parcel / "notes.md").write_bytes(b"\xff"), "is not UTF-8"),
        (lambda parcel: (parcel / "empty.txt").touch(), "empty.txt has 0 bytes"),
        (lambda parcel: (parcel / "two words.txt").write_text("x"), "GitHub would rename it"),
        (lambda parcel: (parcel / ".hidden").write_text("x"), "GitHub would rename it"),
        (lambda parcel: (parcel / "plots").mkdir(), "plots is not a plain file"),
        (linked, "key.pem cannot be read as a plain file"),
        (lambda parcel: os.truncate(parcel / "bundle.tar", 1 << 31), "has 2147483648 bytes"),
    ],
    ids=["no notes", "long notes", "binary notes", "empty", "spaces", "hidden", "folder", "link", "2 GiB"],
)
def test_a_folder_that_no_release_can_have_is_refused_before_anything_is_asked(
    hub: GitHub, slipway: Slipway, parcel: Path, harm: Any, said: str
) -> None:
    harm(parcel)

    assert said in refused(slipway, parcel)
    assert hub.asked == []


@pytest.mark.parametrize("after", [True, False], ids=["it had come", "it had not come"])
@pytest.mark.parametrize("path", ["/releases$", "/assets$"])
def test_an_answer_that_leaves_it_open_makes_no_second_one(
    hub: GitHub, slipway: Slipway, parcel: Path, path: str, *, after: bool
) -> None:
    hub.faults.append(Fault("POST", path, 502, after=after))

    assert slipway("release", "v1.0.0", str(parcel)).code == 0
    (made,) = hub.releases
    assert stored(hub, made) == FILES


def test_a_file_that_came_in_half_is_sent_again(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    hub.halves = 2

    assert slipway("release", "v1.0.0", str(parcel)).code == 0
    assert stored(hub, hub.releases[0]) == FILES


def test_a_file_whose_sending_was_limited_is_sent_from_its_beginning(
    hub: GitHub, slipway: Slipway, parcel: Path
) -> None:
    hub.faults.append(Fault("POST", "/assets$", 429, headers={"Retry-After": "1"}))

    assert slipway("release", "v1.0.0", str(parcel)).code == 0
    assert stored(hub, hub.releases[0]) == FILES


def test_what_github_kept_otherwise_is_not_published(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    hub.keeps = 5

    assert slipway("release", "v1.0.0", str(parcel)).code == 3
    assert hub.releases[0]["draft"]


def test_an_upload_address_that_would_show_the_token_is_not_used(
    hub: GitHub, slipway: Slipway, parcel: Path
) -> None:
    hub.release(TAG, draft=True, upload_url="http://uploads.github.test/assets{?name,label}")

    assert "an upload address that is not https" in refused(slipway, parcel)
    assert [each for each in hub.asked if each.method == "POST"] == []
    assert TOKEN not in str(hub.releases)


def test_uploads_go_where_the_answer_says(hub: GitHub, slipway: Slipway, parcel: Path) -> None:
    slipway("release", "v1.0.0", str(parcel))

    assert [each.path.startswith(UPLOAD) for each in hub.asked if each.method == "POST"] == [
        False,
        True,
        True,
        True,
    ]
