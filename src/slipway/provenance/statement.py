"""The statement of a release's origin: in-toto's Statement v1 with SLSA's Provenance v1, unsigned.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.1/provenance
"""

import hashlib
import json
from typing import Any

from slipway.provenance.source import BUNDLE, MANIFEST, PARAMETERS, RUNTIME, Release
from slipway.release.pins import Pin

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"
_PIPELINE = "urn:slipway:pipeline:1"
"""What was built how: `dvc repro` on the commit, as its dvc.yaml says."""
_BUILDER = "urn:slipway:builder:unattested"
"""Nobody vouches for the machine that ran it: whoever signs this says who they are, and `slipway verify` rebuilds it."""

_PARAMETERS = "what of params.yaml shapes the bundle, as JSON with sorted keys"


def write(found: Release) -> str:
    """The statement as JSON; it ends with a line feed."""
    statement = {
        "_type": _STATEMENT,
        "subject": [_object(BUNDLE, found.pins.bundle), _object(RUNTIME, found.pins.runtime)],
        "predicateType": _PREDICATE,
        "predicate": {"buildDefinition": _definition(found), "runDetails": _details(found)},
    }
    return json.dumps(statement, indent=2) + "\n"


def _definition(found: Release) -> dict[str, Any]:
    commit = {"name": "commit", "digest": {"gitCommit": found.pins.commit}}
    made_from = [
        {"name": name, "digest": {"sha256": digest}}
        | ({"annotations": {"of": _PARAMETERS}} if name == PARAMETERS else {})
        for name, digest in found.inputs.items()
    ]
    return {
        "buildType": _PIPELINE,
        "externalParameters": {"model": found.name.model, "release": found.name.label, "tag": found.name.tag},
        "resolvedDependencies": [commit, *made_from],
    }


def _details(found: Release) -> dict[str, Any]:
    """Who, and what else came of it: the manifest by its digest, and what the pipeline measured."""
    record = {
        "name": MANIFEST,
        "digest": {"sha256": hashlib.sha256(found.manifest).hexdigest()},
        "annotations": {"metrics": found.pins.metrics},
    }
    return {
        "builder": {"id": _BUILDER},
        "byproducts": [record],
    }


def _object(name: str, pin: Pin) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": pin.sha256}}
