"""Equal inputs give equal bytes: in another folder, time zone and umask, and under another hash seed."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from slipway.params import Params
from slipway.pipeline.stage import write_frame

from .conftest import ESTIMATORS, ROOT, Checkout

TRAIN_IN_EACH_FOLDER = """
import os, sys
from slipway.pipeline import train
for folder in sys.argv[1:]:
    os.chdir(folder)
    train.main(["train.parquet", "validation.parquet", "model.onnx", "parity.json"])
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("artefact", ["bundle", "runtime"])
def test_two_clones_make_the_same_artefact(reproduced: tuple[Checkout, Checkout], artefact: str) -> None:
    one, other = (digest(checkout.root / f"artifacts/{artefact}.tar") for checkout in reproduced)

    assert one == other


@pytest.mark.parametrize("record", ["manifest.json", "runtime.json", "dvc.lock", "reports/metrics.json"])
def test_two_clones_write_the_same_records(reproduced: tuple[Checkout, Checkout], record: str) -> None:
    one, other = ((checkout.root / record).read_text() for checkout in reproduced)

    assert one == other


def test_the_records_name_the_artefacts_that_were_made(reproduced: tuple[Checkout, Checkout]) -> None:
    root = reproduced[1].root

    assert json.loads((root / "manifest.json").read_text())["bundle"]["sha256"] == digest(
        root / "artifacts/bundle.tar"
    )
    assert json.loads((root / "runtime.json").read_text())["sha256"] == digest(root / "artifacts/runtime.tar")


def test_the_two_clones_were_unlike(reproduced: tuple[Checkout, Checkout]) -> None:
    one, other = reproduced

    assert one.hash_seed != other.hash_seed
    assert one.root.parent != other.root.parent
    assert [(checkout.root / "manifest.json").stat().st_mode & 0o777 for checkout in reproduced] == [
        0o644,
        0o600,
    ]


def test_each_clone_has_made_all_of_its_artefacts_itself(reproduced: tuple[Checkout, Checkout]) -> None:
    for checkout in reproduced:
        locked = YAML(typ="safe", pure=True).load((checkout.root / "dvc.lock").read_text())["stages"]
        outs = [out for stage in locked.values() for out in stage.get("outs", [])]
        large = [out["md5"] for out in outs if out["path"].startswith(("data/", "artifacts/"))]

        assert len(large) == 7
        for md5 in large:
            assert (checkout.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).is_file()


@pytest.fixture(scope="module")
def trained(
    mixed: pd.DataFrame,
    mixed_settings: Callable[[str], Params],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[bytes]]:
    """By estimator, the model of the mixed problem under two hash seeds."""
    folders: dict[str, list[Path]] = {}
    processes = []
    for seed in ("1", "2"):
        for estimator in ESTIMATORS:
            folder = tmp_path_factory.mktemp(f"{estimator}-{seed}")
            (folder / "params.yaml").write_text(mixed_settings(estimator).model_dump_json())
            write_frame(folder / "train.parquet", mixed.iloc[:300])
            write_frame(folder / "validation.parquet", mixed.iloc[300:])
            folders.setdefault(seed, []).append(folder)
        command = [sys.executable, "-c", TRAIN_IN_EACH_FOLDER, *map(str, folders[seed])]
        processes.append(subprocess.Popen(command, env=Checkout(ROOT, seed).environment))
    assert [process.wait() for process in processes] == [0, 0]
    return {
        estimator: [(folders[seed][position] / "model.onnx").read_bytes() for seed in folders]
        for position, estimator in enumerate(ESTIMATORS)
    }


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_hash_seed_does_not_reach_the_model(trained: dict[str, list[bytes]], estimator: str) -> None:
    one, other = trained[estimator]

    assert hashlib.sha256(one).hexdigest() == hashlib.sha256(other).hexdigest()
