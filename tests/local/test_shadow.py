"""`slipway deploy local --shadow`: a release is asked what the live one is asked, judged, and gone again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.local.load import Load
from tests.local.workplace import rewrite, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.local.workplace import Candidate, Workplace

REFUSED = 3


@pytest.fixture
def limits(local: Workplace) -> Iterator[Callable[[str], None]]:
    """Sets the limits of a bake that is short, and blind to time, of which this machine has little to spare."""
    file = local.root / "terraform" / "environments" / "local" / "rollout.yaml"
    told = "bake: {seconds: 2, look_seconds: 0.5, minimum_requests: 300, limits: {memory: null, p50: 1000, p99: 1000%s}}\n"
    yield lambda more: rewrite(file, (told % more).encode())
    file.unlink(missing_ok=True)


@pytest.fixture
def other(local: Workplace) -> Candidate:
    """The work tree offers a model that calls almost everybody ill."""
    local.set("train.decision_threshold", "0.02")
    local.run("dvc", "repro", "--quiet")
    return local.candidate()


def test_a_sound_release_may_be_promoted_and_nothing_has_changed(
    local: Workplace, live: str, fresh: Candidate, rows: list[dict[str, Any]], limits: Callable[[str], None]
) -> None:
    limits("")
    local.offer(fresh)
    before = local.tags(), local.log(), local.links()["live"], local.one_slot()
    with Load(local.port, rows) as load:
        said = local.slipway("deploy", "local", "--shadow", "3")
    assert said.code == 0, said.out + said.err + local.journal()
    assert "may be promoted; it was in the shadow on local-1, and nothing has changed" in said.out
    assert "decisions  new 0 %, old 0 %" in said.out
    assert (load.failed, load.releases) == ([], [live])
    assert (local.tags(), local.log(), local.links()["live"], local.one_slot()) == before
    assert not (local.home / "run" / "shadow.json").exists()


def test_a_release_that_decides_otherwise_is_refused_though_nobody_asks(
    local: Workplace, live: str, other: Candidate, limits: Callable[[str], None]
) -> None:
    limits(", errors: 0.5, refusals: 0.5")
    assert other.digest != local.log()[-1]["bundle"]
    said = local.slipway("deploy", "local", "--shadow", "2")
    assert said.code == REFUSED, said.out + said.err + local.journal()
    assert "may not be promoted:" in said.err
    assert "abort: decisions is above its limit" in said.err
    assert local.one_slot_answers() == live


def test_a_release_that_does_not_start_costs_the_live_one_nothing(
    local: Workplace, live: str, fresh: Candidate, rows: list[dict[str, Any]]
) -> None:
    manifest = json.loads(fresh.manifest)
    manifest["bundle"]["sha256"] = "0" * 64
    local.offer(fresh._replace(manifest=json.dumps(manifest)))
    with Load(local.port, rows) as load:
        said = local.slipway("deploy", "local", "--shadow")
    assert said.code != 0
    assert (load.failed, load.releases) == ([], [live])
    until(lambda: len(local.slots()) == 1, "one slot runs")


def test_what_is_live_is_in_no_shadow_of_its_own(local: Workplace, first: Candidate) -> None:
    if local.log()[-1]["bundle"] != first.digest:
        local.does("deploy", "local")
    said = local.slipway("deploy", "local", "--shadow")
    assert said.code == 1
    assert "is live on local-1 already, and cannot be in its own shadow" in said.err
