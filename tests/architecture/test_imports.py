"""The house's walls: who may import whom, what a host may need, and that nothing happens at import."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"

LAW: tuple[frozenset[str], ...] = (
    frozenset({"errors", "params", "contract", "scorer", "bundle"}),
    frozenset({"pipeline", "serving"}),
    frozenset({"release"}),
    frozenset({"fleet"}),
    frozenset({"report"}),
    frozenset({"provenance"}),
    frozenset({"cli"}),
)
"""Rooms of the house, the ground floor first. A room may import those of lower floors, and on the ground floor
its neighbours too."""

DOOR = "slipway.cli"
"""The package that is called from outside, by the name of its function; its own modules never ask it."""


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((SOURCES / "slipway").rglob("*.py"))}


def room(module: str) -> str:
    """`pipeline` of `slipway.pipeline.train`; nothing of `slipway` itself."""
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(LAW) if room(module) in rooms)


@cache
def imported(module: str) -> frozenset[str]:
    """Every module that a module imports, anywhere in it: modules of slipway by full name, others by their first."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path, which this test does not follow"
            source = node.module or ""
            found.update(
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source
                for alias in node.names
            )
    return frozenset(name if name in MODULES else name.split(".")[0] for name in found)


@cache
def reached(module: str) -> frozenset[str]:
    """The modules of slipway that run when a module is imported, itself and its packages but the door among them."""
    waiting, seen = {module}, set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        packages = {name.rpartition(".")[0]} & set(MODULES) - {DOOR}
        waiting |= ({each for each in imported(name) if each in MODULES} | packages) - seen
    return frozenset(seen)


def own(modules: frozenset[str]) -> frozenset[str]:
    return frozenset(each for each in modules if each in MODULES and each != "slipway")


@pytest.mark.parametrize("module", [each for each in MODULES if each != "slipway"])
def test_every_module_has_a_room(module: str) -> None:
    assert room(module) in frozenset().union(*LAW), f"{module} is in no room of the house: give it one in LAW"


@pytest.mark.parametrize("module", [each for each in MODULES if each != "slipway"])
def test_a_module_imports_from_lower_floors_only(module: str) -> None:
    for other in own(imported(module)):
        neighbours = floor(module) == 0 or room(module) == room(other)
        assert floor(other) < floor(module) or (floor(other) == floor(module) and neighbours), (
            f"{module} imports {other}"
        )


def test_serving_and_pipeline_do_not_know_each_other() -> None:
    for module in MODULES:
        if room(module) == "pipeline":
            assert "serving" not in {room(other) for other in reached(module)}, module
        if room(module) == "serving":
            assert "pipeline" not in {room(other) for other in reached(module)}, module


@pytest.mark.parametrize("module", [each for each in MODULES if room(each) == "serving"])
def test_the_service_reaches_nothing_that_stays_at_home(module: str) -> None:
    at_home = {"params", "pipeline", "release", "fleet", "report", "provenance", "cli"}

    strangers = {other for other in reached(module) if room(other) in at_home}

    assert strangers == set(), f"{module} needs {strangers}, which no host has"


def test_no_module_imports_itself_by_way_of_others() -> None:
    for module in MODULES:
        around = {other for other in own(imported(module)) if module in reached(other)}
        assert around == set(), f"{module} and {sorted(around)} import each other"


def _locked_for_hosts() -> frozenset[str]:
    """Distributions that `[project].dependencies` bring along, by `uv.lock`."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    needs: dict[str, set[str]] = {}
    for package in lock["package"]:
        wanted: list[dict[str, Any]] = package.get("dependencies", [])
        for extra in package.get("optional-dependencies", {}).values():
            wanted = [*wanted, *extra]
        needs.setdefault(package["name"], set()).update(each["name"] for each in wanted)
    slipway = next(package for package in lock["package"] if package["name"] == "slipway")
    waiting, seen = {each["name"] for each in slipway["dependencies"]}, set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= needs[name] - seen
    return frozenset(seen)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def providers() -> dict[str, list[str]]:
    """Distributions by the name that is imported."""
    return {
        name: [_normal(each) for each in distributions]
        for name, distributions in importlib.metadata.packages_distributions().items()
    }


def test_a_host_s_distributions_are_those_of_the_lock() -> None:
    locked = _locked_for_hosts()

    assert {"fastapi", "starlette", "onnxruntime", "numpy", "pydantic", "pydantic-core"} <= locked
    assert not {"pandas", "scikit-learn", "dvc", "ansible", "ruamel-yaml", "slipway"} & locked


@pytest.mark.parametrize(
    "module", sorted(frozenset().union(*(reached(each) for each in MODULES if room(each) == "serving")))
)
def test_what_runs_on_a_host_needs_what_a_host_installs(module: str, providers: dict[str, list[str]]) -> None:
    locked = _locked_for_hosts()

    for name in imported(module) - set(MODULES) - sys.stdlib_module_names:
        assert set(providers.get(name, [])) & locked, (
            f"{module} imports {name}, which [project].dependencies do not bring along"
        )


IMPORT_EACH = """
import importlib, logging, pathlib, sys, threading

