"""The bill of materials of a release: what hosts install, and the model, as CycloneDX 1.6."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from slipway.pipeline.runtime import PYTHON
from slipway.provenance import wheels
from slipway.provenance.source import Release
from slipway.provenance.wheels import Wheel

_OURS = "slipway"
"""The wheel that a release builds itself; it is in no package index, where another may have its name."""


def write(found: Release) -> str:
    """The bill as JSON, the same for the same release; it ends with a line feed."""
    files = wheels.read(found.runtime_file)
    components = {wheel.file: _wheel(wheel) for wheel in files}
    model = _model(found)
    whole = Component(
        type=ComponentType.APPLICATION, name=found.name.model, version=found.name.label, bom_ref=found.name.tag,
        description=f"{found.name.model} as it is served: the model, and what hosts install to serve it",
    )  # fmt: skip
    needs = wheels.graph(files, list(_hosts(found)))
    ours = [components[wheel.file] for wheel in files if wheel.name == _OURS]
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{found.pins.bundle.sha256}/{found.pins.runtime.sha256}/{found.name.tag}"),
        metadata=BomMetaData(timestamp=found.tag.at.astimezone(UTC), component=whole),
        components=[model, *components.values()],
        dependencies=[
            _dependency(whole, [model, *ours]),
            _dependency(model, []),
            *(_dependency(components[file], (components[each] for each in needed)) for file, needed in needs.items()),
        ],
    )  # fmt: skip
    written = json.loads(JsonV1Dot6(bom).output_as_string())
    for component in written["components"]:
        if component["bom-ref"] == str(model.bom_ref):
            # The library knows no model cards yet.
            component["modelCard"] = _card(found)
    return json.dumps(written, indent=2) + "\n"


def _hosts(found: Release) -> Iterable[Mapping[str, str]]:
    """The hosts that wheels are for, as PEP 508 describes them: whatever machine this is."""
    for platform in found.settings.runtime.platforms:
        match = re.fullmatch(r"manylinux_\d+_\d+_(\w+)", platform)
        yield {
            "implementation_name": "cpython", "implementation_version": f"{PYTHON}.0", "os_name": "posix",
            "platform_machine": match[1] if match else "", "platform_python_implementation": "CPython",
            "platform_release": "", "platform_system": "Linux", "platform_version": "",
            "python_full_version": f"{PYTHON}.0", "python_version": PYTHON, "sys_platform": "linux",
        }  # fmt: skip


def _dependency(of: Component, on: Iterable[Component]) -> Dependency:
    return Dependency(of.bom_ref, [Dependency(each.bom_ref) for each in on])


def _wheel(wheel: Wheel) -> Component:
    kind = "generic" if wheel.name == _OURS else "pypi"
    name = PackageURL(type=kind, name=wheel.name, version=wheel.version, qualifiers={"file_name": wheel.file})
    return Component(
        type=ComponentType.LIBRARY, name=wheel.name, version=wheel.version, bom_ref=wheel.file, purl=name,
        description=wheel.summary or None, hashes=[_sha256(wheel.sha256)], licenses=_licences(wheel.licences),
    )  # fmt: skip


def _model(found: Release) -> Component:
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL, name=found.name.model, version=found.name.label,
        bom_ref=f"{found.name.tag}/model", description=found.settings.model.description,
        hashes=[_sha256(str(found.pins.bundle.sha256))], licenses=_licences((found.settings.model.license,)),
    )  # fmt: skip


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _licences(words: tuple[str, ...]) -> list[License]:
    """One expression, or any number of licences by name."""
    if len(words) == 1:
        return [LicenseFactory().make_from_string(words[0])]
    return [DisjunctiveLicense(name=each) for each in words]


def _card(found: Release) -> dict[str, Any]:
    """What the model card says, for programs."""
    contract = found.bundle.contract
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "tabular-classification",
            "architectureFamily": found.settings.train.estimator,
            "datasets": [{"type": "dataset", "name": f"sha256:{found.pins.data}"}] if found.pins.data else [],
            "inputs": [{"format": f"{name}: {column.type}"} for name, column in contract.columns.items()],
            "outputs": [
                {
                    "format": f"{contract.target.column}: {contract.target.positive} or {contract.target.negative}"
                }
            ],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": name, "value": repr(value), "slice": part}
                for part, values in found.pins.metrics.items()
                for name, value in values.items()
            ]
        },
    }
