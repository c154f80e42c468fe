import sys
from pathlib import Path

import pytest
from tests.unit.machine import Program, Terraform
from tests.unit.workshop import Workshop

from slipway.fleet import doctor
from slipway.fleet import terraform as adapter
from slipway.fleet.doctor import Finding


@pytest.fixture
def examine(workshop: Workshop, tmp_path: Path) -> dict[str, Finding]:
    """What the doctor finds, by tool."""
    return {finding.tool: finding for finding in doctor.examine(workshop.root, tmp_path / "state")}


def found(workshop: Workshop, tool: str) -> str | None:
    (finding,) = [
        each for each in doctor.examine(workshop.root, workshop.root / ".slipway") if each.tool == tool
    ]
    return finding.found


def test_what_these_tests_run_on_is_found(examine: dict[str, Finding]) -> None:
    needed = [
        "python 3.11",
        "git",
        "dvc",
        "scikit-learn",
        "onnxruntime",
        "ansible",
        "supervisor",
        "python-terraform",
    ]
    assert [tool for tool in needed if examine[tool].found is None] == []
    assert examine["python 3.11"].found == ".".join(map(str, sys.version_info[:3]))


def test_every_tool_has_a_remedy(examine: dict[str, Finding]) -> None:
    assert [finding.tool for finding in examine.values() if not finding.remedy] == []


def test_git_tells_its_version(workshop: Workshop) -> None:
    assert found(workshop, "git") == workshop.git("--version").split()[2]


@pytest.mark.parametrize(
    ("says", "expected"), [("2.34.1", "2.34.1"), ("2.33.9", None), ("10.0", "10.0"), ("of some sort", None)]
)
def test_a_git_that_cannot_sign_by_ssh_is_found_wanting(
    workshop: Workshop, terraform: Terraform, says: str, expected: str | None
) -> None:
    git = terraform.path.with_name("git")
    git.unlink()  # a link to the one of this machine
    Program(git).does(f"print('git version {says}')")
    assert found(workshop, "git") == expected


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("print('GNU Make 4.3\\nBuilt for x86_64')", "4.3"),
        ("print('make, of some sort')", "make, of some sort"),
        ("print()", None),
        ("sys.exit(1)", None),
    ],
    ids=["a version", "no version", "nothing", "fails"],
)
def test_a_tool_is_found_by_what_it_says(
    workshop: Workshop, terraform: Terraform, says: str, expected: str | None
) -> None:
    Program(terraform.path.with_name("make")).does(says)
    assert found(workshop, "make") == expected


def test_a_tool_that_is_not_on_path_is_missing(workshop: Workshop, terraform: Terraform) -> None:
    assert not terraform.path.with_name("make").exists()
    assert found(workshop, "make") is None


def test_terraform_is_found_with_its_place(workshop: Workshop, terraform: Terraform) -> None:
    terraform.works("", Path())
    assert found(workshop, "terraform >= 1.10") == f"1.11.4 ({terraform.path})"


@pytest.mark.usefixtures("terraform")
def test_without_any_terraform_it_is_missing(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_wheel(_: Path) -> None:
        return None

    monkeypatch.setattr(adapter, "_wheel", no_wheel)
    assert found(workshop, "terraform >= 1.10") is None


def test_a_package_that_is_not_installed_is_missing() -> None:
    assert doctor._package("no-such-distribution") is None


def test_the_author_is_git_s(workshop: Workshop) -> None:
    assert found(workshop, "author") == "Ada <ada@example.org>"


def test_without_an_author_git_config_is_recommended(workshop: Workshop) -> None:
    workshop.git("config", "--unset", "user.email")
    workshop.git("config", "user.useConfigOnly", "true")
    (finding,) = [each for each in doctor.examine(workshop.root, workshop.root) if each.tool == "author"]
    assert finding == Finding("author", None, 'git config user.name "..." && git config user.email "..."')


def test_a_disk_with_too_little_room_is_found_wanting(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_FREE_BYTES", 0)
    room = found(workshop, "2 GB free")
    assert room is not None
    assert room.endswith(" GB")
    monkeypatch.setattr(doctor, "_FREE_BYTES", 2**70)
    assert found(workshop, "2 GB free") is None


def test_another_python_is_found_wanting(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    assert found(workshop, "python 3.11") is None
