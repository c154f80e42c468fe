"""`slipway provenance`: what is in the folder, twice the same, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.provenance.conftest import CARD, KEY_KINDS

from slipway.release import chain
from slipway.release.keys import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.provenance.conftest import Desk, Keys
    from tests.unit.command import Slipway

pytestmark = pytest.mark.usefixtures("desk")
UNSIGNED = [
    "bundle.tar", "manifest.json", "model-card.md", "notes.md", "sbom.cdx.json", "statement.intoto.json",
]  # fmt: skip
SIGNED = [*UNSIGNED[:3], "model.sig", *UNSIGNED[3:5], "signer.pub.pem", UNSIGNED[5]]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_everything_is_written_beside_the_environments(desk: Desk, slipway: Slipway) -> None:
    code, out, errors = slipway("provenance", "v1.1.0")
    folder = desk.root / ".slipway" / "provenance" / "v1.1.0"
    assert (code, errors) == (0, "")
    assert out.splitlines() == [
        f"wear@v1.1.0: {', '.join(UNSIGNED)}",
        "  not signed: SLIPWAY_SIGNING_KEY holds no key",
        f"  next: {folder / 'notes.md'}",
    ]
    found = contents(folder)
    assert sorted(found) == UNSIGNED
    assert found["manifest.json"].decode() == desk.run("git", "show", "wear@v1.1.0:manifest.json")
    assert found["model-card.md"].decode() == CARD
    assert (
        found["bundle.tar"]
        == desk.object(
            next(pin["md5"] for pin in _outs(desk, "wear@v1.1.0") if pin["path"] == "artifacts/bundle.tar")
        ).read_bytes()
    )


def _outs(desk: Desk, revision: str) -> list[dict[str, str]]:
    from ruamel.yaml import YAML  # noqa: PLC0415

    lock = YAML(typ="safe", pure=True).load(desk.git("show", f"{revision}:dvc.lock"))
    return [out for stage in lock["stages"].values() for out in stage["outs"]]


def test_of_a_release_that_nobody_who_counts_has_signed_nothing_is_written(
    desk: Desk, slipway: Slipway, tmp_path: Path
) -> None:
    desk.write({chain.SIGNERS: ""})
    code, _, errors = slipway("provenance", "v1.1.0", "--out", str(tmp_path / "out"))
    assert code == 3
    assert "wear@v1.1.0 cannot be trusted; the link signer -> tag is broken: it is not signed" in errors
    assert not (tmp_path / "out").exists()


def test_a_forged_release_is_not_the_one_before(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def is_forged(_: object, tag: str) -> bool:
        return tag == "wear@v1.1.0"

    monkeypatch.setattr(chain, "is_forged", is_forged)
    slipway("provenance", "v2.0.0", "--out", str(tmp_path / "out"))
    notes = (tmp_path / "out" / "notes.md").read_text()
    assert "v1.0.0" in notes
    assert "v1.1.0" not in notes


def test_another_day_at_another_place_gives_the_same_bytes(
    desk: Desk, slipway: Slipway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert slipway("provenance", "v1.1.0", "--out", str(tmp_path / "one")).code == 0
    desk.git("checkout", "--quiet", "wear@v1.0.0")
    desk.git("config", "user.name", "Bob")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    assert slipway("provenance", "wear@v1.1.0", "--out", str(tmp_path / "other")).code == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_a_second_time_nothing_changes_the_signature_included(
    slipway: Slipway, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys("ecdsa"))
    ended = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert (ended.code, ended.errors) == (0, "")
    assert ended.out.splitlines()[0] == f"wear@v1.0.0: {', '.join(SIGNED)}"
    assert "not signed" not in ended.out
    before = contents(tmp_path / "out")
    times = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()}
    assert sorted(before) == SIGNED
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    assert contents(tmp_path / "out") == before
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()} == times


def test_what_was_not_signed_can_be_signed_later_with_nothing_else_changed(
    slipway: Slipway, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    before = contents(tmp_path / "out")
    monkeypatch.setenv(KEY, keys("ecdsa"))
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    after = contents(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert sorted(after) == SIGNED


@pytest.mark.parametrize("name", UNSIGNED)
def test_a_file_with_other_content_is_refused_and_nothing_is_written(
    slipway: Slipway, tmp_path: Path, name: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"mine")
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert code == 1
    assert errors.splitlines() == [
        f"error: {name} in {tmp_path / 'out'}: not what goes with wear@v1.0.0",
        f"  next: rm {tmp_path / 'out' / name}, then the same command again",
    ]
    assert contents(tmp_path / "out") == {name: b"mine"}


def test_what_does_not_belong_there_is_refused_as_it_would_be_published(
    slipway: Slipway, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "own").mkdir(parents=True)
    (out / "my notes.txt").touch()
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(out))
    assert code == 1
    assert errors.splitlines() == [
        f"error: my notes.txt, own in {out}: not what goes with wear@v1.0.0",
        f"  next: rm -r '{out}/my notes.txt' {out}/own, then the same command again",
    ]
    assert sorted(path.name for path in out.iterdir()) == ["my notes.txt", "own"]


def test_what_a_killed_command_has_left_by_half_is_no_stranger(slipway: Slipway, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".notes.md.part").write_text("ha")
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    assert sorted(contents(tmp_path / "out")) == UNSIGNED


@pytest.mark.parametrize("name", [".notes.md.part", ".bundle.tar.part"])
def test_a_link_in_the_place_of_a_half_is_not_written_through(
    slipway: Slipway, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(precious)
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    assert precious.read_text() == "precious"
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["notes.md", "bundle.tar", "model.sig"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere"), Path.mkdir])
def test_what_is_no_file_is_refused_and_not_read(
    slipway: Slipway, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    (tmp_path / "out").mkdir()
    make(tmp_path / "out" / name)
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert code == 1
    assert errors.startswith(f"error: {name} in {tmp_path / 'out'}: not what goes with wear@v1.0.0\n")


def test_the_folder_of_another_release_is_refused(slipway: Slipway, tmp_path: Path) -> None:
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    before = contents(tmp_path / "out")
    code, _, errors = slipway("provenance", "v1.1.0", "--out", str(tmp_path / "out"))
    assert code == 1
    assert "not what goes with wear@v1.1.0" in errors
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("then", "why"), [("another", "not by the key"), (None, "SLIPWAY_SIGNING_KEY holds no key")]
)
def test_a_signature_that_is_not_this_key_s_is_refused(
    slipway: Slipway, tmp_path: Path, keys: Keys, then: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys("ecdsa"))
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    before = contents(tmp_path / "out")
    monkeypatch.setenv(KEY, keys(then) if then else "")
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert code == 1
    assert why in errors
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("damaged", ["model.sig", "signer.pub.pem"])
def test_a_signature_or_a_key_of_other_bytes_is_refused(
    slipway: Slipway, tmp_path: Path, keys: Keys, damaged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys("ecdsa"))
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    (tmp_path / "out" / damaged).write_bytes(b"other")
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 1


@pytest.mark.parametrize("lost", ["model.sig", "signer.pub.pem"])
def test_a_signature_of_this_key_s_that_was_left_by_half_is_completed(
    slipway: Slipway, tmp_path: Path, keys: Keys, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a command leaves it that is killed between the two files."""
    monkeypatch.setenv(KEY, keys("ecdsa"))
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    before = contents(tmp_path / "out")
    (tmp_path / "out" / lost).unlink()
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    after = contents(tmp_path / "out")
    assert sorted(after) == SIGNED
    assert {name for name in SIGNED if after[name] != before[name]} <= {"model.sig"} & {lost}


