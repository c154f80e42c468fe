"""Release notes: what a user must do, how good the model is, and how a download is checked."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.provenance.conftest import Desk, Provided


def sections(folder: Path) -> dict[str, str]:
    """The notes, by heading; what is above the first, by none."""
    above, *parts = (folder / "notes.md").read_text().split("\n## ")
    return {"": above} | {head: body.strip() for head, _, body in (part.partition("\n") for part in parts)}


def test_the_first_release_says_so_and_compares_nothing(provided: Provided, desk: Desk) -> None:
    told = sections(provided("v1.0.0"))
    commit = desk.git("rev-parse", "wear@v1.0.0^{commit}")
    assert told[""].splitlines() == [
        "# wear v1.0.0",
        "",
        "Says which bearings are worn.",
        "",
        f"Tag `wear@v1.0.0` of 2026-06-01, on commit `{commit}`. It is the first release.",
    ]
    assert list(told)[1:] == [
        "What you must do", "How good it is", "What it is made of", "Check what you have downloaded",
    ]  # fmt: skip
    assert told["How good it is"].splitlines()[2:] == [
        "| accuracy | 0.9500 |", "| recall | 0.9500 |", "| roc auc | 0.9800 |",
    ]  # fmt: skip
    assert told["What it is made of"].splitlines() == [
        f"- data: sha256 {'a' * 64}, of which 300 rows have trained it",
        "- contract: 2 columns; it answers worn or sound",
        "- runtime: 7 packages, which sbom.cdx.json lists",
    ]


def test_another_model_is_compared_and_asks_nothing_of_callers(provided: Provided) -> None:
    told = sections(provided("v1.1.0"))
    assert "The release before is v1.0.0." in told[""]
    assert told["What you must do"] == (
        "Nothing: what v1.0.0 accepts is accepted, and the answers have the same form. "
        "Of the 3 golden rows in v1.0.0's bundle, 1 are decided otherwise now."
    )
    assert told["How good it is"].splitlines() == [
        "| on validation | v1.0.0 | v1.1.0 | difference |",
        "| --- | --- | --- | --- |",
        "| accuracy | 0.9500 | 0.9400 | -0.0100 |",
        "| recall | 0.9500 | 0.9700 | +0.0200 |",
        "| roc auc | 0.9800 | 0.9800 | +0.0000 |",
        "",
        "Both were measured on the same rows. A small difference may be chance.",
    ]
    assert told["Data"].splitlines()[1] == "- the same as v1.0.0's"
    assert told["Contract"] == "The same: 2 columns."
    assert told["Runtime"] == "The same."
    assert told["Made otherwise"] == r"- train.seed: 1 -\> 2"


def test_a_contract_that_breaks_callers_says_what_they_must_change(provided: Provided) -> None:
    told = sections(provided("v2.0.0"))
    assert told["What you must do"].splitlines() == [
        "**Change what you send or how you read the answers before you call it**, since v1.1.0:",
        "",
        "- column depth: maximum 10, was none",
    ]
    assert told["Contract"] == "- breaks callers: column depth: maximum 10, was none"
    assert told["Data"].splitlines() == [
        f"- sha256 {'b' * 64}",
        f"- changed: v1.1.0's was {'a' * 64}",
        "- 400 rows of it have trained the model, before 300",
    ]


def test_a_contract_that_allows_more_asks_nothing_and_is_told(
    desk: Desk, provided: Provided, linear: Callable[..., bytes]
) -> None:
    wider = {"type": "number", "maximum": 20}
    desk.put(linear(bias=0.1), {}, "c" * 64, 400, {"contract.columns.depth": wider, "split.seed": 3})
    desk.tagged(4)
    told = sections(provided("v3.0.0"))
    assert told["What you must do"].startswith("Nothing: what v2.0.1 accepts is accepted")
    assert told["Contract"] == "- column depth: maximum 20, was 10"
    assert told["How good it is"].endswith(
        "Each was measured on rows of its own: a difference may come from the rows, and not from the model."
    )
    assert "- numpy is gone" in told["Runtime"].splitlines()


def test_another_runtime_is_told_by_its_packages_and_the_answers_stay(provided: Provided) -> None:
    told = sections(provided("v2.0.1"))
    assert told["What you must do"] == (
        "Nothing. It is the model of v2.0.0, byte for byte, and answers the same."
    )
    assert told["How good it is"].endswith("The model is the same.")
    assert told["Runtime"].splitlines() == ["Another one:", "", "- numpy 2.5.0, was 2.4.6"]


def test_a_release_that_is_made_later_of_an_older_version_changes_no_notes(
    desk: Desk, provided: Provided
) -> None:
    before = (provided("v1.1.0", "before") / "notes.md").read_text()
    desk.git("checkout", "--quiet", "wear@v1.0.0")
    (desk.root / "note.txt").write_text("a hotfix\n")
    desk.commit()
    desk.reproduce()
    desk.release("v1.0.1")
    assert (provided("v1.1.0", "after") / "notes.md").read_text() == before
    assert "The release before is v1.0.0." in sections(provided("v1.0.1", "hotfix"))[""]


def test_what_others_wrote_is_no_markup(desk: Desk, provided: Provided) -> None:
    model = (desk.root / "source" / "model.onnx").read_bytes()
    desk.put(model, {}, "c" * 64, 400, {"model.description": "See <img src=x> [here](http://example.org)"})
    desk.tagged(4)
    told = sections(provided("v2.0.2"))
    assert told[""].splitlines()[2] == r"See \<img src=x\> \[here\](http://example.org)"


def test_the_commands_to_check_a_download_work_as_they_are_written(provided: Provided) -> None:
    folder = provided("v1.1.0")
    command = sections(folder)["Check what you have downloaded"].split("```bash\n")[1].split("```")[0]
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "bundle.tar: OK\n", "")
    assert (folder / "bundle" / "model.onnx").is_file()
    (folder / "bundle.tar").write_bytes(b"another model")
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bundle.tar: FAILED" in done.stdout
