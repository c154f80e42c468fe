"""The role `model_server` and its playbooks, as Ansible sees them and as they leave a host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from ruamel.yaml import YAML
from tests.local.workplace import REPOSITORY, Workplace, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSIBLE = REPOSITORY / "ansible"
ROLE = ANSIBLE / "roles" / "model_server"
BINARIES = Path(sys.executable).parent
PLAYBOOKS = sorted(path.stem for path in (ANSIBLE / "playbooks").glob("*.yml"))


class Played(NamedTuple):
    """How a playbook ended."""

    code: int
    changed: int
    failed: str
    """The message of the last task that failed."""


class Host(NamedTuple):
    """A host of the role: a folder, a port, and what the role is told of them."""

    home: Path
    port: int
    folder: Path
    """For what belongs to Ansible itself."""
    variables: dict[str, Any]

    def plays(self, playbook: str, *arguments: str, **changed: Any) -> Played:
        """Run a playbook; `changed` variables differ, and those that are None are not given."""
        inventory = self.folder / "inventory.json"
        hosts = {"local-1": {"ansible_connection": "local"}}
        inventory.write_text(json.dumps({"model_servers": {"hosts": hosts}}))
        given = {name: value for name, value in (self.variables | changed).items() if value is not None}
        done = run(
            "ansible-playbook", *arguments, f"--inventory={ANSIBLE / 'inventory' / 'local'}",
            f"--inventory={inventory}", f"--extra-vars={json.dumps(given)}",
            str(ANSIBLE / "playbooks" / f"{playbook}.yml"),
            ANSIBLE_HOME=str(self.folder / "ansible"), ANSIBLE_STDOUT_CALLBACK="ansible.posix.jsonl",
        )  # fmt: skip
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        failed = [
            result["msg"]
            for event in events
            if event["_event"] == "v2_runner_on_failed"
            for result in event["hosts"].values()
        ]
        stats = events[-1]["stats"].values()
        return Played(done.returncode, sum(host["changed"] for host in stats), failed[-1] if failed else "")

    def answers(self) -> str:
        url = f"http://127.0.0.1:{self.port}/metadata"
        return str(httpx.get(url, timeout=10, trust_env=False).json()["release"])

    def files(self) -> dict[str, tuple[int, str]]:
        """Everything under the host's folder, with its time and where it points; logs may grow."""
        return {
            str(path.relative_to(self.home)): (
                path.lstat().st_mtime_ns,
                str(path.readlink()) if path.is_symlink() else "",
            )
            for path in self.home.rglob("*")
            if path.parent.name not in {"log", "runtimes"} and "runtimes" not in path.parts
        }


