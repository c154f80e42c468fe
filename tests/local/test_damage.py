"""Files that change on the host: what is damaged is never served, and a deploy mends it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.local.workplace import Candidate, Workplace, until, with_note

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.nightly


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_damaged_candidate_is_not_gone_back_to(
    local: Workplace, first: Candidate, fresh: Candidate
) -> None:
    local.offer(with_note(first, f"damaged after {len(local.log())}"))
    local.does("deploy", "local")
    older = local.answers()
    local.offer(fresh)
    local.does("deploy", "local")
    newer = local.answers()
    model = local.home / "releases" / older / "bundle" / "model.onnx"
    flip(model)
    for arguments in (["rollback", "local"], ["rollback", "local", older]):
        said = local.slipway(*arguments)
        assert said.code == 1
        assert f"{older} is not on local, or not whole" in said.err
        assert newer == local.answers()
    flip(model)
    local.does("rollback", "local")
    assert older == local.one_slot_answers()


def test_a_live_release_that_is_damaged_is_mended_by_the_same_deploy(
    local: Workplace, fresh: Candidate
) -> None:
    local.offer(fresh)
    local.does("deploy", "local")
    release = local.answers()
    flip(local.home / "releases" / release / "bundle" / "model.onnx")
    os.kill(local.one_slot(), signal.SIGKILL)
    until(lambda: not local.slots(), "the slot refuses to serve what is damaged")
    assert local.answers() == ""
    local.does("deploy", "local")
    assert release == local.one_slot_answers()
    assert local.reads("status", "local")["problems"] == []
