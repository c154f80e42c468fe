"""A bundle is whole, exact and sound, or it is refused with the file that is not."""

import hashlib
import io
import json
import math
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway import bundle
from slipway.bundle import Bundle, Golden
from slipway.contract import Contract
from slipway.errors import Corrupt, Refused
from slipway.scorer import Prediction

from .conftest import ROWS

Unpack = Callable[[Mapping[str, bytes]], Path]


def digest(content: bytes | bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


def rewritten(folder: Path, **change: Any) -> None:
    path = folder / bundle.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def test_a_bundle_comes_back_whole(contents: dict[str, bytes], unpacked: Unpack, contract: Contract) -> None:
    unharmed = Bundle(unpacked(contents))

    assert unharmed.manifest.model == "wear"
    assert {name: digest(content) for name, content in contents.items()} == unharmed.manifest.files
    assert contents == {name: unharmed.read(name) for name in contents}
    assert contract == unharmed.contract
    assert list(ROWS) == unharmed.golden.rows


def test_a_sound_model_passes_its_golden_rows(contents: dict[str, bytes], unpacked: Unpack) -> None:
    unharmed = Bundle(unpacked(contents))

    assert [answer.label for answer in unharmed.golden.expected] == [
        answer.label for answer in unharmed.scorer().predict(unharmed.golden.rows)
    ]


def test_equal_contents_give_equal_bytes_in_whatever_order(contents: dict[str, bytes]) -> None:
    one, _ = bundle.pack("wear", contents)
    other, _ = bundle.pack("wear", dict(reversed(contents.items())))

    assert digest(one) == digest(other)


def test_a_tar_tells_nothing_of_who_made_it_and_when() -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle.tar({"b": b"2", "a": b"1"}))) as archive:
        members = archive.getmembers()

    assert [member.name for member in members] == ["a", "b"]
    assert {(0, 0, 0, "", "", 0o644)} == {
        (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) for member in members
    }


@given(
    st.dictionaries(st.text("abcxyz/._-", min_size=1, max_size=30).map(lambda name: f"f{name}f"), st.binary())
)
def test_a_tar_gives_back_what_went_in(files: dict[str, bytes]) -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle.tar(files))) as archive:
        unpacked = {member.name: archive.extractfile(member) for member in archive.getmembers()}

    assert files == {name: file.read() for name, file in unpacked.items() if file}


@pytest.mark.parametrize("name", bundle.CONTENTS)
@pytest.mark.parametrize("position", [0, -1])
def test_a_flipped_byte_is_refused_with_both_digests(
    contents: dict[str, bytes], unpacked: Unpack, name: str, position: int
) -> None:
    folder = unpacked(contents)
    damaged = bytearray(contents[name])
    damaged[position] ^= 1
    (folder / name).write_bytes(damaged)

    with pytest.raises(Corrupt) as caught:
        Bundle(folder)

    assert str(caught.value) == (
        f"{folder / name} is corrupt: expected sha256 {digest(contents[name])}, found {digest(damaged)}"
    )


@pytest.mark.parametrize("name", bundle.CONTENTS)
def test_a_file_cut_short_is_corrupt(contents: dict[str, bytes], unpacked: Unpack, name: str) -> None:
    folder = unpacked(contents)
    (folder / name).write_bytes(contents[name][:-1])

    with pytest.raises(Corrupt, match=name):
        Bundle(folder)


@pytest.mark.parametrize("name", bundle.CONTENTS)
def test_a_digest_changed_in_the_manifest_is_refused(
    contents: dict[str, bytes], unpacked: Unpack, name: str
) -> None:
    folder = unpacked(contents)
    files = {each: digest(content) for each, content in contents.items()}
    rewritten(folder, files={**files, name: "0" * 64})

    with pytest.raises(Corrupt, match=f"{name} is corrupt: expected sha256 {'0' * 64}, found {files[name]}"):
        Bundle(folder)


def test_two_files_that_have_changed_places_are_refused(contents: dict[str, bytes], unpacked: Unpack) -> None:
    folder = unpacked(contents)
    (folder / bundle.CONTRACT).write_bytes(contents[bundle.GOLDEN])
    (folder / bundle.GOLDEN).write_bytes(contents[bundle.CONTRACT])

    with pytest.raises(Corrupt, match=digest(contents[bundle.GOLDEN])):
        Bundle(folder)


