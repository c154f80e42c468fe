"""Ten false credentials, planted where people keep them, go through commands that end well and that do not: none is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.workplace import Candidate, Workplace

KEYS = [
    "aws-secret", "aws-session", "github", "origin-url", "signing-key", "dvc-password", "tf-var", "ssh-key",
    "http-header", "dvc-url",
]  # fmt: skip
PLANTED = {name: f"PLANTED{number}x{name.replace('-', '')}" for number, name in enumerate(KEYS)}
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAPLAINNAME",
    "AWS_SECRET_ACCESS_KEY": PLANTED["aws-secret"],
    "AWS_SESSION_TOKEN": PLANTED["aws-session"],
    "GITHUB_TOKEN": PLANTED["github"],
    "SLIPWAY_SIGNING_KEY": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PLANTED['signing-key']}\n-----END OPENSSH PRIVATE KEY-----\n",
    "TF_VAR_password": PLANTED["tf-var"],
    "SSH_PRIVATE_KEY": PLANTED["ssh-key"],
}
_DVC = f"""
[core]
    remote = team
['remote "team"']
    url = http://ada:{PLANTED["dvc-url"]}@127.0.0.1:9/store
    password = {PLANTED["dvc-password"]}
"""
"""Port 9 discards; nothing listens there."""


@pytest.fixture
def bugged(local: Workplace) -> Iterator[Workplace]:
    """The shared environment, with an origin and a DVC remote that need a password and do not answer."""
    settings = local.root / ".dvc" / "config.local"
    before = settings.read_text()
    settings.write_text(before + _DVC)
    origin = f"http://{PLANTED['origin-url']}@127.0.0.1:9/x.git"
    local.git("remote", "add", "origin", origin)
    header = f"Authorization: Basic {PLANTED['http-header']}"
    local.git("config", "http.extraheader", header)
    yield local
    settings.write_text(before)
    local.git("remote", "remove", "origin")
    local.git("config", "--unset", "http.extraheader")


def told(place: Workplace) -> dict[str, list[str]]:
    """The files of the repository in which something planted is found, but for those in which it was planted."""
    found = {}
    planted = {place.root / ".dvc" / "config.local", place.root / ".git" / "config"}
    for folder, names, files in os.walk(place.root):
        names[:] = [name for name in names if name != ".venv"]
        for file in {Path(folder, name) for name in files} - planted:
            if file.is_file() and not file.is_symlink():
                content = file.read_bytes()
                if hits := [name for name, secret in PLANTED.items() if secret.encode() in content]:
                    found[str(file.relative_to(place.root))] = hits
    return found


def test_nothing_that_is_planted_is_told_in_words_files_tags_or_state(
    bugged: Workplace, fresh: Candidate
) -> None:
    ended = {}

    def run(*arguments: str) -> None:
        said = bugged.slipway(*arguments, **VARIABLES)
        name = " ".join(arguments)
        ended[name] = said.code
        hits = [key for key, secret in PLANTED.items() if secret in said.out + said.err]
        assert hits == [], f"slipway {name}\n{said.out}{said.err}"

    for debug in ((), ("--debug",)):
        run("release", *debug)
        run("verify", "nothing", *debug)
        run("reconcile", "staging", *debug)
        run("deploy", "local", "v9.9.9", *debug)
    run("verify")
    run("report", "--base", "HEAD", "--debug")
    bugged.offer(fresh)
    run("plan", "local", "--json")
    run("deploy", "local", "--debug")
    run("rollback", "local")
    run("status", "local")
    run("status", "local", "--json")
    run("history", "local", "--json")
    run("doctor")
    assert [ended[name] for name in ("verify", "deploy local --debug", "rollback local")] == [0, 0, 0]
    assert [ended[name] for name in ("release", "reconcile staging", "deploy local v9.9.9")] == [3, 1, 1]
    assert told(bugged) == {}
    tags = bugged.git("for-each-ref", "--format=%(refname)%0a%(contents)", "refs/tags")
    assert [key for key, secret in PLANTED.items() if secret in tags] == []


def test_what_is_searched_for_would_be_found(bugged: Workplace) -> None:
    """The search itself: in the origin's URL as git tells it, and in a file."""
    shown = subprocess.run(
        ["git", "remote", "-v"], cwd=bugged.root, capture_output=True, text=True, check=True
    )
    assert PLANTED["origin-url"] in shown.stdout
    leak = bugged.home / "leak.txt"
    leak.write_text(PLANTED["github"])
    try:
        assert told(bugged) == {".slipway/local/leak.txt": ["github"]}
    finally:
        leak.unlink()
