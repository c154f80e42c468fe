"""`dvc.yaml` tells the whole truth, and `dvc repro` does what it tells: a gate that says no leaves all as it was."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from slipway.params import Params

from .conftest import ROOT, Checkout

KEPT = ["artifacts/bundle.tar", "artifacts/runtime.tar", "manifest.json", "runtime.json"]


def _pipeline() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())
    return loaded


STAGES = _pipeline()["stages"]


def names(entries: list[Any]) -> set[str]:
    """Paths, of entries that are a path or a path with options."""
    return {path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)}


def written(stage: dict[str, Any]) -> set[str]:
    return names([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])])


def test_the_stages_stand_in_the_order_of_the_flow() -> None:
    made: set[str] = set()
    for name, stage in STAGES.items():
        products = {dep for dep in stage["deps"] if dep.startswith(("data/", "artifacts/", "reports/"))}
        assert products <= made, f"{name} stands before what it reads"
        made |= written(stage)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name_and_depends_on_it(name: str) -> None:
    assert STAGES[name]["cmd"].startswith(f"python -m slipway.pipeline.{name} ")
    assert f"src/slipway/pipeline/{name}.py" in STAGES[name]["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_every_path_in_a_command_is_declared(name: str) -> None:
    stage = STAGES[name]
    paths = {word for word in stage["cmd"].split()[3:] if ":" not in word}

    declared = (
        names(stage["deps"]) | written(stage) | names([p for p in stage["params"] if not isinstance(p, str)])
    )

    assert paths <= declared, f"{name} is told of {paths - declared}, which dvc.yaml does not declare"


@pytest.mark.parametrize("name", STAGES)
def test_every_file_that_a_stage_declares_is_in_its_command_or_is_code(name: str) -> None:
    stage = STAGES[name]
    files = {path for path in names(stage["deps"]) | written(stage) if not path.startswith("src/")}

    assert files <= set(stage["cmd"].split())


def test_no_stage_but_split_reads_the_acceptance_rows() -> None:
    acceptance = _pipeline()["artifacts"]["acceptance"]["path"]

    assert acceptance in written(STAGES["split"])
    for name, stage in STAGES.items():
        assert acceptance not in stage["deps"], f"{name} depends on the acceptance rows"
        assert name == "split" or acceptance not in stage["cmd"], f"{name} is told of the acceptance rows"


def test_a_folder_that_would_bring_the_acceptance_rows_along_is_no_dependency() -> None:
    acceptance = Path(_pipeline()["artifacts"]["acceptance"]["path"])

    for name, stage in STAGES.items():
        assert not {Path(dep) for dep in stage["deps"]} & set(acceptance.parents), name


class Uses(ast.NodeVisitor):
    """Sections of `params.yaml` that a module reads: of `params.load()`, or of an argument of type Params."""

    def __init__(self) -> None:
        self.sections: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        whole = {a.arg for a in node.args.args if a.annotation and ast.unparse(a.annotation) == "Params"}
        for statement in ast.walk(node):
            if isinstance(statement, ast.Assign) and ast.unparse(statement.value) == "params.load()":
                whole |= {ast.unparse(target) for target in statement.targets}
        for expression in ast.walk(node):
            if isinstance(expression, ast.Attribute) and expression.attr in Params.model_fields:
                owner = ast.unparse(expression.value)
                if owner in whole or owner == "params.load()":
                    self.sections.add(expression.attr)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_names_every_section_that_it_reads(name: str) -> None:
    uses = Uses()
    uses.visit(ast.parse((ROOT / f"src/slipway/pipeline/{name}.py").read_text()))

    assert uses.sections, f"{name} reads no parameters, or this test can no longer see which"
    assert uses.sections <= names(STAGES[name]["params"])


def test_the_lock_in_git_is_of_this_code_and_these_parameters(clean: Checkout) -> None:
    done = clean.run("dvc", "repro", "--dry", "--allow-missing")

    stale = re.findall(r"Running stage '(\w+)'", done.stdout)
    assert stale == [], "dvc.lock is stale: run `dvc repro` and commit what it changes"
    assert done.returncode == 0, done.stderr


def test_a_second_run_runs_nothing(reproduced: tuple[Checkout, Checkout]) -> None:
    done = reproduced[0].run("dvc", "repro")

    assert done.returncode == 0, done.stderr
    assert list(STAGES) == re.findall(r"^Stage '(\w+)' didn't change, skipping$", done.stdout, re.MULTILINE)
    assert "Running stage" not in done.stdout


@pytest.fixture(scope="module")
def refused(
    reproduced: tuple[Checkout, Checkout], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkout, subprocess.CompletedProcess[str], dict[str, bytes]]:
    """A clone with a bundle, whose parameters now ask for more than any model can give; and what it held before."""
    checkout = reproduced[0].copy(tmp_path_factory.mktemp("harsh") / "main")
    before = {path: (checkout.root / path).read_bytes() for path in [*KEPT, "dvc.lock"]}
    params = checkout.root / "params.yaml"
    gate = "roc_auc_over_baseline_minimum"
    text, changed = re.subn(rf"{gate}: [\d.]+", f"{gate}: 1.0", params.read_text())
    assert changed == 1
    params.write_text(text)
    return checkout, checkout.run("dvc", "repro"), before


Harsh = tuple[Checkout, subprocess.CompletedProcess[str], dict[str, bytes]]


def test_a_missed_gate_stops_the_pipeline_with_metric_value_and_limit(refused: Harsh) -> None:
    _, done, _ = refused

    assert done.returncode != 0
    assert re.search(
        r"^  roc_auc over baseline is 0\.\d{4}, must be >= 1 \(evaluate\.gates\.roc_auc_over_baseline_minimum\)$",
        done.stderr,
        re.MULTILINE,
    )
    assert "failed to reproduce 'evaluate'" in done.stderr
    assert "exited with 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_after_a_missed_gate_nothing_is_packaged(refused: Harsh) -> None:
    checkout, done, before = refused

    assert re.findall(r"Running stage '(\w+)'", done.stdout) == ["evaluate"]
    for path in KEPT:
        assert before[path] == (checkout.root / path).read_bytes(), f"{path} has changed"


def test_after_a_missed_gate_the_lock_still_pins_the_old_bundle(refused: Harsh) -> None:
    checkout, _, before = refused
    read = YAML(typ="safe", pure=True).load
    old, new = read(before["dvc.lock"].decode()), read((checkout.root / "dvc.lock").read_text())

    assert old["stages"]["package"] == new["stages"]["package"]
    assert old["stages"]["evaluate"] == new["stages"]["evaluate"]


def test_a_second_try_at_a_missed_gate_is_refused_again(refused: Harsh) -> None:
    checkout, _, _ = refused

    assert checkout.run("dvc", "repro", "package").returncode != 0


def test_the_stage_itself_exits_with_3(refused: Harsh) -> None:
    checkout, _, _ = refused

    done = checkout.run(*STAGES["evaluate"]["cmd"].split())

    assert done.returncode == 3
    assert done.stderr.startswith(
        "the model misses its success criteria; nothing is packaged:\n  roc_auc over baseline is "
    )


def test_parameters_with_a_mistake_stop_the_first_stage_with_the_path(refused: Harsh) -> None:
    checkout, _, before = refused
    params = checkout.root / "params.yaml"
    kept = params.read_text()
    params.write_text(kept.replace("  seed:", "  sead:"))

    done = checkout.run(*STAGES["ingest"]["cmd"].split())
    params.write_text(kept)

    assert done.returncode == 1
    assert "split.sead: unknown key; did you mean 'seed'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert before["artifacts/bundle.tar"] == (checkout.root / "artifacts/bundle.tar").read_bytes()
