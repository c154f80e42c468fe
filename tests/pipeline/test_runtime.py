"""The runtime: all that a host needs to serve, each wheel by its hash, and nothing that trains or releases."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path

import pytest

from slipway.errors import MachineError
from slipway.params import Params
from slipway.pipeline import runtime
from slipway.pipeline.runtime import download_command, export_command, platform_tags, serving_project

from .conftest import ROOT, Checkout

ARGUMENTS = ["pyproject.toml", "uv.lock", "artifacts/runtime.tar", "runtime.json", "src/slipway/__init__.py"]


def distribution(wheel: str) -> str:
    return wheel.split("-", maxsplit=1)[0].replace("_", "-").lower()


def test_an_older_glibc_s_wheels_run_too_and_the_newest_are_tried_first() -> None:
    assert platform_tags("manylinux_2_8_x86_64") == [
        "manylinux_2_8_x86_64",
        "manylinux_2_7_x86_64",
        "manylinux_2_6_x86_64",
        "manylinux_2_5_x86_64",
        "manylinux2014_x86_64",
    ]


def test_a_newer_glibc_s_wheels_are_not_taken() -> None:
    assert "manylinux_2_29_x86_64" not in platform_tags("manylinux_2_28_x86_64")


def test_another_processor_s_wheels_are_not_taken() -> None:
    assert all(tag.endswith("_aarch64") for tag in platform_tags("manylinux_2_28_aarch64"))


@pytest.mark.parametrize("platform", ["musllinux_1_2_x86_64", "macosx_14_0_arm64", "manylinux2014_x86_64"])
def test_a_platform_without_a_glibc_number_is_taken_as_it_is(platform: str) -> None:
    assert [platform] == platform_tags(platform)


def test_requirements_are_exported_from_the_lock_without_groups_and_without_us() -> None:
    command = export_command(Path("/repository/uv.lock"))

    assert [sys.executable, "-m", "uv", "export"] == command[:4]
    assert {"--frozen", "--no-default-groups", "--no-emit-project"} <= set(command)
    assert command[-2:] == ["--project", "/repository"]


def test_wheels_are_downloaded_by_their_hash_for_the_host_s_platform() -> None:
    command = download_command(Path("list.txt"), "manylinux_2_5_x86_64", Path("wheels"))

    assert [sys.executable, "-m", "pip", "download"] == command[:4]
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.11"} <= set(command)
    assert "--platform manylinux_2_5_x86_64 --platform manylinux2014_x86_64" in " ".join(command)
    assert command[-2:] == ["--dest=wheels", "--requirement=list.txt"]


def test_the_serving_wheel_has_our_dependencies_and_no_command() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())

    project = tomllib.loads(serving_project(pyproject))

    assert pyproject["project"]["dependencies"] == project["project"]["dependencies"]
    assert pyproject["build-system"] == project["build-system"]
    assert "scripts" not in project["project"]
    assert {"scripts"} <= set(pyproject["project"])
    assert project["tool"]["hatch"]["build"]["targets"] == {"wheel": {"packages": ["slipway"]}}


def test_a_wheel_that_is_not_the_locked_one_is_refused(
    settings: Params, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)
    lock = (ROOT / "uv.lock").read_text()
    digests = set(re.findall(r"annotated_doc-[^\"]*\", hash = \"sha256:(\w+)\"", lock))
    assert digests, "uv.lock no longer holds annotated-doc: choose another small dependency"
    for digest in digests:
        lock = lock.replace(digest, "0" * 64)
    (folder / "uv.lock").write_text(lock)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())

    with pytest.raises(MachineError, match=r"^`.*python -m pip download \.\.\.` failed: "):
        runtime.main(ARGUMENTS)

    assert not (folder / "artifacts").exists()


def test_a_lock_that_cannot_be_read_is_refused_with_the_tool_s_own_words(
    settings: Params, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)
    (folder / "uv.lock").write_text("not a lock")
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())

    with pytest.raises(MachineError, match=r"^`.*python -m uv export \.\.\.` failed: .*\S"):
        runtime.main(ARGUMENTS)


def test_the_record_tells_the_truth_of_the_tar(
    reproduced: tuple[Checkout, Checkout], settings: Params
) -> None:
    root = reproduced[0].root
    record = json.loads((root / "runtime.json").read_text())
    tar = (root / "artifacts/runtime.tar").read_bytes()

    assert hashlib.sha256(tar).hexdigest() == record["sha256"]
    assert len(tar) == record["bytes"]
    assert list(settings.runtime.platforms) == record["platforms"]
    with tarfile.open(root / "artifacts/runtime.tar") as archive:
        wheels = {f"wheels/{wheel}" for wheel in record["wheels"]}
        assert {*wheels, "requirements.txt"} == set(archive.getnames())


def test_every_requirement_is_pinned_and_has_a_hash(unpacked_runtime: Path) -> None:
    text = (unpacked_runtime / "requirements.txt").read_text().replace("\\\n", " ")
    requirements = text.strip().splitlines()

    for requirement in requirements:
        assert re.match(r"^[a-z0-9-]+==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement
    wheels = {distribution(wheel.name) for wheel in (unpacked_runtime / "wheels").iterdir()}
    assert wheels == {requirement.split("==")[0] for requirement in requirements}


def test_every_wheel_has_one_of_the_hashes_of_its_requirement(unpacked_runtime: Path) -> None:
    text = (unpacked_runtime / "requirements.txt").read_text().replace("\\\n", " ")
    allowed = {line.split("==")[0]: line for line in text.strip().splitlines()}

    for wheel in (unpacked_runtime / "wheels").iterdir():
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        assert f"--hash=sha256:{digest}" in allowed[distribution(wheel.name)], wheel.name


def test_every_wheel_is_for_the_platform_of_the_hosts(unpacked_runtime: Path, settings: Params) -> None:
    fitting = {"any", *(tag for platform in settings.runtime.platforms for tag in platform_tags(platform))}

    for wheel in (unpacked_runtime / "wheels").iterdir():
        assert fitting & set(wheel.stem.split("-")[-1].split(".")), wheel.name


def serving_wheel(folder: Path) -> zipfile.ZipFile:
    (wheel,) = (folder / "wheels").glob("slipway-*.whl")
    return zipfile.ZipFile(wheel)


def test_the_serving_wheel_holds_what_serves_and_nothing_else(unpacked_runtime: Path) -> None:
    with serving_wheel(unpacked_runtime) as wheel:
        parts = {name.split("/")[1] for name in wheel.namelist() if name.startswith("slipway/")}

    assert parts == {"__init__.py", "errors.py", "contract.py", "scorer.py", "bundle.py", "serving"}


def test_the_serving_wheel_holds_all_of_serving_as_it_is_in_the_repository(
    unpacked_runtime: Path, reproduced: tuple[Checkout, Checkout]
) -> None:
    sources = reproduced[0].root / "src"
    expected = {
        str(path.relative_to(sources)): path.read_bytes()
        for path in (sources / "slipway/serving").rglob("*.py")
    }

    with serving_wheel(unpacked_runtime) as wheel:
        packed = {name: wheel.read(name) for name in wheel.namelist() if "/serving/" in name}

    assert expected == packed


def test_the_serving_wheel_has_no_console_script(unpacked_runtime: Path) -> None:
    with serving_wheel(unpacked_runtime) as wheel:
        assert not [name for name in wheel.namelist() if name.endswith("entry_points.txt")]


def test_the_serving_wheel_requires_what_the_project_declares(unpacked_runtime: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]

    with serving_wheel(unpacked_runtime) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(wheel.read(name).decode())

    names = {re.split(r"[<>=!~]", requirement)[0].strip() for requirement in declared}
    assert names == {re.split(r"[<>=!~]", each)[0].strip() for each in metadata.get_all("Requires-Dist", [])}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def empty_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment, as a host makes it."""
    environment = tmp_path_factory.mktemp("host") / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, capture_output=True)
    return environment


