"""What a host finds wrong with itself, each at a real folder."""

import fcntl
import json
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest
from tests.infra.role import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A host of supervisord on which v1.0.0 is live, and as a roll-out left it."""
    home = Home(tmp_path / "home")
    home.make()
    home.release("v1.0.0")
    home.live("green", "v1.0.0")
    texts = {"supervisord.conf": "[supervisord]\n", "slot.sh": "#!/bin/sh\n"}
    write(home.folder, home.folder, texts)
    return home


def write(home: Path, folder: Path, texts: dict[str, str]) -> None:
    """Write what tells a service manager what to run, and remember it."""
    for name, text in texts.items():
        (folder / name).write_text(text)
    digests = {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}
    (home / "configuration.json").write_text(json.dumps(digests))


@pytest.fixture
def units(account: ModuleType, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The units of a host with systemd, as a roll-out left them."""
    folder = tmp_path / "units"
    folder.mkdir()
    monkeypatch.setattr(account, "UNITS", folder)
    names = ("slipway.socket", "slipway.service", "slipway@.service")
    write(home.folder, folder, {name: f"# {name}\n" for name in names})
    return folder


def test_a_host_that_is_as_a_rollout_left_it_has_no_fault(account: ModuleType, home: Home) -> None:
    found = account.report(home.folder, "supervisord", thorough=True)
    assert (found["slot"], found["live"]["release"], found["damaged"]) == ("green", "v1.0.0", [])
    assert account.faults(home.folder, "supervisord") == []


def test_before_the_first_rollout_there_is_no_fault(account: ModuleType, tmp_path: Path) -> None:
    found = account.report(tmp_path / "absent", "supervisord")
    assert (found["slot"], found["live"], found["faults"]) == ("", {}, [])


def test_a_file_that_was_changed_or_removed_is_named(account: ModuleType, home: Home) -> None:
    (home.folder / "slot.sh").unlink()
    (home.folder / "supervisord.conf").write_text("[supervisord]\nminfds = 1\n")
    assert account.faults(home.folder, "supervisord") == [
        f"{home.folder}/supervisord.conf is not as the roll-out wrote it",
        f"{home.folder}/slot.sh is gone",
    ]


def test_where_nobody_knows_what_was_written_that_is_said(account: ModuleType, home: Home) -> None:
    (home.folder / "configuration.json").write_text("[")
    (fault,) = account.faults(home.folder, "supervisord")
    assert fault.startswith(f"{home.folder}/configuration.json is missing")


def test_units_that_are_as_they_were_written_are_no_drift(
    account: ModuleType, home: Home, units: Path
) -> None:
    assert units.is_dir()
    assert account.drift(home.folder, "systemd") == []


@pytest.mark.parametrize(
    "stranger", ["slipway@.service.d/override.conf", "slipway@blue.service", "slipway.socket.d/x.conf"]
)
def test_what_systemctl_edit_leaves_is_drift(
    account: ModuleType, home: Home, units: Path, stranger: str
) -> None:
    (units / stranger).parent.mkdir(exist_ok=True)
    (units / stranger).write_text("[Service]\nLimitNOFILE=16\n")
    (units / "other.service").touch()
    assert account.drift(home.folder, "systemd") == [f"{units / stranger} was not written by a roll-out"]


def test_a_masked_unit_is_drift(account: ModuleType, home: Home, units: Path) -> None:
    (units / "slipway.socket").unlink()
    (units / "slipway.socket").symlink_to("/dev/null")
    assert account.drift(home.folder, "systemd") == [
        f"{units}/slipway.socket is not as the roll-out wrote it"
    ]


def test_a_runtime_that_lacks_a_file_is_a_fault(account: ModuleType, home: Home) -> None:
    (next(home.folder.glob("runtimes/*/lib/*/site-packages")) / "some.py").unlink()
    assert account.faults(home.folder, "supervisord") == ["the runtime of v1.0.0 is not whole"]


def test_other_bytes_of_the_same_length_are_found_by_a_thorough_look(account: ModuleType, home: Home) -> None:
    (next(home.folder.glob("runtimes/*/lib/*/site-packages")) / "some.py").write_text("x = 2\n")
    assert account.faults(home.folder, "supervisord") == []
    found = account.faults(home.folder, "supervisord", thorough=True)
    assert found == ["the runtime of v1.0.0 is not whole"]


def test_a_release_that_is_not_whole_is_damaged_and_one_under_way_is_none(
    account: ModuleType, home: Home
) -> None:
    home.release("v1.1.0")
    home.release("v1.2.0.partial")
    (home.folder / "releases" / "v1.1.0" / "bundle" / "model.onnx").write_bytes(b"x")
    found = account.report(home.folder, "supervisord")
    assert (list(found["installed"]), found["damaged"]) == (["v1.0.0"], ["v1.1.0"])


@pytest.mark.parametrize(
    ("unit", "verb", "word", "fault"),
    [
        ("slipway.socket", "is-active", "failed", "slipway.socket is failed"),
        ("slipway.service", "is-active", "", "slipway.service is not there"),
        (
            "slipway.socket", "is-enabled", "disabled",
            "slipway.socket would not start with the machine: it is disabled",
        ),
    ],
)  # fmt: skip
def test_a_unit_that_does_not_run_or_would_not_start_is_a_fault(
    account: ModuleType, home: Home, units: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    unit: str, verb: str, word: str, fault: str,
) -> None:  # fmt: skip
    words = (
        f'case "$1 $2" in "{verb} {unit}") echo {word} ;; is-active*) echo active ;; *) echo enabled ;; esac'
    )
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{words}\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert units.is_dir()
    assert account.faults(home.folder, "systemd") == [fault]


def test_slots_that_a_killed_supervisord_has_left_are_a_fault(account: ModuleType, home: Home) -> None:
    with (home.folder / "run" / "green.json").open("w") as announcement:
        fcntl.flock(announcement, fcntl.LOCK_EX)
        (fault,) = account.faults(home.folder, "supervisord")
    assert fault.startswith("supervisord was killed: ")
