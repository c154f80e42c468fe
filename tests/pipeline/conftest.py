"""The real data, a synthetic problem of mixed types, and two clones in which the whole pipeline has run."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from slipway import params
from slipway.contract import Contract
from slipway.params import Params
from slipway.pipeline.ingest import ingest, load
from slipway.pipeline.split import Parts, split

ROOT = Path(__file__).parents[2]
TOLERANCES = {"logistic_regression": 1e-9, "random_forest": 1e-5, "hist_gradient_boosting": 1e-5}
ESTIMATORS = list(TOLERANCES)
HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "logistic_regression": {"C": 1.0},
    "random_forest": {"n_estimators": 30, "max_depth": 6},
    "hist_gradient_boosting": {"max_iter": 30},
}
MIXED_COLUMNS = {
    "ward": {"type": "category", "categories": ["surgery", "oncology", "emergency"]},
    "age": {"type": "number", "minimum": 0, "maximum": 120},
    "smoker": {"type": "category", "categories": ["yes", "no"], "nullable": True},
    "marker": {"type": "number", "nullable": True},
    "pressure": {"type": "number", "minimum": 40, "nullable": True},
}


class Checkout(NamedTuple):
    """A clone of the repository with an environment in which `slipway` is that clone's."""

    root: Path
    hash_seed: str = "0"

    @property
    def environment(self) -> dict[str, str]:
        binaries = Path(sys.executable).parent
        return {
            **os.environ,
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "PYTHONHASHSEED": self.hash_seed,
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )

    def copy(self, to: Path) -> "Checkout":
        shutil.copytree(self.root, to, symlinks=True)
        return self._replace(root=to)


@pytest.fixture(scope="session")
def settings() -> Params:
    """The repository's own parameters."""
    return params.load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def cases(settings: Params) -> pd.DataFrame:
    """The repository's own data."""
    return ingest(load("sklearn:breast_cancer"), settings.contract)


@pytest.fixture(scope="session")
def parts(cases: pd.DataFrame, settings: Params) -> Parts:
    return split(cases, settings.contract, settings.split)


@pytest.fixture(scope="session")
def mixed_settings(settings: Params) -> Callable[[str], Params]:
    """Parameters for a problem of numbers and categories, some of them nullable, and an estimator."""

    def of(estimator: str) -> Params:
        written = settings.model_dump(mode="json")
        written["model"]["name"] = "illness"
        written["contract"] = {
            "target": {"column": "outcome", "positive": "ill", "negative": "well"},
            "columns": MIXED_COLUMNS,
        }
        written["train"] |= {
            "estimator": estimator,
            "hyperparameters": HYPERPARAMETERS[estimator],
            "parity_tolerance": TOLERANCES[estimator],
        }
        written["evaluate"]["gates"] = {
            "recall_minimum": 0.5,
            "false_negative_rate_maximum": 0.5,
            "roc_auc_over_baseline_minimum": 0.1,
            "overfit_gap_maximum": 0.5,
        }
        return params.parse(json.dumps(written))

    return of


@pytest.fixture(scope="session")
def mixed_contract(mixed_settings: Callable[[str], Params]) -> Contract:
    return mixed_settings("logistic_regression").contract


@pytest.fixture(scope="session")
def mixed() -> pd.DataFrame:
    """400 made-up patients who satisfy the mixed contract, every tenth value null where that is allowed."""
    random, rows = np.random.default_rng(1), 400
    age, marker = random.uniform(0, 120, rows), random.normal(0, 50, rows)
    ward = random.choice(["surgery", "oncology", "emergency"], rows)
    risk = (age - 60) / 30 + marker / 50 + (ward == "oncology") + random.normal(0, 0.5, rows)
    return pd.DataFrame(
        {
            "marker": pd.Series(marker).mask(random.random(rows) < 0.1),
            "ward": ward,
            "age": age,
            "smoker": pd.Series(random.choice(["yes", "no"], rows)).mask(random.random(rows) < 0.1),
            "pressure": pd.Series(random.uniform(60, 180, rows)).mask(random.random(rows) < 0.1),
            "outcome": np.where(risk > 0, "ill", "well"),
        }
    )


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Params], Path]:
    """An empty folder with a `params.yaml`, which becomes the current one."""

    def enter(settings: Params) -> Path:
        (tmp_path / "params.yaml").write_text(settings.model_dump_json())
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return enter


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone of HEAD with what is not committed yet, in which nothing has run."""
    root = tmp_path_factory.mktemp("clean") / "main"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, root], check=True, capture_output=True)
    inputs = ["src", "*.yaml", "*.toml", "*.lock", "*.json", ".dvc", ".dvcignore", "*.gitignore", "reports"]
    for path in _listed("--modified", "--others", "--exclude-standard", "--", *inputs):
        if (ROOT / path).exists():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, root / path)
        else:
            (root / path).unlink()
    return Checkout(root)


def _listed(*arguments: str) -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [path for path in listing.stdout.split("\0") if path]


@pytest.fixture(scope="session")
def reproduced(clean: Checkout, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Checkout]:
    """Two clones that share nothing, with everything run anew in each, in surroundings as unlike as may be."""
    one = clean.copy(tmp_path_factory.mktemp("one") / "main")._replace(hash_seed="1")
    other = clean.copy(tmp_path_factory.mktemp("other") / "in" / "another" / "place")._replace(hash_seed="2")
    processes = [
        subprocess.Popen(
            ["dvc", "repro", "--force"],
            cwd=checkout.root,
            env={**checkout.environment, **surroundings},
            umask=umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for checkout, umask, surroundings in [
            (one, 0o022, {"TZ": "UTC", "LC_ALL": "C.UTF-8"}),
            (other, 0o077, {"TZ": "Asia/Tokyo", "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1700000000"}),
        ]
    ]
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    return one, other


@pytest.fixture(scope="session")
def unpacked_runtime(reproduced: tuple[Checkout, Checkout], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a host makes of `runtime.tar`."""
    folder = tmp_path_factory.mktemp("runtime")
    with tarfile.open(reproduced[0].root / "artifacts/runtime.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder
