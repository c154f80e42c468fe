"""A repository with a base, releases and a branch; each test reports on what it checks out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.local.workplace import REPOSITORY, Workplace, clone, overlay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def desk(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """`base` is released as v1.0.0 and wanted in production; the others are branches of it."""
    folder = tmp_path_factory.mktemp("desk")
    seed = folder / "seed"
    clone(REPOSITORY, seed, None)
    overlay(seed)
    shutil.copytree(cache, folder / "cache")
    clone(seed, folder / "desk", folder / "cache")
    made = Workplace(folder / "desk")
    branches: dict[str, Callable[[], None]] = {
        "better": lambda: made.set("train.hyperparameters", "{C: 0.3, class_weight: balanced}"),
        "ill": lambda: made.set("train.decision_threshold", "0.02"),
        "resplit": lambda: made.set("split.validation", "0.21"),
        "narrow": lambda: made.set("contract.columns.mean_area", "{type: number, minimum: 0, maximum: 5000}"),
        "shifted": lambda: _shift(made, "mean_texture", 5),
    }
    made.git("checkout", "--quiet", "-b", "base")
    made.run("dvc", "repro", "--quiet")
    if made.git("status", "--porcelain"):
        made.git("commit", "--quiet", "--all", "--message", "Run the pipeline")
    made.run("dvc", "push", "--quiet")
    made.does("release")
    message = "Deploy v1.0.0 to production\n\nAction: deploy\nRelease: v1.0.0"
    made.git("tag", "--annotate", "tumour-screening#production#1", "--message", message)
    for name, change in branches.items():
        made.git("checkout", "--quiet", "-b", name, "base")
        change()
        made.run("dvc", "repro", "--quiet")
        made.git("commit", "--quiet", "--all", "--message", name)
    return made


def _shift(made: Workplace, column: str, by: float) -> None:
    """Let the data come from a file in which a column has moved."""
    cases = pd.read_parquet(made.root / "data" / "cases.parquet")
    cases.assign(**{column: cases[column] + by}).to_csv(made.root / "data" / "newer.csv", index=False)
    pipeline = made.root / "dvc.yaml"
    text = pipeline.read_text().replace("sklearn:breast_cancer", "data/newer.csv")
    ours = "      - src/slipway/pipeline/ingest.py\n"
    pipeline.write_text(text.replace(ours, f"      - data/newer.csv\n{ours}"))
    made.git("add", "data/newer.csv")


class Told:
    """A report that was written."""

    def __init__(self, folder: Path, said: str) -> None:
        self.said = said
        self.markdown = (folder / "report.md").read_text()
        self.html = (folder / "report.html").read_text()
        self.found: dict[str, Any] = json.loads((folder / "report.json").read_text())

    @property
    def only(self) -> dict[str, Any]:
        """The one comparison."""
        (found,) = self.found["comparisons"]
        return dict(found)

    def metric(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.only["metrics"] if each["name"] == name]
        return dict(found)


@pytest.fixture
def report(desk: Workplace, tmp_path: Path) -> Any:
    """Reports on a branch."""

    def tell(branch: str, *arguments: str) -> Told:
        desk.git("checkout", "--quiet", "--force", branch)
        said = desk.does("report", "--out", str(tmp_path), *arguments)
        return Told(tmp_path, said)

    yield tell
    desk.git("checkout", "--quiet", "--force", "base")
