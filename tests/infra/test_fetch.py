"""How a host fetches an object by a URL, and what it says where that fails: the role's own tasks, on this machine."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.infra.conftest import ROOT
from tests.infra.role import listening

CONTENT = b"the bytes of a bundle"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: model_server
        tasks_from: install/bring
"""


class Store:
    """A store that answers as it is told, once each; then with the object."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.asked = 0
        self.url = ""


class Fetched(NamedTuple):
    """How it ended."""

    code: int
    said: str
    """What the last task that failed said."""


@pytest.fixture
def store() -> Iterator[Store]:
    here = Store()

    def answer(_path: str) -> tuple[int, bytes]:
        here.asked += 1
        status = here.statuses.pop(0) if here.statuses else 200
        return status, CONTENT if status == 200 else b""

    with listening(answer) as port:
        here.url = f"http://127.0.0.1:{port}/object?X-Amz-Signature=secret"
        yield here


def fetch(store: Store, folder: Path, sha256: str = DIGEST) -> Fetched:
    (folder / "fetch.yml").write_text(PLAYBOOK)
    given = {
        "__model_server_what": "bundle",
        "__model_server_url": store.url,
        "__model_server_to": str(folder / "bundle.tar"),
        "__model_server_sha256": sha256,
        "ansible_python_interpreter": sys.executable,
    }
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), f"--extra-vars={json.dumps(given)}",
         "--connection=local", "--inventory=localhost,", str(folder / "fetch.yml")],
        env={
            **os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_ROLES_PATH": str(ROOT / "ansible" / "roles"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl",
        },
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = [
        result["msg"]
        for event in events
        if event["_event"] == "v2_runner_on_failed"
        for result in event["hosts"].values()
    ]
    return Fetched(done.returncode, failed[-1] if failed else "")


def test_an_object_is_fetched(store: Store, tmp_path: Path) -> None:
    assert fetch(store, tmp_path) == (0, "")
    assert (tmp_path / "bundle.tar").read_bytes() == CONTENT


def test_a_store_that_is_overloaded_is_asked_again(store: Store, tmp_path: Path) -> None:
    store.statuses = [503, 500]
    assert fetch(store, tmp_path).code == 0
    assert store.asked == 3


def test_a_store_that_stays_down_is_told_after_three_more_attempts(store: Store, tmp_path: Path) -> None:
    store.statuses = [503] * 10
    fetched = fetch(store, tmp_path)
    assert (fetched.code, fetched.said) == (2, "Request failed: HTTP Error 503: Service Unavailable")
    assert store.asked == 4


def test_an_expired_url_is_told_without_the_url(store: Store, tmp_path: Path) -> None:
    store.statuses = [403] * 10
    fetched = fetch(store, tmp_path)
    assert fetched.said == "Request failed: HTTP Error 403: Forbidden (a pre-signed URL is good for an hour)"
    assert store.asked == 1


def test_other_bytes_are_refused_and_both_digests_told(store: Store, tmp_path: Path) -> None:
    fetched = fetch(store, tmp_path, "0" * 64)
    assert fetched.code == 2
    assert "0" * 64 in fetched.said
    assert DIGEST in fetched.said
    assert not (tmp_path / "bundle.tar").exists()
    assert store.asked == 1


def test_a_clock_that_is_wrong_is_told_with_what_failed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.statuses = [403] * 10
    date = tmp_path / "bin" / "date"
    date.parent.mkdir()
    date.write_text("#!/bin/sh\necho $(($(/bin/date +%s) - 7200))\n")
    date.chmod(0o755)
    monkeypatch.setenv("PATH", f"{date.parent}:{os.environ['PATH']}")
    said = fetch(store, tmp_path).said
    assert "; the clock of the host is -720" in said
    assert said.endswith(" s off the controller's")
