"""The module's looks, each at a real folder, a real socket, a real process."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tests.infra.role import WANTED, Home, Process

# The whole look.


def test_before_the_first_rollout_the_home_need_not_be_there(facts: ModuleType, tmp_path: Path) -> None:
    home = tmp_path / "far" / "home"
    found = facts.observe(home, WANTED, 5)
    assert found.pop("free_bytes") > 0
    assert found == {
        "live_slot": "",
        "target_slot": "blue",
        "target_serves": False,
        "target_open": False,
        "folders_missing": [str(home / name) for name in ("releases", "runtimes", "slots", "run", "log")],
        "manager_runs": False,
        "orphaned": False,
        "manager_enabled": True,
        "configuration": {"supervisord.conf": "", "slot.sh": ""},
        "written": {},
        "strangers": [],
        "release_installed": False,
        "release_damaged": False,
        "runtime_installed": False,
        "owners": {"run": "", "predictions": ""},
        "superfluous": [],
    }
    assert not home.exists()


def test_another_release_goes_to_the_other_slot(facts: ModuleType, home: Home) -> None:
    home.release("v1.0.0")
    home.log("v1.0.0")
    for live, target in (("blue", "green"), ("green", "blue")):
        home.live(live, "v1.0.0")
        found = facts.observe(home.folder, WANTED, 5)
        assert (found["live_slot"], found["target_slot"]) == (live, target)
        assert (found["target_serves"], found["target_open"]) == (False, False)


@pytest.mark.usefixtures("manager")
def test_the_release_that_serves_stays_where_it_is(facts: ModuleType, home: Home, process: Process) -> None:
    wanted = home.release("v1.1.0")
    home.live("green", "v1.1.0")
    home.announce("green", process.port)
    process.says({"/metadata": {**wanted, "more": 1}, "/readyz": {"live": True}})
    found = facts.observe(home.folder, wanted, 5)
    assert (found["live_slot"], found["target_slot"]) == ("green", "green")
    assert (found["target_serves"], found["target_open"], found["manager_runs"]) == (True, True, True)
    assert (found["release_installed"], found["runtime_installed"]) == (True, True)
    assert (found["folders_missing"], found["superfluous"]) == ([], [])


@pytest.mark.usefixtures("manager")
def test_a_slot_that_serves_but_does_not_answer_at_the_front_door_is_not_open(
    facts: ModuleType, home: Home, process: Process
) -> None:
    wanted = home.release("v1.1.0")
    home.live("blue", "v1.1.0")
    home.announce("blue", process.port)
    process.says({"/metadata": wanted, "/readyz": {"live": False}})
    found = facts.observe(home.folder, wanted, 5)
    assert (found["target_serves"], found["target_open"]) == (True, False)


@pytest.mark.parametrize(
    "harm",
    [
        lambda packages: (packages / "some.py").unlink(),
        lambda packages: (packages / "some.py").write_text("cut"),
        lambda packages: (packages / "some_package-1.0.dist-info" / "RECORD").unlink(),
    ],
)
def test_a_runtime_that_lacks_something_is_not_installed(
    facts: ModuleType, home: Home, harm: Callable[[Path], object]
) -> None:
    wanted = home.release("v1.1.0")
    assert facts.observe(home.folder, wanted, 5)["runtime_installed"] is True
    harm(next(home.folder.glob("runtimes/*/lib/*/site-packages")))
    assert facts.observe(home.folder, wanted, 5)["runtime_installed"] is False


def test_without_the_link_the_slot_that_answers_at_the_front_door_is_live(
    facts: ModuleType, home: Home, process: Process
) -> None:
    wanted = home.release("v1.1.0")
    home.live("green", "v1.1.0")
    (home.folder / "live").unlink()
    home.announce("green", process.port)
    process.says({"/metadata": wanted, "/readyz": {"live": True}})
    assert facts.observe(home.folder, wanted, 5)["live_slot"] == "green"


@pytest.mark.parametrize("key", ["release", "commit", "bundle", "runtime"])
def test_a_process_with_another_identity_does_not_serve_the_release(
    facts: ModuleType, home: Home, process: Process, key: str
) -> None:
    wanted = home.release("v1.1.0")
    home.live("blue", "v1.1.0")
    home.announce("blue", process.port)
    process.says({"/metadata": {**wanted, key: "other"}, "/readyz": {"live": True}})
    assert facts.observe(home.folder, wanted, 5)["target_serves"] is False


def test_a_configuration_that_is_there_is_told(facts: ModuleType, home: Home) -> None:
    (home.folder / "supervisord.conf").write_text("[supervisord]\n")
    found = facts.observe(home.folder, WANTED, 5)["configuration"]
    assert found == {"supervisord.conf": "[supervisord]\n", "slot.sh": ""}


def test_a_link_that_leads_nowhere_is_nothing_live(facts: ModuleType, home: Home) -> None:
    (home.folder / "live").symlink_to("elsewhere")
    assert facts.observe(home.folder, WANTED, 5)["live_slot"] == ""


# What is installed.


def test_a_release_is_installed_when_its_record_is_there_and_its_bytes_are_whole(
    facts: ModuleType, home: Home
) -> None:
    wanted = home.release("v1.1.0")
    found = facts.observe(home.folder, wanted, 5)
    assert (found["release_installed"], found["release_damaged"]) == (True, False)


@pytest.mark.parametrize("file", ["release.json", "bundle.tar", "bundle/model.onnx", "bundle/manifest.json"])
@pytest.mark.parametrize("how", ["changed", "deleted", "empty"])
def test_a_release_with_a_file_that_is_not_whole_is_damaged(
    facts: ModuleType, home: Home, file: str, how: str
) -> None:
    wanted = home.release("v1.1.0")
    path = home.folder / "releases" / "v1.1.0" / file
    path.unlink()
    if how != "deleted":
        path.write_text("{}" if how == "changed" else "")
    found = facts.observe(home.folder, wanted, 5)
    assert (found["release_installed"], found["release_damaged"]) == (False, True)


def test_a_release_whose_record_promises_other_bytes_is_damaged(facts: ModuleType, home: Home) -> None:
    """The files agree with each other, and are those of another release."""
    wanted = home.release("v1.1.0") | {"bundle": "e" * 64}
    (home.folder / "releases/v1.1.0/release.json").write_text(json.dumps(wanted))
    assert facts.observe(home.folder, wanted, 5)["release_damaged"] is True


def test_a_release_with_a_file_too_many_is_damaged(facts: ModuleType, home: Home) -> None:
    wanted = home.release("v1.1.0")
    (home.folder / "releases/v1.1.0/bundle/extra.pkl").touch()
    assert facts.observe(home.folder, wanted, 5)["release_damaged"] is True


def test_a_runtime_without_its_mark_is_not_installed(facts: ModuleType, home: Home) -> None:
    wanted = home.release("v1.1.0")
    (home.folder / "runtimes" / ("1" * 16) / ".complete").unlink()
    assert facts.observe(home.folder, wanted, 5)["runtime_installed"] is False


# The release log.


@pytest.mark.parametrize("torn", ['{"model": "wear", "rel', "{}", "null", "[]", "7", ""])
def test_a_last_line_that_was_cut_short_does_not_count(facts: ModuleType, home: Home, torn: str) -> None:
    home.log("v1.0.0", "v1.1.0")
    with (home.folder / "releases.jsonl").open("a") as log:
        log.write(torn)
    assert facts.logged(home.folder) == ["v1.0.0", "v1.1.0"]


# What nothing goes back to.


def test_five_releases_are_kept_with_their_runtimes(facts: ModuleType, home: Home) -> None:
    labels = [f"v1.{number}.0" for number in range(8)]
    for number, label in enumerate(labels):
        home.release(label, str(number))
        home.log(label)
    home.live("blue", labels[-1])
    wanted = {**WANTED, "release": labels[-1], "runtime": "7" * 64}
    assert facts.superfluous(home.folder, wanted, facts.logged(home.folder), 5) == [
        *(f"releases/{label}" for label in labels[:3]),
        *(f"runtimes/{str(number) * 16}" for number in range(3)),
    ]


def test_of_the_five_the_wanted_one_is_the_first(facts: ModuleType, home: Home) -> None:
    labels = [f"v1.{number}.0" for number in range(5)]
    for label in labels:
        home.release(label)
        home.log(label)
    home.live("blue", labels[-1])
    wanted = {**WANTED, "release": "v1.5.0"}
    assert facts.superfluous(home.folder, wanted, facts.logged(home.folder), 5) == ["releases/v1.0.0"]


def test_a_release_that_was_live_twice_counts_once(facts: ModuleType, home: Home) -> None:
    for label in ("v1.0.0", "v1.1.0", "v1.2.0"):
        home.release(label)
    home.log("v1.0.0", "v1.1.0", "v1.2.0", "v1.1.0", "v1.2.0", "v1.1.0")
    assert facts.superfluous(home.folder, WANTED, facts.logged(home.folder), 2) == ["releases/v1.0.0"]


def test_what_is_live_stays_whatever_the_log_says(facts: ModuleType, home: Home) -> None:
    home.release("v0.1.0", "9")
    home.live("green", "v0.1.0")
    home.log(*(f"v1.{number}.0" for number in range(9)))
    assert facts.superfluous(home.folder, WANTED, facts.logged(home.folder), 5) == []


def test_the_old_slots_release_does_not_stay_for_its_slot(facts: ModuleType, home: Home) -> None:
    home.release("v0.1.0", "9")
    home.release("v1.1.0")
    home.live("green", "v0.1.0")
    home.live("blue", "v1.1.0")
    assert facts.superfluous(home.folder, WANTED, ["v1.1.0"], 5) == [
        "releases/v0.1.0",
        "runtimes/" + "9" * 16,
    ]


def test_a_runtime_that_a_kept_release_shares_stays(facts: ModuleType, home: Home) -> None:
    home.release("v1.0.0", "1")
    home.release("v1.1.0", "1")
    home.live("blue", "v1.1.0")
    assert facts.superfluous(home.folder, WANTED, ["v1.1.0"], 1) == ["releases/v1.0.0"]


def test_the_wanted_releases_runtime_stays_though_only_a_failed_release_had_it(
    facts: ModuleType, home: Home
) -> None:
    """The release is installed, and linked to it, only after the look."""
    home.release("v1.0.0", "1")
    home.live("blue", "v1.0.0")
    home.release("v1.1.0", "2")
    wanted = {**WANTED, "release": "v1.2.0", "runtime": "2" * 64}
    assert facts.superfluous(home.folder, wanted, ["v1.0.0"], 5) == ["releases/v1.1.0"]


def test_what_was_installed_by_half_is_superfluous(facts: ModuleType, home: Home) -> None:
    home.release("v1.1.0")
    home.live("blue", "v1.1.0")
    (home.folder / "releases/v1.0.0.partial").mkdir()
    assert facts.superfluous(home.folder, WANTED, ["v1.1.0"], 5) == ["releases/v1.0.0.partial"]


# Whom it asks.


@pytest.mark.parametrize(
    "answer",
    [(500, b"{}"), (503, b'{"live": true}'), (200, b"<html>"), (200, b"[]"), (200, b"")],
    ids=["500", "503", "html", "a list", "nothing"],
)
def test_what_is_no_answer_of_a_slot_is_nothing(
    facts: ModuleType, home: Home, process: Process, answer: tuple[int, bytes]
) -> None:
    home.announce("blue", process.port)
    process.answers = {"/metadata": answer}
    assert facts.asked(home.folder, "blue", "/metadata") == {}


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"port": "x"}'])
def test_an_announcement_that_cannot_be_read_is_nothing(facts: ModuleType, home: Home, text: str) -> None:
    (home.folder / "run" / "blue.json").write_text(text)
    assert facts.asked(home.folder, "blue", "/metadata") == {}


def test_a_killed_process_whose_port_others_have_is_nothing(facts: ModuleType, home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        home.announce("blue", other.getsockname()[1])
        assert facts.asked(home.folder, "blue", "/metadata") == {}
        thread.join()


def test_a_proxy_is_not_asked(
    facts: ModuleType, home: Home, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    home.announce("blue", process.port)
    process.says({"/metadata": {"release": "v1.0.0"}})
    assert facts.asked(home.folder, "blue", "/metadata") == {"release": "v1.0.0"}


# A host whose slots systemd keeps alive.


def test_units_are_the_configuration_of_systemd(facts: ModuleType, home: Home, systemd: Path) -> None:
    (systemd / "slipway.socket").write_text("[Socket]\n")
    found = facts.observe(home.folder, WANTED, 5, "systemd")["configuration"]
    assert found == {"slipway.socket": "[Socket]\n", "slipway.service": "", "slipway@.service": ""}


def test_systemd_keeps_slots_alive_when_socket_and_service_are_active(
    facts: ModuleType, home: Home, systemd: Path
) -> None:
    assert facts.observe(home.folder, WANTED, 5, "systemd")["manager_runs"] is False
    (systemd / "slipway.socket").touch()
    assert facts.observe(home.folder, WANTED, 5, "systemd")["manager_runs"] is False
    (systemd / "slipway.service").touch()
    found = facts.observe(home.folder, WANTED, 5, "systemd")
    assert (found["manager_runs"], found["orphaned"]) == (True, False)


def test_where_there_is_no_systemd_it_does_not_run(
    facts: ModuleType, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home.folder))
    assert facts.observe(home.folder, WANTED, 5, "systemd")["manager_runs"] is False
