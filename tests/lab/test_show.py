"""`make lab`: production comes to be on an emulated AWS, and lives through what its story tells."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from lab.play import REPOSITORY

from lab import providers

CHAPTERS = {
    "a first release, on new machines": "Deploy v1.0.0 to production",
    "a canary, a bake, and the rest": "Deploy v1.1.0 to production",
    "a bad release, caught by the bake": "Abort v1.1.0 to production",
    "a roll-back, while Terraform's state is out of reach": "Rollback v1.0.0 to production",
    "a host, drained and put back": "Rollback v1.0.0 to production",
}


@pytest.fixture
def provider() -> None:
    """Terraform's provider for AWS is on this machine, or can be had."""
    if refusal := providers.refusal():
        pytest.skip(refusal)


@pytest.mark.nightly
@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("able", "provider")
def test_the_story_of_production_is_told_and_nothing_is_left_of_it() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "lab", "show", "--name", "show"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    rows = [re.split(r" {2,}", line) for line in told.stdout.splitlines() if line.startswith("ok ")]
    assert {row[1]: row[-1] for row in rows} == CHAPTERS
    _, caught, back, _ = told.stdout.split("\n$ ")[2:]
    assert "alarm      production-slow" in caught, "a deploy warns of an alarm that fires"
    assert "alarm " not in back, "a roll-back does not wait for it"
    assert "verdict        in order" in told.stdout
    assert "cloud          model-1 i-" in told.stdout
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    assert "lab-show" not in links
