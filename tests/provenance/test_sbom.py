"""The bill of materials: every wheel, the model, what needs what, and nothing that differs from run to run."""

import json
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.provenance.conftest import Desk, Provided
from tests.provenance.wheelwright import NUMPY, SERVER, SLIPWAY, WHEELS, wheel

from slipway.bundle import tar
from slipway.errors import Refused
from slipway.provenance import wheels


@pytest.fixture
def bill(provided: Provided) -> dict[str, Any]:
    return read(provided("v1.0.0"))


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sbom.cdx.json").read_text()))


def component(bill: dict[str, Any], reference: str) -> dict[str, Any]:
    (found,) = [each for each in bill["components"] if each["bom-ref"] == reference]
    return dict(found)


@pytest.mark.parametrize("label", ["v1.0.0", "v1.1.0", "v2.0.0", "v2.0.1"])
def test_it_is_strictly_what_the_standard_says(provided: Provided, label: str) -> None:
    written = (provided(label) / "sbom.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(written) is None
    wrong = json.loads(written)
    wrong["components"][0]["kind"] = "model"
    assert validator.validate_str(json.dumps(wrong)) is not None


def test_every_wheel_is_there_by_its_name_its_digest_and_its_address(bill: dict[str, Any]) -> None:
    libraries = {each["bom-ref"] for each in bill["components"] if each["type"] == "library"}
    assert libraries == set(WHEELS)
    numpy = component(bill, NUMPY[0])
    assert (numpy["name"], numpy["version"], numpy["description"]) == ("numpy", "2.4.6", "Arrays")
    assert numpy["purl"] == f"pkg:pypi/numpy@2.4.6?file_name={NUMPY[0]}"
    assert numpy["hashes"] == [{"alg": "SHA-256", "content": sha256(wheel(*NUMPY)).hexdigest()}]
    assert component(bill, SERVER[0])["name"] == "server-thing", "as package indexes write it"


def test_our_own_wheel_is_not_taken_for_one_of_the_same_name_in_an_index(bill: dict[str, Any]) -> None:
    assert component(bill, SLIPWAY[0])["purl"].startswith("pkg:generic/slipway@0.1.0")


@pytest.mark.parametrize(
    ("file", "licences"),
    [
        (NUMPY[0], [{"expression": "BSD-3-Clause AND MIT"}]),
        (SERVER[0], [{"license": {"id": "MIT"}}]),
        ("quick-3.0-py3-none-any.whl", [{"license": {"name": "MIT License"}}]),
        ("backport-1.0-py3-none-any.whl", [{"license": {"name": "Apache 2.0"}}]),
        ("colour-1.0-py3-none-any.whl", None),
        ("posix_only-1.0-py3-none-any.whl", None),
    ],
)
def test_licences_are_told_where_a_wheel_tells_them(bill: dict[str, Any], file: str, licences: Any) -> None:
    found = component(bill, file).get("licenses")
    assert [{key: each[key]} for each in found or [] for key in each if key != "acknowledgement"] == (
        licences or []
    )


def test_a_wheel_needs_what_its_metadata_ask_for_on_a_host(bill: dict[str, Any]) -> None:
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert needs["wear@v1.0.0"] == [SLIPWAY[0], "wear@v1.0.0/model"]
    assert needs[SLIPWAY[0]] == [NUMPY[0], SERVER[0]]
    # `quick` by the extra that is asked for; neither `colour`, of another one, nor a backport for an older Python.
    assert needs[SERVER[0]] == ["posix_only-1.0-py3-none-any.whl", "quick-3.0-py3-none-any.whl"]
    assert set(needs) == {*WHEELS, "wear@v1.0.0", "wear@v1.0.0/model"}


def test_the_model_is_a_component_with_what_its_card_says(bill: dict[str, Any], desk: Desk) -> None:
    model = component(bill, "wear@v1.0.0/model")
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "wear", "v1.0.0")
    manifest = json.loads(desk.git("show", "wear@v1.0.0:manifest.json"))
    assert model["hashes"] == [{"alg": "SHA-256", "content": manifest["bundle"]["sha256"]}]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    card = model["modelCard"]
    assert card["modelParameters"]["architectureFamily"] == "logistic_regression"
    assert card["modelParameters"]["datasets"] == [{"type": "dataset", "name": f"sha256:{'a' * 64}"}]
    assert card["modelParameters"]["inputs"] == [{"format": "width: number"}, {"format": "depth: number"}]
    assert card["modelParameters"]["outputs"] == [{"format": "state: worn or sound"}]
    measured = card["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "recall", "value": "0.95", "slice": "validation"} in measured


def test_its_number_and_date_are_the_release_s(provided: Provided) -> None:
    bills = [read(provided(label, label)) for label in ("v1.0.0", "v1.1.0")]
    assert bills[0]["metadata"]["timestamp"] == "2026-06-01T12:00:00+00:00"
    assert len({bill["serialNumber"] for bill in bills}) == 2


def test_several_platforms_have_a_wheel_each(tmp_path: Path) -> None:
    other = NUMPY[0].replace("x86_64", "aarch64")
    needy = ("needy-1.0-py3-none-any.whl", "Requires-Dist: numpy; platform_machine == 'aarch64'")
    file = tmp_path / "runtime.tar"
    file.write_bytes(tar({f"wheels/{name}": wheel(name, said) for name, said in (NUMPY, (other, ""), needy)}))
    found = wheels.read(file)
    assert [each.file for each in found] == [needy[0], other, NUMPY[0]]
    machines = [{"platform_machine": name} for name in ("x86_64", "aarch64")]
    assert wheels.graph(found, machines)[needy[0]] == [other, NUMPY[0]]
    assert wheels.graph(found, machines[:1])[needy[0]] == []


def _zip(*names: str) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "Name: x\n")
    return written.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"no tar",
        tar({"wheels/x-1.0-py3-none-any.whl": b"no zip"}),
        tar({"wheels/x-1.0-py3-none-any.whl": _zip("x/__init__.py")}),
        tar({"wheels/x.whl": _zip("x-1.0.dist-info/METADATA")}),
        tar({"wheels/x-1.0-py3-none-any.whl": wheel("x-1.0-py3-none-any.whl", "Requires-Dist: >>>")}),
    ],
)
def test_what_is_no_runtime_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "runtime.tar").write_bytes(content)
    with pytest.raises(Refused, match="is not a runtime"):
        wheels.read(tmp_path / "runtime.tar")
