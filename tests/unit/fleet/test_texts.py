"""Files that a command leaves for people and programs: whole ones, or those that were there."""

import errno
from pathlib import Path

import pytest

from slipway.errors import MachineError
from slipway.fleet import texts


def test_texts_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "out"
    texts.write(folder, {"a.md": "old"})
    texts.write(folder, {"a.md": "\u00e9\n", "b.json": "{}"})
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == {
        "a.md": "\u00e9\n",
        "b.json": "{}",
    }


def test_half_a_character_is_written_as_its_escape(tmp_path: Path) -> None:
    texts.write(tmp_path, {"a.md": "id \ud800.", "b.md": "b"})
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "id \\ud800."
    assert (tmp_path / "b.md").read_text() == "b"


def test_where_one_cannot_be_written_all_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts.write(tmp_path, {"a.md": "old", "b.md": "old"})
    write = Path.write_bytes

    def fill(self: Path, content: bytes) -> int:
        if self.name == "b.md":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(MachineError, match="cannot be written to: No space left on device"):
        texts.write(tmp_path, {"a.md": "new", "b.md": "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.md": "old", "b.md": "old"}


def test_a_link_in_the_folder_is_not_written_through(tmp_path: Path) -> None:
    precious, folder = tmp_path / "precious", tmp_path / "out"
    precious.write_text("precious")
    folder.mkdir()
    (folder / "a.md").symlink_to(precious)
    texts.write(folder, {"a.md": "new"})
    assert (precious.read_text(), (folder / "a.md").read_text()) == ("precious", "new")
