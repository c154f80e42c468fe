"""What a line of a workflow does, where that is more than one call."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workflows.site import Site

TARGETS = Path(__file__).parents[2] / ".github" / "targets.mk"
MAKEFILE = f"""\
SLIPWAY := slipway
.PHONY: verify .venv
.venv:
verify:
\t@echo "verified $$(cat lock) in $$(basename $(CURDIR))"
include {TARGETS}
"""


def make(folder: Path, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "MAKE"))}
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_newest_release_is_verified_as_its_tag_has_it_and_not_as_main_has_it(site: Site) -> None:
    for lock in ("first", "second"):
        site.commit({"Makefile": MAKEFILE, "lock": lock})
        site.git("tag", "--annotate", "--message", lock, f"churn@v1.{len(lock)}.0")
    site.git("tag", "--annotate", "--message", "x", "churn#production#1", "HEAD~1")
    site.commit({"lock": "third"})

    for _ in range(2):
        assert make(site.clone, "reproduce").splitlines() == ["churn@v1.6.0", "verified second in reproduce"]


def test_without_a_release_there_is_nothing_to_reproduce(site: Site) -> None:
    site.commit({"Makefile": MAKEFILE, "lock": "first"})

    assert make(site.clone, "reproduce") == "there is no release yet\n"


@pytest.mark.parametrize(
    "plans",
    [
        ["plans/infrastructure.json"],
        ["plans/plan-production/infrastructure.json", "plans/plan-staging/infrastructure.json"],
        [],
    ],
)
def test_a_report_has_the_plans_however_many_came(site: Site, plans: list[str]) -> None:
    site.commit({"Makefile": MAKEFILE, **dict.fromkeys(plans, "{}")})

    words = make(site.clone, "--dry-run", "report").split()

    assert [words[at + 1] for at, word in enumerate(words) if word == "--infrastructure"] == plans
