"""A repository with four releases, each of which changes another thing; bundles and runtimes are real ones, and small."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.provenance.wheelwright import NEWER_NUMPY, NUMPY, WHEELS, runtime
from tests.unit.command import slipway
from tests.unit.conftest import ROWS, linear
from tests.unit.workshop import MODEL, NOW, Workshop, hermetic, workshop

from slipway import bundle
from slipway.params import Params
from slipway.pipeline.package import params_digest
from slipway.release.names import ReleaseName
from slipway.scorer import Scorer

__all__ = ["hermetic", "linear", "slipway", "workshop"]

CARD = "# wear\n\nIt answers `worn` or `sound`.\n"
KEY_KINDS: dict[str, tuple[str, ...]] = {
    "ecdsa": ("-t", "ecdsa", "-b", "256", "-N", ""),
    "another": ("-t", "ecdsa", "-b", "256", "-N", ""),
    "p384": ("-t", "ecdsa", "-b", "384", "-N", ""),
    "ed25519": ("-t", "ed25519", "-N", ""),
    "rsa": ("-t", "rsa", "-b", "2048", "-N", ""),
    "pem": ("-t", "ecdsa", "-b", "256", "-m", "PEM", "-N", ""),
    "encrypted": ("-t", "ecdsa", "-b", "256", "-N", "a passphrase"),
}
Keys = Callable[[str], str]


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Private keys as `ssh-keygen` makes them, by kind; made once."""
    folder = tmp_path_factory.getbasetemp() / "keys"
    folder.mkdir(exist_ok=True)

    def key(kind: str) -> str:
        file = folder / kind
        if not file.exists():
            subprocess.run(["ssh-keygen", "-q", *KEY_KINDS[kind], "-C", kind, "-f", str(file)], check=True)
        return file.read_text()

    return key


@pytest.fixture(autouse=True)
def without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_SIGNING_KEY", raising=False)


class Desk(Workshop):
    """The workshop, with a pipeline that hands on what is put into `source`."""

    def put(
        self,
        model: bytes,
        wheels: Mapping[str, str],
        data: str,
        rows: int,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        """Lay ready what the pipeline hands on.

        Args:
            model: `model.onnx`.
            wheels: What hosts install.
            data: Its digest.
            rows: Of training.
            changes: Parameters, as `train.seed`.
        """
        self.set(changes or {})
        settings = self.settings
        tar, listing = bundle.pack(MODEL, _contents(model, settings, rows))
        packed, record = runtime(wheels)
        manifest = {
            **listing.model_dump(),
            "bundle": {"sha256": sha256(tar).hexdigest(), "bytes": len(tar)},
            "contract": settings.contract.digest,
            "inputs": {
                "data": data,
                "lock": sha256(b"version = 1\n").hexdigest(),
                "params": params_digest(settings),
            },
        }
        (self.root / "source" / "bundle.tar").write_bytes(tar)
        (self.root / "source" / "model.onnx").write_bytes(model)
        (self.root / "source" / "runtime.tar").write_bytes(packed)
        self.write({"source/manifest.json": json.dumps(manifest, indent=1), "source/runtime.json": record})

    def set(self, changes: Mapping[str, Any]) -> None:
        yaml = YAML()
        read = yaml.load((self.root / "params.yaml").read_text())
        for path, value in changes.items():
            *sections, name = path.split(".")
            section = read
            for each in sections:
                section = section[each]
            section[name] = value
        with (self.root / "params.yaml").open("w") as file:
            yaml.dump(read, file)

    def tagged(self, day: int) -> ReleaseName:
        self.reproduce()
        self.commit()
        return self.release(now=NOW + timedelta(days=day))


def _contents(model: bytes, settings: Params, rows: int) -> dict[str, bytes]:
    scorer = Scorer(model, settings.contract)
    answers = [scorer.predict([row])[0] for row in ROWS]
    return {
        bundle.MODEL: model,
        bundle.CONTRACT: settings.contract.to_json().encode(),
        bundle.GOLDEN: json.dumps({"tolerance": 1e-9, "rows": ROWS, "expected": answers}).encode(),
        bundle.REFERENCE: json.dumps({"rows": rows}).encode(),
        bundle.CARD: CARD.encode(),
    }


def _stages(text: str) -> str:
    """The workshop's dvc.yaml, but bundle and runtime are what lies in `source`."""
    pipeline = YAML(typ="safe", pure=True).load(text)
    for stage, object_, record in (("package", "bundle", "manifest"), ("runtime", "runtime", "runtime")):
        sources = [f"source/{object_}.tar", f"source/{record}.json"]
        pipeline["stages"][stage] |= {
            "cmd": f"cp {sources[0]} artifacts/{object_}.tar && cp {sources[1]} {record}.json",
            "deps": sources,
        }
    return json.dumps(pipeline)


@pytest.fixture
def desk(workshop: Workshop, linear: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """v1.0.0; v1.1.0 with another model; v2.0.0 with other data and a narrower contract; v2.0.1 with a newer package."""
    template = tmp_path_factory.getbasetemp() / "desk"
    if not template.exists():
        _make(Desk(workshop.root), linear)
        shutil.copytree(workshop.root, template, symlinks=True)
    shutil.rmtree(workshop.root)
    shutil.copytree(template, workshop.root, symlinks=True)
    return Desk(workshop.root)


def _make(desk: Desk, linear: Callable[..., bytes]) -> None:
    desk.write({"dvc.yaml": _stages((desk.root / "dvc.yaml").read_text()), "uv.lock": "version = 1\n"})
    old, new = linear(), linear(bias=-0.2)
    desk.put(old, WHEELS, "a" * 64, 300)
    desk.tagged(0)
    metrics = json.loads((desk.root / "source" / "metrics.json").read_text())
    metrics["validation"] |= {"recall": 0.97, "accuracy": 0.94}
    desk.write({"source/metrics.json": json.dumps(metrics, indent=1)})
    desk.put(new, WHEELS, "a" * 64, 300, {"train.seed": 2})
    desk.tagged(1)
    narrower = {"type": "number", "maximum": 10}
    desk.put(new, WHEELS, "b" * 64, 400, {"contract.columns.depth": narrower})
    desk.tagged(2)
    wheels = {file: said for file, said in WHEELS.items() if file != NUMPY[0]} | dict([NEWER_NUMPY])
    desk.put(new, wheels, "b" * 64, 400)
    desk.tagged(3)
    assert desk.tags == [f"{MODEL}@v{version}" for version in ("1.0.0", "1.1.0", "2.0.0", "2.0.1")]


@pytest.fixture
def provided(desk: Desk, tmp_path: Path) -> Callable[..., Path]:
    """Writes what goes with a release; the folder."""
    from slipway.provenance import folder  # noqa: PLC0415 - takes a second to import

    def provide(label: str, out: str = "out") -> Path:
        return folder.write(desk.repository, ReleaseName.parse(label, MODEL), tmp_path / out).folder

    return provide


Provided = Callable[..., Path]
