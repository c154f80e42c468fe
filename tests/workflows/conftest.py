"""The repository that the tests of workflows share a copy of."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.workflows.site import Site, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A repository with two commits on `main`."""
    template = tmp_path_factory.getbasetemp() / "site"
    if not template.exists():
        make(Site(template))
    shutil.copytree(template, tmp_path / "site")
    return Site(tmp_path / "site")
