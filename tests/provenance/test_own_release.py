"""What goes with a release of this repository's own model, whose wheels are those of real projects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.local.workplace import Workplace, clone

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def released(seed: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of v1.0.0."""
    place = Workplace(tmp_path_factory.mktemp("released") / "slipway")
    clone(seed, place.root, cache)
    place.run("dvc", "repro", "--quiet")
    if place.git("status", "--porcelain"):
        place.git("commit", "--quiet", "--all", "--message", "Run the pipeline")
    place.run("dvc", "push", "--quiet")
    place.does("release")
    place.does("provenance", "v1.0.0")
    return place.root / ".slipway" / "provenance" / "v1.0.0"


def test_the_bill_lists_every_wheel_of_the_runtime_with_its_licence(released: Path) -> None:
    written = (released / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    record = json.loads((released.parents[2] / "runtime.json").read_text())
    libraries = {
        each["bom-ref"]: each for each in json.loads(written)["components"] if each["type"] == "library"
    }
    assert sorted(libraries) == record["wheels"]
    assert [name for name, each in libraries.items() if not each.get("licenses")] == []


def test_whatever_a_host_installs_is_needed_by_something_that_serves(released: Path) -> None:
    bill = json.loads((released / "sbom.cdx.json").read_text())
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    waiting, reached = ["tumour-screening@v1.0.0"], set[str]()
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [each for each in needs[name] if each not in reached]
    assert reached == set(needs)


def test_the_notes_say_what_the_model_is_made_of(released: Path) -> None:
    told = (released / "notes.md").read_text()
    manifest = json.loads((released / "manifest.json").read_text())
    assert "It is the first release." in told
    assert f"| recall | {manifest['metrics']['validation']['recall']:.4f} |" in told
    assert f"data: sha256 {manifest['inputs']['data']}, of which 398 rows have trained it" in told
