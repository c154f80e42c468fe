"""What a stranger does first: `git clone`, `make up`, a prediction; and `make up` again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.local.workplace import Workplace, clone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def stranger(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A fresh clone, without an environment, on which nothing has been done."""
    root = tmp_path_factory.mktemp("stranger") / "slipway"
    clone(seed, root, None)
    place = Workplace(root)
    try:
        yield place
    finally:
        place.close()


def test_make_up_on_a_fresh_clone_ends_with_a_url_that_answers_and_again_changes_nothing(
    stranger: Workplace, rows: list[dict[str, Any]]
) -> None:
    # With the bytes compiled when first used: otherwise uv would compile a hundred packages that no test uses.
    out = stranger.run("make", "up", "UV_COMPILE_BYTECODE=0")
    release, url = out.splitlines()[-1].split()[1], out.splitlines()[-1].split()[-1]
    assert url == stranger.url
    answer = stranger.ask("/predict", rows[0])
    assert release == answer["release"]
    assert len(answer["predictions"]) == 1

    before = (stranger.log(), stranger.slots(), stranger.links(), stranger.git("status", "--porcelain"))
    again = stranger.run("make", "up", "UV_COMPILE_BYTECODE=0")
    assert again.splitlines()[-1] == f"{out.splitlines()[-1]} (nothing changed)"
    assert before == (
        stranger.log(),
        stranger.slots(),
        stranger.links(),
        stranger.git("status", "--porcelain"),
    )