def run(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{BINARIES}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), **variables}
    return subprocess.run(
        [str(BINARIES / program), *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True,
        check=False, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def host(shop: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host on which nothing has been done, but for the runtime, which it borrows."""
    folder = tmp_path_factory.mktemp("host")
    home, port = folder / "home", free_port()
    record = json.loads((shop.home / "live" / "release.json").read_text())
    kept = folder / "kept"
    shutil.copytree((shop.home / "live").resolve(), kept, symlinks=True)
    variables = {
        "model_server_home": str(home),
        "model_server_port": port,
        "model_server_release": record,
        "model_server_bundle_url": (kept / "bundle.tar").as_uri(),
        "model_server_runtime_url": (shop.root / "artifacts" / "runtime.tar").as_uri(),
        "model_server_python": sys.executable,
        "model_server_supervisord": str(BINARIES / "supervisord"),
    }
    made = Host(home, port, folder, variables)
    try:
        yield made
    finally:
        made.plays("stop")


@pytest.fixture(scope="module")
def served(host: Host, shop: Workplace) -> Host:
    """The host, serving."""
    runtime = host.variables["model_server_release"]["runtime"][:16]
    (host.home / "runtimes").mkdir(parents=True)
    (host.home / "runtimes" / runtime).symlink_to(shop.home / "runtimes" / runtime)
    played = host.plays("rollout")
    assert (played.code, played.failed) == (0, "")
    assert played.changed > 0
    return host


def test_ansible_lint_finds_nothing() -> None:
    # Nothing listens there: what is not offline, fails.
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = run("ansible-lint", "--offline", "--profile", "production", "--nocolor", "ansible", **proxies)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed: 0 failure(s), 0 warning(s)" in done.stderr


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_is_sound(playbook: str) -> None:
    inventory = ANSIBLE / "inventory" / "local"
    done = run(
        "ansible-playbook",
        "--syntax-check",
        f"--inventory={inventory}",
        f"{ANSIBLE}/playbooks/{playbook}.yml",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_of_the_role_is_specified() -> None:
    read = YAML(typ="safe").load
    options = read(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = read(ROLE / "defaults" / "main.yml")
    assert set(defaults) <= set(options)
    assert {name for name, option in options.items() if option.get("required")} & set(defaults) == set()
    assert all(option.get("description") for option in options.values())


RELEASE = {"model": "m", "release": "v1.0.0", "commit": "c", "bundle": "b" * 64, "runtime": "r" * 64}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"model_server_home": None}, "missing required arguments: model_server_home"),
        ({"model_server_release": None}, "missing required arguments: model_server_release"),
        (
            {"model_server_release": {key: RELEASE[key] for key in RELEASE if key != "bundle"}},
            "missing required arguments: bundle found in model_server_release",
        ),
        ({"model_server_release": RELEASE | {"digest": "d"}}, "model_server_release.digest"),
        ({"model_server_release": "v1.0.0"}, "argument 'model_server_release' is of type str"),
        ({"model_server_port": "eighty"}, "argument 'model_server_port' is of type str"),
        ({"model_server_ready_timeout_seconds": "soon"}, "argument 'model_server_ready_timeout_seconds'"),
        ({"model_server_action": "destroy"}, "value of model_server_action must be one of: deploy, rollback"),
        ({"model_server_service_manager": "cron"}, "value of model_server_service_manager must be one of"),
    ],
)
def test_a_missing_or_mistyped_variable_is_refused_by_its_name(
    tmp_path: Path, changed: dict[str, Any], expected: str
) -> None:
    home = tmp_path / "home"
    variables = {"model_server_home": str(home), "model_server_release": RELEASE}
    played = Host(home, 0, tmp_path, variables).plays("rollout", **changed)
    assert played.code == 2
    assert played.failed.startswith("Validation of arguments failed:")
    assert expected in played.failed
    assert not home.exists()


def test_check_mode_on_an_empty_host_changes_nothing(host: Host, tmp_path: Path) -> None:
    home = tmp_path / "home"
    played = host.plays("rollout", "--check", model_server_home=str(home), model_server_port=free_port())
    assert (played.code, played.failed) == (0, "")
    assert played.changed > 0
    assert not home.exists()


def test_the_second_run_changes_nothing(served: Host) -> None:
    before = served.files()
    assert served.plays("rollout") == Played(0, 0, "")
    assert before == served.files()


def test_check_mode_of_another_release_changes_nothing(served: Host) -> None:
    before, release = served.files(), served.answers()
    another = served.variables["model_server_release"] | {"release": "v9.9.9"}
    played = served.plays("rollout", "--check", model_server_release=another)
    assert (played.code, played.failed) == (0, "")
    assert played.changed > 0
    assert (before, release) == (served.files(), served.answers())


def test_another_release_by_the_name_of_one_that_is_there_is_refused(served: Host) -> None:
    before, release = served.files(), served.answers()
    another = served.variables["model_server_release"] | {"commit": "f" * 40}
    played = served.plays("rollout", model_server_release=another)
    assert played.code == 2
    assert f"{release} is on the host already, of commit" in played.failed
    assert (before, release) == (served.files(), served.answers())


def test_bytes_that_are_not_those_of_the_release_are_refused_and_removed(served: Host) -> None:
    before, release = served.files(), served.answers()
    another = served.variables["model_server_release"] | {"release": "v9.9.9", "bundle": "0" * 64}
    played = served.plays("rollout", model_server_release=another)
    assert played.code == 2
    assert "Fetch the bundle" in played.failed
    assert "0" * 64 in played.failed
    assert release == served.answers()
    assert before.keys() == served.files().keys()