@pytest.mark.parametrize("lone", ["model.sig", "signer.pub.pem"])
def test_half_a_signature_of_another_key_s_is_refused(
    slipway: Slipway, tmp_path: Path, keys: Keys, lone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys("another"))
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0
    for name in {"model.sig", "signer.pub.pem"} - {lone}:
        (tmp_path / "out" / name).unlink()
    before = contents(tmp_path / "out")
    monkeypatch.setenv(KEY, keys("ecdsa"))
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert (code, errors.splitlines()[0].partition(" in ")[0]) == (1, f"error: {lone}")
    assert contents(tmp_path / "out") == before


def test_a_release_that_does_not_exist_is_refused_with_those_that_do(slipway: Slipway) -> None:
    code, _, errors = slipway("provenance", "v9.9.9")
    assert (code, errors.splitlines()[0]) == (
        1, "error: there is no release wear@v9.9.9; the newest are: v1.1.0, v2.0.0, v2.0.1",
    )  # fmt: skip


@pytest.mark.parametrize("lost", ["artifacts/bundle.tar", "artifacts/runtime.tar"])
def test_an_object_that_is_nowhere_is_named_and_nothing_is_written(
    desk: Desk, slipway: Slipway, tmp_path: Path, lost: str
) -> None:
    (md5,) = [out["md5"] for out in _outs(desk, "wear@v1.0.0") if out["path"] == lost]
    desk.lose(md5, cache=True, remote=True)
    for release in ("v1.0.0", *(["v1.1.0"] if "bundle" in lost else [])):
        code, _, errors = slipway("provenance", release, "--out", str(tmp_path / "out"))
        assert code == 1
        said = f"error: wear@v1.0.0: {lost} (md5 {md5}) is neither in DVC's cache nor in its remote"
        assert errors.splitlines()[0] == said, "the release before is named where it is lost"
        assert not (tmp_path / "out").exists()


