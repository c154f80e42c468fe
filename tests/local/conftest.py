"""Environments in which the scenarios play; each test finds the state that it needs, alone or after others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.local.workplace import Candidate, Workplace, scorer_of, with_note

from slipway import params
from slipway.pipeline import stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slipway.scorer import Scorer


@pytest.fixture(scope="session")
def first(shop: Workplace) -> Candidate:
    """The candidate that the committed parameters make."""
    return shop.candidate()


@pytest.fixture(scope="session")
def rows(shop: Workplace) -> list[dict[str, Any]]:
    """Requests: real rows that the model has not been trained on."""
    settings = params.load(shop.root / "params.yaml")
    frame = pd.read_parquet(shop.root / "data" / "validation.parquet")
    return stage.rows(frame, settings.contract)


@pytest.fixture
def local(shop: Workplace, first: Candidate) -> Workplace:
    """The shared environment: some release is live and answers, the work tree is as it was at the beginning."""
    shop.git("checkout", "--quiet", "--force", "begin", "--", ".")
    shop.offer(first)
    if not shop.answers():
        shop.does("deploy", "local")
    shop.one_slot()
    return shop


@pytest.fixture
def live(local: Workplace) -> str:
    """The release that is live as the test begins."""
    return local.answers()


@pytest.fixture
def fresh(first: Candidate, request: pytest.FixtureRequest) -> Candidate:
    """A sound candidate that has never been live, of the same model."""
    return with_note(first, request.node.name)


@pytest.fixture
def scorers(tmp_path: Path) -> Callable[[dict[str, Candidate]], dict[str, Scorer]]:
    """The models of candidates by the releases that they became, for offline predictions."""

    def load(candidates: dict[str, Candidate]) -> dict[str, Scorer]:
        return {
            release: scorer_of(candidate.tar, tmp_path / candidate.digest[:12])
            for release, candidate in candidates.items()
        }

    return load
