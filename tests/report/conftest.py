"""A repository with a base, releases and a branch; each test reports on what it checks out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.local.workplace import REPOSITORY, Workplace, clone, overlay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def desk(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """`base` is released as v1.0.0 and wanted in production; `better`, `ill`, `resplit` and `narrow` are branches of it."""
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