@pytest.fixture(scope="module")
def added(empty_host: Path, unpacked_runtime: Path) -> int:
    """Bytes that the runtime has added to the host, installed as a roll-out does it."""
    before = size(empty_host)
    subprocess.run(
        [
            *(empty_host / "bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--find-links"),
            *("wheels", "--require-hashes", "--requirement", "requirements.txt"),
        ],
        cwd=unpacked_runtime,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"},
        check=True,
    )
    return size(empty_host) - before


@pytest.fixture(scope="module")
def host(empty_host: Path, added: int) -> Callable[..., str]:
    """Runs the host's Python, blind to this repository; returns what it prints."""
    assert added

    def run(*arguments: str) -> str:
        command = [str(empty_host / "bin/python"), "-I", "-W", "error", *arguments]
        done = subprocess.run(command, cwd=empty_host, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_host_installs_the_wheels_of_the_runtime_and_no_others(
    host: Callable[..., str], reproduced: tuple[Checkout, Checkout]
) -> None:
    listing = "import importlib.metadata as m; print(*[d.name for d in m.distributions()])"
    installed = {name.replace("_", "-").lower() for name in host("-c", listing).split()}

    wheels = json.loads((reproduced[0].root / "runtime.json").read_text())["wheels"]
    assert {distribution(wheel) for wheel in wheels} == installed - {"pip", "setuptools"}


@pytest.mark.parametrize(
    "module",
    [
        "sklearn",
        "pandas",
        "dvc",
        "ansible",
        "onnx",
        "skl2onnx",
        "slipway.cli",
        "slipway.params",
        "slipway.pipeline",
        "slipway.release",
        "slipway.fleet",
    ],
)
def test_a_host_has_nothing_that_trains_releases_or_deploys(host: Callable[..., str], module: str) -> None:
    program = f"import importlib.util as u; print(u.find_spec({module!r}))"

    assert host("-c", program) == "None\n"


def test_a_host_has_no_slipway_command(host: Callable[..., str]) -> None:
    program = "import sys, pathlib; print([p.name for p in pathlib.Path(sys.prefix, 'bin').glob('slipway*')])"

    assert host("-c", program) == "[]\n"


def test_the_runtime_takes_less_than_200_megabytes(added: int) -> None:
    assert added < 200_000_000


def test_the_service_starts_on_a_host(host: Callable[..., str]) -> None:
    assert "--front-fd" in host("-m", "slipway.serving", "--help")


def test_a_host_s_bundle_answers_its_golden_rows(
    host: Callable[..., str], reproduced: tuple[Checkout, Checkout], tmp_path: Path
) -> None:
    with tarfile.open(reproduced[0].root / "artifacts/bundle.tar") as archive:
        archive.extractall(tmp_path / "bundle", filter="data")
    program = "import sys, pathlib, slipway.bundle as b; b.Bundle(pathlib.Path(sys.argv[1])).scorer(); print('sound')"

    assert host("-c", program, str(tmp_path / "bundle")) == "sound\n"
