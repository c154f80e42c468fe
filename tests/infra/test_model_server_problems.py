"""The module's refusals: why a host cannot serve."""

import os
import platform
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.infra.role import WANTED, Home


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        return int(mine.getsockname()[1])


def test_a_first_look_finds_no_problem(facts: ModuleType, tmp_path: Path, free_port: int) -> None:
    assert facts.problems(tmp_path / "far" / "home", WANTED, "127.0.0.1", free_port, sys.executable) == []


def test_another_release_of_the_same_name_is_a_problem(facts: ModuleType, home: Home, free_port: int) -> None:
    there = home.release("v1.1.0")
    wanted = {**there, "bundle": "e" * 64}
    assert facts.problems(home.folder, wanted, "127.0.0.1", free_port, sys.executable) == [
        f"v1.1.0 is on the host already, of commit {there['commit']} and bundle {there['bundle']}"
    ]


def test_a_port_that_another_program_has_is_a_problem(facts: ModuleType, home: Home, taken_port: int) -> None:
    assert facts.taken(home.folder, "127.0.0.1", taken_port) == (
        f"port {taken_port} on 127.0.0.1 cannot be had: Address already in use"
    )


def test_an_address_of_another_machine_is_a_problem(facts: ModuleType, home: Home) -> None:
    assert facts.taken(home.folder, "192.0.2.1", 8080) == (
        "port 8080 on 192.0.2.1 cannot be had: Cannot assign requested address"
    )


def test_a_port_that_was_just_left_can_be_had(facts: ModuleType, home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    assert facts.taken(home.folder, "127.0.0.1", port) == ""


@pytest.mark.usefixtures("manager")
def test_the_environments_own_service_manager_may_have_its_port(
    facts: ModuleType, home: Home, taken_port: int
) -> None:
    (home.folder / "supervisord.conf").write_text(f"socket = tcp://127.0.0.1:{taken_port}\n")
    assert facts.taken(home.folder, "127.0.0.1", taken_port) == ""


@pytest.mark.usefixtures("manager")
def test_the_service_manager_has_only_the_port_that_it_is_told(
    facts: ModuleType, home: Home, taken_port: int
) -> None:
    (home.folder / "supervisord.conf").write_text(f"socket = tcp://127.0.0.1:{taken_port}0\n")
    assert "Address already in use" in facts.taken(home.folder, "127.0.0.1", taken_port)


def test_a_configuration_whose_manager_is_gone_has_no_port(
    facts: ModuleType, home: Home, taken_port: int
) -> None:
    (home.folder / "supervisord.conf").write_text(f"socket = tcp://127.0.0.1:{taken_port}\n")
    (home.folder / "run" / "supervisord.pid").write_text(str(os.getpid()))
    assert "Address already in use" in facts.taken(home.folder, "127.0.0.1", taken_port)


def test_a_folder_that_cannot_be_written_to_is_a_problem(facts: ModuleType) -> None:
    """Below /proc, where not even root can."""
    assert facts.unwritable(Path("/proc/home")).startswith("/proc/home cannot be written to: ")


def test_looking_whether_a_folder_can_be_written_to_leaves_nothing(facts: ModuleType, tmp_path: Path) -> None:
    assert facts.unwritable(tmp_path / "far" / "home") == ""
    assert list(tmp_path.iterdir()) == []


def test_this_python_is_the_one_that_the_runtime_is_for(facts: ModuleType) -> None:
    assert facts.wrong_python(sys.executable, platform.machine()) == ""


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("echo 3.12 x86_64", "{python} is Python 3.12, the runtime is for 3.11"),
        ("echo 3.1 x86_64", "{python} is Python 3.1, the runtime is for 3.11"),
        ("echo 3.11 aarch64", "this machine is aarch64, the runtime is for x86_64"),
        ("echo 3.11", "{python} does not run: "),
        ("exit 1", "{python} does not run: "),
    ],
)
def test_a_python_that_is_another_is_a_problem(
    facts: ModuleType, tmp_path: Path, program: str, expected: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    assert facts.wrong_python(str(python), "x86_64").startswith(expected.format(python=python))


def test_a_python_that_is_not_there_is_a_problem(facts: ModuleType, tmp_path: Path) -> None:
    python = str(tmp_path / "python")
    assert facts.wrong_python(python, "x86_64").startswith(f"{python} does not run: ")


def test_every_problem_is_told(facts: ModuleType, taken_port: int) -> None:
    found = facts.problems(Path("/proc/home"), WANTED, "127.0.0.1", taken_port, "/absent/python")
    assert [problem.partition(" c")[0].partition(" does")[0] for problem in found] == [
        "/proc/home", "/absent/python", f"port {taken_port} on 127.0.0.1",
    ]  # fmt: skip


def test_the_port_that_our_own_socket_has_is_not_taken(
    facts: ModuleType, home: Home, systemd: Path, taken_port: int
) -> None:
    def problems() -> list[str]:
        found: list[str] = facts.problems(
            home.folder, WANTED, "127.0.0.1", taken_port, sys.executable, "systemd"
        )
        return found

    assert problems() == [f"port {taken_port} on 127.0.0.1 cannot be had: Address already in use"]
    for unit in ("slipway.socket", "slipway.service"):
        (systemd / unit).write_text(f"ListenStream=127.0.0.1:{taken_port}\n")
    assert problems() == []
    (systemd / "slipway.socket").write_text("ListenStream=127.0.0.1:1\n")
    (systemd / "slipway.service").write_text("")
    assert len(problems()) == 1
