"""The module that asks the front door, and writes down what went live."""

import json
import re
import threading
from pathlib import Path
from types import ModuleType

import pytest
from tests.infra.role import ROLE, Home, Process, loaded

LINE = {"release": "v1.1.0", "action": "deploy"}


@pytest.fixture(scope="session")
def proof(account: ModuleType) -> ModuleType:
    """The module."""
    del account
    return loaded("model_server_proof", ROLE / "library" / "model_server_proof.py")


def test_the_slot_before_may_answer_for_a_while(proof: ModuleType, process: Process) -> None:
    process.says({"/metadata": {"release": "v1.0.0"}})
    swap = threading.Timer(0.2, lambda: process.says({"/metadata": {"release": "v1.1.0"}}))
    swap.start()
    assert proof.proven(f"http://127.0.0.1:{process.port}", "v1.1.0", 5) == "v1.1.0"
    swap.join()


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"/metadata": {"release": "v1.0.0"}}, "v1.0.0"),
        ({}, r"nothing of Slipway's \(HTTP Error 404: Not Found\)"),
        ({"/metadata": []}, r"nothing of Slipway's \(.*\)"),
    ],
    ids=["another release", "another program", "other JSON"],
)
def test_what_answers_instead_is_told(
    proof: ModuleType, process: Process, answers: dict[str, object], said: str
) -> None:
    process.says(answers)
    found = proof.proven(f"http://127.0.0.1:{process.port}", "v1.1.0", 0)
    assert re.fullmatch(said, found)


def test_a_line_is_a_line_of_its_own(proof: ModuleType, account: ModuleType, home: Home) -> None:
    log = home.folder / "releases.jsonl"
    proof.append(log, {**LINE, "release": "v1.0.0"})
    with log.open("a") as file:
        file.write('{"release": "v1.')  # as a crash leaves it
    proof.append(log, LINE)
    assert account.logged(home.folder) == ["v1.0.0", "v1.1.0"]
    assert json.loads(log.read_text().splitlines()[-1]) == LINE


def test_others_may_read_the_log(proof: ModuleType, tmp_path: Path) -> None:
    proof.append(tmp_path / "releases.jsonl", LINE)
    assert (tmp_path / "releases.jsonl").stat().st_mode & 0o777 == 0o644
