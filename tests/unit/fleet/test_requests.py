"""How recorded requests come from hosts: the command that is run there, and hosts that give nothing."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slipway.errors import InputError
from slipway.fleet import requests
from slipway.fleet.environment import Fleet, Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.fleet.context import Context


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A host's folder whose log has files of both slots; a name with a blank, which no shell may divide."""
    folder = tmp_path / "a home" / "predictions"
    folder.mkdir(parents=True)
    for name, lines in {"00000009-blue": "abc", "00000010-green": "de", "00000011-blue": ""}.items():
        (folder / f"{name}.jsonl").write_text(
            "".join(f'{line}\n{{"request":"slipway-x"}}\n' for line in lines)
        )
    return folder.parent


@pytest.mark.parametrize(("last", "lines"), [(1, "e"), (3, "cde"), (9, "abcde")])
def test_the_newest_lines_come_from_the_newest_files(home: Path, last: int, lines: str) -> None:
    done = subprocess.run(requests._command([], home, last), capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(lines)


def test_a_shell_at_the_far_end_reads_the_same_command(home: Path) -> None:
    *ssh, line = requests._command(["ssh", "model-1", "sudo"], home, 2)
    assert ssh == ["ssh", "model-1", "sudo"]
    assert shlex.split(line) == requests._command([], home, 2)


def test_a_host_without_a_log_has_no_requests(tmp_path: Path) -> None:
    done = subprocess.run(requests._command([], tmp_path, 5), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "requests.jsonl"
    assert requests.write(file, {"a": ["1"], "b": ["2", "3"]}) == 3
    assert requests.write(file, {"a": ["4"]}) == 1
    assert file.read_text() == "4\n"
    assert [path.name for path in file.parent.iterdir()] == ["requests.jsonl"]


@pytest.fixture
def fleet(context: Context, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Hosts whose way to them is a script."""

    def of(**scripts: str) -> None:
        hosts = {
            name: Host(address=name, connection="ssh", home=Path("/srv"), port=1, ssh=script)
            for name, script in scripts.items()
        }
        found = Fleet(url="http://x", service_manager="systemd", hosts=hosts)
        monkeypatch.setattr(requests, "known_fleet", lambda _: found)
        monkeypatch.setattr(
            type(context.environment), "ssh", lambda _, host: ["sh", "-c", host.ssh, "the command"]
        )
        monkeypatch.setattr(type(context.environment), "is_here", False)

    return of


def test_what_some_hosts_give_is_not_lost_with_those_that_give_nothing(
    context: Context, fleet: Callable[..., None]
) -> None:
    fleet(
        a="echo one; echo two",
        b="echo 'ssh: connect to host b port 22: No route to host' >&2; exit 255",
        c="echo 'cat: no: Permission denied' >&2; exit 1",
    )
    found = requests.fetch(context, 5)
    assert found.lines == {"a": ["one", "two"]}
    assert found.lost == {
        "b": "ssh: connect to host b port 22: No route to host",
        "c": "cat: no: Permission denied",
    }


def test_an_environment_without_hosts_is_refused(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "known_fleet", lambda _: None)
    with pytest.raises(InputError, match="nothing is deployed on local") as error:
        requests.fetch(context, 5)
    assert error.value.next_command == "slipway deploy local"