def test_files_packed_in_each_other_s_place_are_refused(contents: dict[str, bytes], unpacked: Unpack) -> None:
    swapped = {
        **contents,
        bundle.CONTRACT: contents[bundle.GOLDEN],
        bundle.GOLDEN: contents[bundle.CONTRACT],
    }

    with pytest.raises(Refused, match=r"contract.json is not a contract file"):
        Bundle(unpacked(swapped))


@pytest.mark.parametrize("name", bundle.CONTENTS)
def test_a_missing_file_is_named(contents: dict[str, bytes], unpacked: Unpack, name: str) -> None:
    folder = unpacked(contents)
    (folder / name).unlink()

    with pytest.raises(Refused) as caught:
        Bundle(folder)

    assert str(caught.value) == f"{folder} lacks ['{name}']"


@pytest.mark.parametrize("name", ["model.pkl", ".hidden", "model.onnx.bak"])
def test_an_extra_file_is_named(contents: dict[str, bytes], unpacked: Unpack, name: str) -> None:
    folder = unpacked(contents)
    (folder / name).write_bytes(b"")

    with pytest.raises(Refused) as caught:
        Bundle(folder)

    assert str(caught.value) == f"{folder} holds files that its manifest does not name: ['{name}']"


def test_an_extra_folder_is_refused(contents: dict[str, bytes], unpacked: Unpack) -> None:
    folder = unpacked(contents)
    (folder / "more").mkdir()

    with pytest.raises(Refused, match=r"does not name: \['more'\]"):
        Bundle(folder)


@pytest.mark.parametrize("name", ["model.pkl", "../model.onnx", "/etc/passwd", "sub/model.onnx"])
def test_a_manifest_that_names_another_file_is_refused(
    contents: dict[str, bytes], unpacked: Unpack, name: str
) -> None:
    folder = unpacked(contents)
    files = {each: digest(content) for each, content in contents.items()}
    rewritten(folder, files={**files, name: digest(b"")})

    with pytest.raises(Refused, match=r"manifest.json must name .*names") as caught:
        Bundle(folder)

    assert repr(name) in str(caught.value)


def test_a_path_in_place_of_a_name_is_refused(contents: dict[str, bytes], unpacked: Unpack) -> None:
    folder = unpacked(contents)
    (folder / bundle.MODEL).rename(folder.parent / bundle.MODEL)
    files = {each: digest(content) for each, content in contents.items()}
    rewritten(folder, files={f"../{name}" if name == bundle.MODEL else name: files[name] for name in files})

    with pytest.raises(Refused, match=r"manifest.json must name .*'model.onnx'"):
        Bundle(folder)


def test_a_folder_without_a_manifest_is_no_bundle(contents: dict[str, bytes], unpacked: Unpack) -> None:
    folder = unpacked(contents)
    (folder / bundle.MANIFEST).unlink()

    with pytest.raises(Refused, match=r"is not a bundle: it has no manifest.json$"):
        Bundle(folder)


def test_a_folder_that_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"is not a bundle: it has no manifest.json$"):
        Bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"model": "wear"}', b"\xff"])
def test_a_manifest_that_is_none_is_refused(
    contents: dict[str, bytes], unpacked: Unpack, damage: bytes
) -> None:
    folder = unpacked(contents)
    (folder / bundle.MANIFEST).write_bytes(damage)

    with pytest.raises(Refused, match=r"manifest.json is not a manifest file: "):
        Bundle(folder)


@pytest.mark.parametrize("change", [{"format": 2}, {"signature": "x"}])
def test_a_manifest_of_another_format_is_refused(
    contents: dict[str, bytes], unpacked: Unpack, change: dict[str, Any]
) -> None:
    folder = unpacked(contents)
    rewritten(folder, **change)

    with pytest.raises(Refused, match=r"manifest.json is not a manifest file: "):
        Bundle(folder)