places = [pathlib.Path(place) for place in sys.argv[1:4]]
def files():
    return {str(path) for place in places for path in place.rglob("*")}

def by_slipway(frame):
    # The first on the stack that is none of Python's own: slipway, or a library that it imports?
    while frame and frame.f_globals.get("__name__", "").split(".")[0] in sys.stdlib_module_names:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").startswith("slipway")

happened, current = [], ""
def watch(event, arguments):
    if event in {"open", "os.mkdir", "os.putenv", "socket.connect", "socket.bind", "subprocess.Popen"}:
        reads = event == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"))
        if not reads and by_slipway(sys._getframe(1)):
            happened.append(f"{current}: {event} {arguments[0]!r}")

sys.addaudithook(watch)
before = files()
for current in sys.argv[4:]:
    threads, handlers = threading.active_count(), list(logging.root.handlers)
    importlib.import_module(current)
    if files() != before:
        happened.append(f"{current}: made {sorted(files() - before)}")
        before = files()
    if threading.active_count() != threads:
        happened.append(f"{current}: started a thread")
    if logging.root.handlers != handlers:
        happened.append(f"{current}: set up logging")
print(*happened, sep="\\n", end="")
"""


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("here", "home", "temporary")]
    for place in places:
        place.mkdir()
    here, home, temporary = places
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "TMPDIR": str(temporary),
    }

    bottom_up = sorted(own(frozenset(MODULES)), key=lambda module: (floor(module), module))
    command = [sys.executable, "-c", IMPORT_EACH, *map(str, places), *bottom_up]

    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == []


@pytest.mark.parametrize(
    "module", [each for each in MODULES if MODULES[each].name == "__init__.py" and each != DOOR]
)
def test_a_package_s_own_file_says_what_it_is_and_does_nothing(module: str) -> None:
    body = ast.parse(MODULES[module].read_text()).body

    assert [ast.Expr] == [type(statement) for statement in body]
    assert ast.get_docstring(ast.parse(MODULES[module].read_text()))


def test_the_door_only_names_what_is_called_from_outside() -> None:
    _, *body = ast.parse(MODULES[DOOR].read_text()).body

    assert [type(statement) for statement in body] == [ast.ImportFrom, ast.Assign]
    assert [each for each in MODULES if DOOR in imported(each)] == []


def _stages() -> dict[str, dict[str, Any]]:
    pipeline: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())
    stages: dict[str, dict[str, Any]] = pipeline["stages"]
    return stages


@pytest.mark.parametrize(("stage", "declared"), _stages().items())
def test_a_stage_depends_on_every_module_that_it_imports(stage: str, declared: dict[str, Any]) -> None:
    # A package's own file does nothing: see the test before.
    files = {
        str(MODULES[module].relative_to(ROOT))
        for module in reached(f"slipway.pipeline.{stage}")
        if MODULES[module].name != "__init__.py"
    }

    missing = files - set(declared["deps"])

    assert missing == set(), f"dvc.yaml: {stage} imports {sorted(missing)}, which are not among its deps"


@pytest.mark.parametrize(("stage", "declared"), _stages().items())
def test_a_stage_depends_on_no_module_without_need(stage: str, declared: dict[str, Any]) -> None:
    imports = {str(MODULES[module].relative_to(ROOT)) for module in reached(f"slipway.pipeline.{stage}")}
    code = {path for path in declared["deps"] if path.startswith("src/")}

    spare = code - imports - set(declared["cmd"].split())

    assert spare == set(), f"dvc.yaml: {stage} does not import {sorted(spare)}, and so runs again for nothing"


def test_the_runtime_packs_every_module_that_serving_reaches() -> None:
    packed = {word for word in _stages()["runtime"]["cmd"].split() if word.startswith("src/")}
    needed = frozenset().union(*(reached(each) for each in MODULES if room(each) == "serving"))

    for module in needed:
        path = MODULES[module].relative_to(ROOT)
        assert {str(path), *map(str, path.parents)} & packed, f"{path} is served, but not in the runtime"
