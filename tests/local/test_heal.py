"""What breaks on this machine is shown by `status`, and mended by `status --heal`; a candidate that is live stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from tests.local.test_damage import flip
from tests.local.workplace import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.workplace import Candidate, Workplace


def problems(place: Workplace) -> list[str]:
    found: list[str] = place.reads("status", "local")["problems"]
    return found


@pytest.fixture
def healthy(local: Workplace, fresh: Candidate) -> Iterator[Workplace]:
    """A candidate is live and in order, before the test and after its healing."""
    local.offer(fresh)
    local.does("deploy", "local")
    assert problems(local) == []
    live, log = local.one_slot_answers(), local.log()
    yield local
    said = local.slipway("status", "local", "--heal")
    assert said.code == 0, said.out + said.err + local.journal()
    assert problems(local) == []
    assert (live, log) == (local.one_slot_answers(), local.log())


@pytest.mark.nightly
def test_a_supervisord_that_was_killed_while_slots_serve_is_shown(healthy: Workplace) -> None:
    os.kill(int((healthy.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert healthy.answers(), "the slot serves on"
    until(lambda: problems(healthy), "it is shown")
    assert [problem.partition(":")[0] for problem in problems(healthy)] == ["supervisord was killed"]
    said = healthy.slipway("status", "local")
    assert "next           slipway status local --heal" in said.out


def test_a_configuration_that_was_edited_is_shown_by_its_file(healthy: Workplace) -> None:
    file = healthy.home / "supervisord.conf"
    file.write_text(file.read_text().replace("minfds = 8192", "minfds = 64"))
    assert problems(healthy) == [f"{file} is not as the roll-out wrote it"]


def test_a_runtime_that_lacks_a_file_is_shown(healthy: Workplace) -> None:
    (next(healthy.home.glob("live/runtime/lib/*/site-packages/starlette")) / "routing.py").unlink()
    live = healthy.answers()
    assert problems(healthy) == [f"the runtime of {live} is not whole"]


@pytest.mark.nightly
def test_a_damaged_candidate_is_brought_again_from_the_work_tree_that_made_it(healthy: Workplace) -> None:
    live = healthy.answers()
    flip(healthy.home / "releases" / live / "bundle" / "model.onnx")
    assert problems(healthy) == [f"the files of {live} are not whole"]


@pytest.mark.nightly
def test_a_candidate_of_another_work_tree_that_is_damaged_cannot_be_healed_and_is_left_as_it_is(
    local: Workplace, first: Candidate, fresh: Candidate
) -> None:
    local.offer(fresh)
    local.does("deploy", "local")
    live = local.answers()
    model = local.home / "releases" / live / "bundle" / "model.onnx"
    flip(model)
    local.offer(first)
    said = local.slipway("status", "local", "--heal")
    flip(model)
    assert said.code == 1
    assert "not healed" in said.out
    assert f"the files of {live} are not whole" in said.out
    assert live == local.one_slot_answers()


@pytest.fixture
def empty(local: Workplace) -> Iterator[Workplace]:
    """With an environment that has all that it needs but a first roll-out."""
    root = local.root / "terraform" / "environments" / "empty"
    inventory = local.root / "ansible" / "inventory" / "empty"
    for folder in (root, inventory):
        folder.mkdir()
    (root / "main.tf.json").write_text(json.dumps({"terraform": {"backend": {"local": {}}}}))
    yield local
    for folder in (root, inventory, local.root / ".slipway" / "empty"):
        shutil.rmtree(folder)


def test_what_was_never_deployed_is_said_by_every_command(empty: Workplace) -> None:
    for command, code, words in (
        ("status", 1, "nothing is deployed"),
        ("history", 0, "nothing has been live on empty"),
        ("rollback", 1, "there is nothing to roll empty back to"),
        ("reconcile", 1, "git declares no desired state of empty"),
    ):
        said = empty.slipway(command, "empty")
        assert (said.code, words in said.out + said.err, "next" in said.out + said.err) == (
            code,
            True,
            True,
        ), said
