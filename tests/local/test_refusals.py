"""What goes wrong on the way to a release: the message is clear, and the old release still serves."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.local.load import Load
from tests.local.workplace import Candidate, Workplace, free_port, rebuilt, until

from slipway import bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def serves_as_before(place: Workplace, live: str) -> None:
    """The old release answers, alone, and every account says so."""
    assert live == place.one_slot_answers()
    found = place.reads("status", "local")
    assert (live, live, []) == (found["live"]["release"], found["answers"]["release"], found["problems"])


def test_a_model_that_fails_a_gate_is_not_packaged(local: Workplace, live: str, first: Candidate) -> None:
    before = (local.installed(), local.log())
    local.set("evaluate.gates.recall_minimum", "1.0")
    said = local.slipway("up")
    assert said.code == 3
    assert "must be >= 1 (evaluate.gates.recall_minimum)" in said.err
    assert first.digest == hashlib.sha256((local.root / "artifacts" / "bundle.tar").read_bytes()).hexdigest()
    assert before == (local.installed(), local.log())
    serves_as_before(local, live)


def test_a_bundle_that_fails_its_golden_rows_leaves_the_old_release_serving(
    local: Workplace, live: str, fresh: Candidate, rows: list[dict[str, Any]]
) -> None:
    def tamper(files: Mapping[str, bytes]) -> dict[str, bytes]:
        golden = json.loads(files[bundle.GOLDEN])
        golden["expected"][0][1] = 1 - golden["expected"][0][1]
        return {bundle.GOLDEN: json.dumps(golden).encode()}

    before = (local.installed(), local.log())
    local.offer(rebuilt(fresh, tamper))
    with Load(local.port, rows) as load:
        said = local.slipway("deploy", "local")
    assert said.code == 4
    assert f"{live} is still serving" in said.err
    assert "Start the slot's process" in said.err
    assert "fails its golden rows: golden row 0: expected" in said.err
    assert ([], [live]) == (load.failed, load.releases)
    assert before == (local.installed(), local.log())
    serves_as_before(local, live)


def test_a_slot_that_never_gets_ready_leaves_the_old_release_serving(
    local: Workplace, live: str, fresh: Candidate, rows: list[dict[str, Any]]
) -> None:
    variables = local.root / "ansible" / "inventory" / "local" / "group_vars" / "model_servers.yml"
    variables.write_text(variables.read_text() + "model_server_ready_timeout_seconds: 2\n")
    local.offer(fresh)
    with frozen_slot(local), Load(local.port, rows) as load:
        said = local.slipway("deploy", "local")
    assert said.code == 4
    assert f"{live} is still serving" in said.err
    assert "it is not ready after 2 s" in said.err
    assert ([], [live]) == (load.failed, load.releases)
    serves_as_before(local, live)


@contextlib.contextmanager
def frozen_slot(place: Workplace) -> Iterator[None]:
    """Freeze the next process that is to serve, as soon as it is there."""
    known, over = set(place.slots().values()), threading.Event()
    frozen: set[int] = set()

    def watch() -> None:
        while not over.wait(0.01):
            for pid in set(place.slots().values()) - known - frozen:
                os.kill(pid, signal.SIGSTOP)
                frozen.add(pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert len(frozen) == 1


def test_a_candidate_that_fails_its_acceptance_test_is_rolled_back(
    local: Workplace, live: str, fresh: Candidate, rows: list[dict[str, Any]]
) -> None:
    local.offer(with_false_truth(fresh))
    with Load(local.port, rows) as load:
        said = local.slipway("deploy", "local")
    assert said.code == 4
    assert f"{live} is still serving" in said.err
    assert "acceptance.recall_drop_maximum" in said.err
    assert load.failed == []
    abort = local.log()[-1]
    assert ("abort", live) == (abort["action"], abort["release"])
    serves_as_before(local, live)


def with_false_truth(candidate: Candidate) -> Candidate:
    """A candidate whose acceptance rows have the opposite diagnosis."""
    frame = pd.read_parquet(io.BytesIO(candidate.acceptance))
    opposite = {"malignant": "benign", "benign": "malignant"}
    wrong = frame.assign(diagnosis=frame["diagnosis"].map(opposite)).to_parquet(index=False)
    old, new = (hashlib.md5(content).hexdigest() for content in (candidate.acceptance, wrong))  # noqa: S324
    assert old in candidate.lock
    return candidate._replace(acceptance=wrong, lock=candidate.lock.replace(old, new))


def test_a_corrupt_bundle_in_the_work_tree_is_refused_with_both_digests(
    local: Workplace, live: str, fresh: Candidate
) -> None:
    local.offer(fresh._replace(tar=fresh.tar[:-1] + b"x"))
    said = local.slipway("deploy", "local")
    assert said.code == 3
    actual = hashlib.sha256((local.root / "artifacts" / "bundle.tar").read_bytes()).hexdigest()
    assert f"expected sha256 {fresh.digest}, found {actual}" in said.err
    serves_as_before(local, live)


def test_a_port_that_another_program_has_is_refused(local: Workplace, live: str, fresh: Candidate) -> None:
    local.offer(fresh)
    before = (local.links(), local.installed(), local.slots(), local.log())
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        said = local.slipway("deploy", "local", TF_VAR_port=str(port))
    assert said.code == 1
    assert f"port {port} on 127.0.0.1 cannot be had: Address already in use" in said.err
    assert before == (local.links(), local.installed(), local.slots(), local.log())
    assert live == local.answers()
    local.does("deploy", "local")
    assert fresh.digest == local.ask("/metadata")["bundle"]


@root_only
def test_a_small_disk_is_refused_before_anything_is_installed(
    local: Workplace, live: str, fresh: Candidate
) -> None:
    local.offer(fresh)
    with mounted(local.home, "-t", "tmpfs", "-o", "size=3m", "tmpfs"):
        said = local.slipway("deploy", "local", TF_VAR_port=str(free_port()))
        assert set() == local.installed()
    assert said.code == 1
    assert "MB free, the roll-out needs" in said.err
    assert "nothing was changed" in said.err
    serves_as_before(local, live)


@root_only
def test_a_full_disk_is_said_in_a_line(local: Workplace, live: str, fresh: Candidate) -> None:
    local.offer(fresh)
    with mounted(local.home, "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "tmpfs"):
        said = local.slipway("deploy", "local")
    assert said.code == 1
    assert "no space left on device" in said.err.lower()
    assert "Traceback" not in said.err
    serves_as_before(local, live)


@root_only
def test_a_read_only_folder_is_said_in_a_line(local: Workplace, live: str, fresh: Candidate) -> None:
    local.offer(fresh)
    with mounted(local.home, "--bind", str(local.home)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(local.home)], check=True)
        said = local.slipway("deploy", "local")
        assert live == local.answers()
    assert said.code == 1
    assert f"{local.home} cannot be written to: Read-only file system" in said.err
    serves_as_before(local, live)


@contextlib.contextmanager
def mounted(folder: Path, *what: str) -> Iterator[None]:
    subprocess.run(["mount", *what, str(folder)], check=True)
    try:
        yield
    finally:
        until(lambda: subprocess.run(["umount", str(folder)], check=False).returncode == 0, "unmounted")
