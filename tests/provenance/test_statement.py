"""The statement of origin, read by the reference implementation of its standards."""

import json
from hashlib import sha256

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message
from tests.provenance.conftest import Desk, Provided


@pytest.mark.parametrize("label", ["v1.0.0", "v2.0.1"])
def test_it_is_what_both_standards_say(provided: Provided, label: str) -> None:
    written = json.loads((provided(label) / "statement.intoto.json").read_text())
    Statement.copy_from_pb(ParseDict(written, Message())).validate()
    assert written["predicateType"] == "https://slsa.dev/provenance/v1"
    # Fields that the standard does not know are refused.
    predicate = ParseDict(written["predicate"], Provenance())
    assert predicate.build_definition.build_type
    assert predicate.run_details.builder.id


def test_it_names_the_bytes_that_were_made_and_everything_that_they_were_made_of(
    provided: Provided, desk: Desk
) -> None:
    folder = provided("v1.1.0")
    written = json.loads((folder / "statement.intoto.json").read_text())
    commit = desk.git("rev-parse", "wear@v1.1.0^{commit}")
    files = {name: f"{desk.git('show', f'{commit}:{name}')}\n".encode() for name in ("dvc.lock", "uv.lock")}
    manifest = json.loads((folder / "manifest.json").read_text())
    runtime = json.loads(desk.git("show", f"{commit}:runtime.json"))
    assert written["subject"] == [
        {
            "name": "bundle.tar",
            "digest": {"sha256": sha256((folder / "bundle.tar").read_bytes()).hexdigest()},
        },
        {"name": "runtime.tar", "digest": {"sha256": runtime["sha256"]}},
    ]
    definition = written["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"model": "wear", "release": "v1.1.0", "tag": "wear@v1.1.0"}
    assert {each["name"]: each["digest"] for each in definition["resolvedDependencies"]} == {
        "commit": {"gitCommit": commit},
        "dvc.lock": {"sha256": sha256(files["dvc.lock"]).hexdigest()},
        "uv.lock": {"sha256": sha256(files["uv.lock"]).hexdigest()},
        "data": {"sha256": "a" * 64},
        "parameters": {"sha256": manifest["inputs"]["params"]},
    }


def test_metrics_go_with_the_manifest_s_digest(provided: Provided) -> None:
    folder = provided("v1.1.0")
    written = json.loads((folder / "statement.intoto.json").read_text())
    (record,) = written["predicate"]["runDetails"]["byproducts"]
    assert record["name"] == "manifest.json"
    assert record["digest"]["sha256"] == sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert record["annotations"]["metrics"]["validation"]["recall"] == 0.97