@pytest.mark.parametrize("damage", [b"{}", b"not json", b'{"tolerance": 1, "rows": [], "expected": []}'])
def test_golden_rows_that_prove_nothing_are_refused(
    contents: dict[str, bytes], unpacked: Unpack, damage: bytes
) -> None:
    with pytest.raises(Refused, match=r"golden.json is not a golden file: "):
        Bundle(unpacked({**contents, bundle.GOLDEN: damage}))


@pytest.mark.parametrize(
    ("weights", "bias", "fault"),
    [
        ((math.nan, 0.0), 0.0, "NaN"),
        ((0.0, 0.0), 5.0, "a constant"),
        ((-1.0, 2.0), 0.5, "weights in each other's place"),
        ((2.0, -1.0), 0.5 + 1e-7, "a hair's breadth"),
    ],
)
def test_golden_rows_catch_a_model_that_answers_otherwise(
    contents: dict[str, bytes],
    unpacked: Unpack,
    linear: Callable[..., bytes],
    weights: tuple[float, float],
    bias: float,
    fault: str,
) -> None:
    whole = Bundle(unpacked({**contents, bundle.MODEL: linear(weights, bias)}))

    with pytest.raises(Refused, match=r"fails its golden rows: golden row \d: expected") as caught:
        whole.scorer()

    assert str(whole.folder) in str(caught.value), f"the refusal of {fault} does not say where"


def test_golden_rows_catch_swapped_columns(
    contents: dict[str, bytes], unpacked: Unpack, contract: Contract
) -> None:
    swapped = json.loads(contract.to_json())
    swapped["columns"] = dict(reversed(swapped["columns"].items()))

    with pytest.raises(Refused, match="fails its golden rows"):
        Bundle(unpacked({**contents, bundle.CONTRACT: json.dumps(swapped).encode()})).scorer()


def test_golden_rows_catch_another_threshold(
    contents: dict[str, bytes], unpacked: Unpack, linear: Callable[..., bytes]
) -> None:
    with pytest.raises(Refused, match=r"golden row 1: expected worn .*, got sound"):
        Bundle(unpacked({**contents, bundle.MODEL: linear(threshold=0.9)})).scorer()


@pytest.mark.parametrize("tolerance", ["1e9", "0.0011", "NaN", "Infinity", "-1"])
def test_a_bundle_that_tolerates_any_answer_is_refused(
    contents: dict[str, bytes], unpacked: Unpack, tolerance: str
) -> None:
    golden = contents[bundle.GOLDEN].replace(b"1e-09", tolerance.encode())
    assert tolerance.encode() in golden

    with pytest.raises(Refused, match=r"golden.json is not a golden file: "):
        Bundle(unpacked({**contents, bundle.GOLDEN: golden}))


GOLDEN = Golden(tolerance=1e-3, rows=[{}, {}], expected=[Prediction("a", 0.5), Prediction("b", 0.25)])


def test_answers_within_the_tolerance_are_sound() -> None:
    assert GOLDEN.differences([Prediction("a", 0.5009), Prediction("b", 0.2491)]) == []


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        (
            [Prediction("a", 0.502), Prediction("b", 0.25)],
            ["golden row 0: expected a 0.5, got a 0.502"],
        ),
        (
            [Prediction("a", 0.5), Prediction("a", 0.25)],
            ["golden row 1: expected b 0.25, got a 0.25"],
        ),
        (
            [Prediction("a", math.nan), Prediction("b", math.nan)],
            ["golden row 0: expected a 0.5, got a nan", "golden row 1: expected b 0.25, got b nan"],
        ),
        ([Prediction("a", 0.5)], ["2 golden rows, 1 answers"]),
        ([], ["2 golden rows, 0 answers"]),
    ],
)
def test_every_answer_that_differs_is_told(answers: list[Prediction], lines: list[str]) -> None:
    assert lines == GOLDEN.differences(answers)


def test_a_tolerance_that_is_no_number_lets_nothing_pass() -> None:
    golden = GOLDEN.model_copy(update={"tolerance": math.nan})

    assert len(golden.differences(golden.expected)) == 2


def test_a_large_file_has_the_digest_of_all_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(content)

    assert digest(content) == bundle.sha256(tmp_path / "large")