def test_an_object_that_left_the_cache_is_fetched(desk: Desk, slipway: Slipway, tmp_path: Path) -> None:
    for out in _outs(desk, "wear@v1.0.0"):
        if out["path"].startswith("artifacts"):
            desk.lose(out["md5"], cache=True)
    assert slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out")).code == 0


def test_spoilt_bytes_are_refused(desk: Desk, slipway: Slipway, tmp_path: Path) -> None:
    (md5,) = [out["md5"] for out in _outs(desk, "wear@v1.0.0") if out["path"] == "artifacts/bundle.tar"]
    desk.spoil(desk.object(md5))
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert code == 3
    assert errors.startswith("error: wear@v1.0.0: artifacts/bundle.tar")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_said(slipway: Slipway, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "file" / "out"))
    assert code == 1
    assert errors.startswith(f"error: {tmp_path / 'file' / 'out'} cannot be written to: Not a directory")


def test_a_release_of_another_slipway_says_where_to_run(desk: Desk, slipway: Slipway) -> None:
    (desk.root / "params.yaml").write_text((desk.root / "params.yaml").read_text() + "unknown: 1\n")
    desk.commit()
    desk.git("tag", "--annotate", "--message", "x", "wear@v3.0.0")
    desk.git("checkout", "--quiet", "wear@v2.0.1")
    code, _, errors = slipway("provenance", "v3.0.0")
    assert code == 1
    assert "error: wear@v3.0.0: its params.yaml is not as this version of Slipway reads it" in errors


@pytest.mark.parametrize("kind", KEY_KINDS)
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_the_key_is_in_nothing_that_is_written_or_said(
    slipway: Slipway, tmp_path: Path, keys: Keys, kind: str, debug: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keys(kind)
    monkeypatch.setenv(KEY, key)
    ended = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"), *debug)
    lines = [line for line in key.splitlines() if not line.startswith("-----") and ":" not in line and line]
    written = b"".join(contents(tmp_path / "out").values()) if (tmp_path / "out").exists() else b""
    assert ended.code == (0 if kind in {"ecdsa", "another"} else 1)
    for line in lines:
        for piece in (line[at : at + 16] for at in range(0, len(line) - 15, 16)):
            assert piece not in ended.out + ended.errors
            assert piece.encode() not in written
    assert "PRIVATE" not in ended.out + ended.errors + written.decode(errors="replace")


def test_a_key_that_cannot_sign_is_refused_before_anything_is_done(
    slipway: Slipway, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, keys("ed25519"))
    code, _, errors = slipway("provenance", "v1.0.0", "--out", str(tmp_path / "out"))
    assert (code, errors.splitlines()[0].split("; ")[0]) == (
        1,
        "error: SLIPWAY_SIGNING_KEY holds an Ed25519 key",
    )
    assert not (tmp_path / "out").exists()
