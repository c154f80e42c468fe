import hashlib
import json
from pathlib import Path

import pytest
from tests.unit.workshop import MODEL, Workshop

from slipway.errors import InputError
from slipway.release import pins


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def test_a_commit_pins_the_bytes_that_the_pipeline_made(workshop: Workshop) -> None:
    found, root = pins.at(workshop.repository, "HEAD", MODEL), workshop.root
    for pin, path in (
        (found.bundle, "artifacts/bundle.tar"),
        (found.runtime, "artifacts/runtime.tar"),
        (found.acceptance, "data/acceptance.parquet"),
    ):
        assert (pin.path, pin.md5) == (path, md5(root / path))
    assert found.bundle.sha256 == sha256(root / "artifacts/bundle.tar")
    assert found.runtime.sha256 == sha256(root / "artifacts/runtime.tar")
    assert found.acceptance.sha256 is None
    assert found.commit == workshop.git("rev-parse", "HEAD")
    assert found.model == sha256(root / "source/model.txt")
    assert found.contract == sha256(root / "source/contract.txt")
    assert found.metrics == json.loads((root / "reports/metrics.json").read_text())


def test_what_a_runtime_installs_is_told_where_the_pipeline_has_written_it_down(workshop: Workshop) -> None:
    assert pins.in_work_tree(workshop.repository, MODEL).wheels == ()
    record = json.loads((workshop.root / "runtime.json").read_text())
    workshop.write({"runtime.json": json.dumps(record | {"wheels": ["one.whl", "two.whl"]})})
    assert pins.in_work_tree(workshop.repository, MODEL).wheels == ("one.whl", "two.whl")


def test_an_older_revision_pins_what_it_pinned(workshop: Workshop) -> None:
    before = pins.at(workshop.repository, "HEAD", MODEL)
    workshop.git("tag", "--annotate", "--message", "x", "wear@v1.0.0")
    workshop.train(model="model 2", serving="serving 2")
    after = pins.at(workshop.repository, "HEAD", MODEL)
    assert pins.at(workshop.repository, "wear@v1.0.0", MODEL) == before
    assert pins.at(workshop.repository, "HEAD~1", MODEL) == before
    assert (after.model, after.bundle, after.runtime) != (before.model, before.bundle, before.runtime)
    assert (after.contract, after.acceptance) == (before.contract, before.acceptance)


def test_the_work_tree_pins_what_is_not_committed_yet(workshop: Workshop) -> None:
    committed = pins.at(workshop.repository, "HEAD", MODEL)
    assert pins.in_work_tree(workshop.repository, MODEL) == committed
    workshop.write({"source/model.txt": "model 2\n"})
    workshop.reproduce(push=False)
    found = pins.in_work_tree(workshop.repository, MODEL)
    assert found.bundle.sha256 == sha256(workshop.root / "artifacts/bundle.tar") != committed.bundle.sha256
    assert found.commit == committed.commit


def test_a_revision_that_is_not_there_is_named(workshop: Workshop) -> None:
    with pytest.raises(InputError) as caught:
        pins.at(workshop.repository, "wear@v9.0.0", MODEL)
    assert str(caught.value) == "there is no revision wear@v9.0.0"


@pytest.mark.parametrize(
    "lacking", ["dvc.yaml", "dvc.lock", "manifest.json", "runtime.json", "reports/metrics.json"]
)
def test_a_revision_without_a_needed_file_names_it(workshop: Workshop, lacking: str) -> None:
    workshop.git("rm", "--quiet", lacking)
    workshop.commit()
    with pytest.raises(InputError) as caught:
        pins.at(workshop.repository, "HEAD", MODEL)
    assert str(caught.value) == f"HEAD has no {lacking}\n  next: dvc repro"


@pytest.mark.parametrize("lacking", ["dvc.lock", "manifest.json"])
def test_a_work_tree_without_a_needed_file_names_it(workshop: Workshop, lacking: str) -> None:
    (workshop.root / lacking).unlink()
    with pytest.raises(InputError) as caught:
        pins.in_work_tree(workshop.repository, MODEL)
    assert str(caught.value) == f"the work tree has no {lacking}\n  next: dvc repro"


@pytest.mark.parametrize(
    "lacking", ["wear", "runtime", "acceptance", "manifest", "runtime-record", "metrics"]
)
def test_a_revision_that_declares_no_such_artefact_names_it(workshop: Workshop, lacking: str) -> None:
    lines = (workshop.root / "dvc.yaml").read_text().splitlines(keepends=True)
    workshop.write(
        {"dvc.yaml": "".join(line for line in lines if not line.startswith(f"  {lacking}: {{path"))}
    )
    workshop.commit()
    with pytest.raises(InputError) as caught:
        pins.at(workshop.repository, "HEAD", MODEL)
    assert str(caught.value) == f"HEAD: dvc.yaml declares no artefact {lacking!r}"


def test_an_artefact_that_the_lock_does_not_pin_is_named(workshop: Workshop) -> None:
    text = (workshop.root / "dvc.yaml").read_text()
    workshop.write({"dvc.yaml": text.replace("{path: artifacts/runtime.tar}", "{path: artifacts/other.tar}")})
    workshop.commit()
    with pytest.raises(InputError) as caught:
        pins.at(workshop.repository, "HEAD", MODEL)
    assert str(caught.value) == "HEAD: dvc.lock does not pin artifacts/other.tar\n  next: dvc repro"


@pytest.mark.parametrize("file", ["dvc.yaml", "dvc.lock", "manifest.json"])
def test_a_merge_conflict_that_was_committed_is_named(workshop: Workshop, file: str) -> None:
    text = (workshop.root / file).read_text()
    workshop.write({file: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"})
    workshop.commit()
    with pytest.raises(InputError, match=rf"^HEAD: {file} cannot be read: "):
        pins.at(workshop.repository, "HEAD", MODEL)


def test_an_empty_lock_pins_nothing(workshop: Workshop) -> None:
    workshop.write({"dvc.lock": ""})
    workshop.commit()
    with pytest.raises(InputError) as caught:
        pins.at(workshop.repository, "HEAD", MODEL)
    assert str(caught.value) == "HEAD: dvc.lock does not pin artifacts/bundle.tar\n  next: dvc repro"


@pytest.mark.parametrize(
    "written",
    ["../../../../id_rsa", "5", "null", "'" + "0" * 31 + "'", "'" + "A" * 32 + "'", "'" + "0" * 32 + "\\n'"],
)
def test_an_address_that_would_lead_out_of_the_cache_is_none(workshop: Workshop, written: str) -> None:
    lock, found = workshop.root / "dvc.lock", workshop.pins.acceptance
    text = lock.read_text()
    assert f"md5: {found.md5}" in text
    workshop.write({"dvc.lock": text.replace(f"md5: {found.md5}", f"md5: {written}")})
    workshop.commit()
    with pytest.raises(
        InputError, match=r"^HEAD: .* is not as the pipeline writes it: .* is no digest"
    ) as caught:
        pins.at(workshop.repository, "HEAD", MODEL)
    assert caught.value.next_command == "dvc repro --force"


@pytest.mark.parametrize("written", [None, 5, "", "0" * 63, "g" * 64, ["0" * 64]])
@pytest.mark.parametrize("file", ["manifest.json", "runtime.json"])
def test_what_the_bytes_of_a_release_must_hash_to_is_a_digest(
    workshop: Workshop, file: str, written: object
) -> None:
    record = json.loads((workshop.root / file).read_text())
    (record["bundle"] if file == "manifest.json" else record)["sha256"] = written
    workshop.write({file: json.dumps(record)})
    with pytest.raises(InputError, match=r"^the work tree: .* is no digest"):
        pins.in_work_tree(workshop.repository, MODEL)


@pytest.mark.parametrize(
    "change",
    [
        {"train": None},
        {"validation": {}},
        {"validation": ["accuracy", "recall", "false_negative_rate", "roc_auc"]},
        {"baseline": {"roc_auc": "0.5"}},
        {"baseline": {"roc_auc": None}},
        {"baseline": {"roc_auc": True}},
        {"other": 5},
    ],
    ids=str,
)
def test_metrics_that_no_gate_could_read_are_named(workshop: Workshop, change: dict[str, object]) -> None:
    metrics = json.loads((workshop.root / "reports/metrics.json").read_text()) | change
    workshop.write({"reports/metrics.json": json.dumps(metrics)})
    with pytest.raises(InputError, match="is not as the pipeline writes it") as caught:
        pins.in_work_tree(workshop.repository, MODEL)
    assert caught.value.next_command == "dvc repro --force"


def test_metrics_without_any_say_what_they_lack(workshop: Workshop) -> None:
    workshop.write({"reports/metrics.json": "{}"})
    with pytest.raises(InputError, match="the metrics of train lack accuracy"):
        pins.in_work_tree(workshop.repository, MODEL)


@pytest.mark.parametrize("file", ["dvc.yaml", "dvc.lock", "manifest.json", "reports/metrics.json"])
def test_what_is_nested_too_deeply_is_named(workshop: Workshop, file: str) -> None:
    workshop.write({file: "[" * 200_000})
    with pytest.raises(InputError, match=rf"^the work tree: {file} cannot be read: "):
        pins.in_work_tree(workshop.repository, MODEL)
