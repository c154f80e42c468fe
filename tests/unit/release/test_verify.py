"""Whether a commit's lock is honest, on a small pipeline of DVC's own; and what each kind of dishonesty is called."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.unit.workshop import Workshop

from slipway.errors import InputError, MachineError
from slipway.release import verify
from slipway.release.keys import KEY
from slipway.release.verify import Finding, Verdict, Verification

STAGES = ["split", "evaluate", "package", "runtime"]


def verified(workshop: Workshop, revision: str = "HEAD") -> Verification:
    return verify.verify(workshop.repository, revision, lambda _stage, _finding: None)


def reasons(found: Verification) -> dict[str, tuple[str, ...]]:
    """By stage, where there are any."""
    return {each.stage: each.reasons for each in found.stages if each.reasons}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def lock(workshop: Workshop, change: Callable[[dict[str, object]], None]) -> None:
    """Write into the lock what no pipeline has made, and commit that."""
    file = workshop.root / "dvc.lock"
    yaml = YAML()
    content = yaml.load(file.read_text())
    change(content["stages"])
    with file.open("w") as written:
        yaml.dump(content, written)
    workshop.commit()


def test_an_honest_lock_is_identical_and_the_work_tree_does_not_matter(workshop: Workshop) -> None:
    workshop.write({"make.py": "raise SystemExit(1)\n", "source/model.txt": "model of the work tree\n"})
    told: list[tuple[str, Finding | None]] = []
    found = verify.verify(workshop.repository, "HEAD", lambda stage, judged: told.append((stage, judged)))
    assert found.verdict is Verdict.IDENTICAL
    assert sorted(finding.stage for finding in found.stages) == sorted(STAGES)
    assert (found.outputs, found.agreement, reasons(found)) == (6, "", {})
    assert verify.summary(found) == "what its lock says: 4 stages rebuilt, 6 outputs identical"
    assert told == [
        each for finding in found.stages for each in ((finding.stage, None), (finding.stage, finding))
    ]


def test_nothing_is_left_and_nothing_is_changed(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workshop.git("status", "--porcelain", "--ignored"), workshop.git("for-each-ref")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    verified(workshop)
    assert (workshop.git("status", "--porcelain", "--ignored"), workshop.git("for-each-ref")) == before
    assert list(temporary.iterdir()) == []


def test_an_earlier_commit_can_be_verified(workshop: Workshop) -> None:
    before = workshop.repository.head()
    workshop.train(model="model 2")
    found = verified(workshop, "HEAD~1")
    assert (found.commit, found.verdict) == (before, Verdict.IDENTICAL)


def test_the_key_that_signs_tags_is_withheld_from_the_commands_of_a_commit(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = (workshop.root / "make.py").read_text()
    workshop.write({"make.py": f"import os\nassert {KEY!r} not in os.environ\n{make}"})
    workshop.train()
    monkeypatch.setenv(KEY, "of nobody else's business")
    assert verified(workshop).verdict is Verdict.IDENTICAL


def test_a_source_that_has_changed_since_makes_the_lock_stale(workshop: Workshop) -> None:
    workshop.write({"source/model.txt": "model 2\n"})
    workshop.commit()
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert reasons(found) == {"package": ("dvc.lock is of an older source/model.txt",)}


def test_a_parameter_that_has_changed_since_is_named(workshop: Workshop) -> None:
    edit(workshop.root / "params.yaml", "acceptance: 0.1, seed: 1", "acceptance: 0.1, seed: 2")
    workshop.commit()
    assert reasons(verified(workshop)) == {"split": ("dvc.lock is of an older params.yaml (split)",)}


def test_a_command_that_has_changed_since_is_named(workshop: Workshop) -> None:
    edit(workshop.root / "dvc.yaml", "cp source/rows.txt", "cp -f source/rows.txt")
    workshop.commit()
    assert reasons(verified(workshop)) == {"split": ("dvc.lock is of an older command",)}


def test_a_metric_that_was_changed_by_hand_is_named(workshop: Workshop) -> None:
    edit(workshop.root / "reports" / "metrics.json", '"recall": 0.95', '"recall": 0.99')
    workshop.commit()
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert reasons(found) == {
        "evaluate": ("reports/metrics.json was changed by hand: it is not what dvc.lock says",)
    }


def test_a_metric_that_was_changed_in_the_lock_too_is_not_what_the_stage_makes(workshop: Workshop) -> None:
    metrics = workshop.root / "reports" / "metrics.json"
    edit(metrics, '"recall": 0.95', '"recall": 0.99')
    workshop.run("dvc", "commit", "--force", "evaluate")
    workshop.commit()
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert reasons(found) == {"evaluate": ("makes another reports/metrics.json than dvc.lock says",)}


def test_an_output_that_no_pipeline_has_made_is_named(workshop: Workshop) -> None:
    def fabricate(stages: dict[str, object]) -> None:
        stages["package"]["outs"][0]["md5"] = "0" * 32  # type: ignore[index]

    lock(workshop, fabricate)
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert reasons(found) == {"package": ("makes another artifacts/bundle.tar than dvc.lock says",)}
    assert found.agreement.startswith("the models cannot be compared: artifacts/bundle.tar (md5 000")


def test_a_stage_that_was_never_locked_is_named(workshop: Workshop) -> None:
    lock(workshop, lambda stages: stages.pop("split"))  # type: ignore[arg-type]
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert "dvc.lock knows no data/acceptance.parquet" in reasons(found)["split"]


def test_what_a_stage_needs_and_does_not_declare_is_named(workshop: Workshop) -> None:
    edit(workshop.root / "dvc.yaml", "source/model.txt, source/contract.txt", "source/contract.txt")
    workshop.train()
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    ((stage, (reason,)),) = reasons(found).items()
    assert stage == "package"
    assert reason.startswith("needs what it does not declare under deps: FileNotFoundError: ")
    assert reason.endswith("'source/model.txt'")


@pytest.mark.parametrize(
    "source",
    ["import os; print(os.urandom(9))", "print(hash('text'))", "print({'a', 'b', 'c', 'd', 'e', 'f'})"],
)
def test_a_stage_that_is_not_deterministic_is_named(workshop: Workshop, source: str) -> None:
    workshop.write({"source/chance.py": f"{source}\n"})
    edit(
        workshop.root / "dvc.yaml",
        "cmd: cp source/rows.txt",
        "cmd: python source/chance.py > data/acceptance.parquet #",
    )
    edit(workshop.root / "dvc.yaml", "deps: [source/rows.txt]", "deps: [source/chance.py]")
    workshop.train()
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert reasons(found) == {"split": ("is not deterministic: two runs make two data/acceptance.parquet",)}


def test_folders_several_commands_and_one_stage_for_each_of_many_are_rebuilt_too(workshop: Workshop) -> None:
    dvc = workshop.root / "dvc.yaml"
    more = """\
  parts:
    cmd: [mkdir -p parts/in, cp source/rows.txt parts/in/one.txt, cp source/rows.txt parts/two.txt]
    deps: [source/rows.txt]
    outs: [parts]
  count:
    matrix: {name: [one, two]}
    wdir: counts
    cmd: cat ../parts/in/one.txt ../parts/two.txt | wc -l > ${item.name}.txt
    deps: [../parts]
    outs: ['${item.name}.txt']
artifacts:
"""
    dvc.write_text(dvc.read_text().replace("artifacts:\n", more))
    workshop.write({"counts/.gitkeep": ""})
    workshop.train()
    found = verified(workshop)
    assert (found.verdict, found.outputs, reasons(found)) == (Verdict.IDENTICAL, 9, {})
    assert {each.stage for each in found.stages} == {*STAGES, "parts", "count@one", "count@two"}


def test_a_stage_that_cannot_run_says_why_and_the_others_are_judged(workshop: Workshop) -> None:
    edit(workshop.root / "make.py", "else:", "else:\n    raise SystemExit('no wheels here')")
    workshop.commit()
    found = verified(workshop)
    assert reasons(found)["runtime"][-1] == "cannot be rebuilt: no wheels here"
    assert {each.stage for each in found.stages if each.verdict is Verdict.IDENTICAL} == {"split", "evaluate"}


def test_the_data_that_a_commit_points_to_comes_from_the_remote(workshop: Workshop) -> None:
    point(workshop)
    assert verified(workshop).verdict is Verdict.IDENTICAL
    shutil.rmtree(workshop.root / ".dvc" / "cache")
    assert verified(workshop).verdict is Verdict.IDENTICAL


def test_a_pipeline_that_cannot_be_read_is_no_missing_data(workshop: Workshop) -> None:
    edit(workshop.root / "dvc.yaml", "cmd: cp source/rows.txt", "command: cp source/rows.txt")
    workshop.commit()
    with pytest.raises(InputError, match=r"the pipeline of .* cannot be read: ") as caught:
        verified(workshop)
    assert caught.value.next_command == "dvc status"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("deps: [source/rows.txt]", "deps: [source/rows.txt, /etc/hostname]", "/etc/hostname"),
        ("cmd: cp source/rows.txt", "wdir: ..\n    cmd: cp source/rows.txt", "rows.txt"),
    ],
    ids=["dependency", "folder"],
)
def test_what_lies_outside_of_the_repository_is_named(
    workshop: Workshop, old: str, new: str, what: str
) -> None:
    edit(workshop.root / "dvc.yaml", old, new)
    workshop.commit()
    with pytest.raises(InputError, match="is outside of the repository") as caught:
        verified(workshop)
    assert what in str(caught.value)
    assert caught.value.next_command == "change dvc.yaml, then dvc repro"


def test_what_goes_wrong_in_the_room_is_no_missing_data(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "room")

    monkeypatch.setattr("slipway.release.cleanroom.Room.run", fill)
    with pytest.raises(MachineError, match=r"^room: No space left on device"):
        verified(workshop)


def test_data_that_is_nowhere_is_named_with_what_to_do(workshop: Workshop) -> None:
    point(workshop)
    shutil.rmtree(workshop.root / ".dvc" / "cache")
    shutil.rmtree(workshop.store)
    with pytest.raises(MachineError, match=r"source/rows\.csv") as caught:
        verified(workshop)
    assert caught.value.next_command == "dvc pull, or dvc push where the data was added"


def point(workshop: Workshop) -> None:
    """Let the first stage read data that `dvc add` keeps."""
    workshop.write({"source/rows.csv": "1,2\n"})
    workshop.run("dvc", "add", "--quiet", "source/rows.csv")
    dvc = workshop.root / "dvc.yaml"
    dvc.write_text(dvc.read_text().replace("source/rows.txt", "source/rows.csv"))
    workshop.train()


def test_a_revision_that_is_none_is_refused(workshop: Workshop) -> None:
    with pytest.raises(InputError, match="there is no revision v9"):
        verified(workshop, "v9")


@pytest.mark.parametrize(
    ("revision", "following"),
    [("HEAD", "make .venv"), ("wear@v1.0.0", "git switch --detach wear@v1.0.0 && make .venv")],
)
def test_other_packages_than_the_locked_ones_are_refused(revision: str, following: str) -> None:
    found = '[[package]]\nname = "pytest"\nversion = "1.0"\nsource = {registry = "https://example.org"}\n'
    with pytest.raises(MachineError, match=rf"uv.lock of {revision} names: pytest \S+, not 1.0") as caught:
        verify.refuse_another_environment(found, revision)
    assert caught.value.next_command == following


def test_a_package_with_a_dot_in_its_name_is_compared_too() -> None:
    found = (
        '[[package]]\nname = "ruamel-yaml"\nversion = "0.1"\nsource = {registry = "https://example.org"}\n'
    )
    with pytest.raises(MachineError, match=r"names: ruamel-yaml \S+, not 0.1"):
        verify.refuse_another_environment(found, "HEAD")


def test_metrics_that_no_stage_writes_are_named(workshop: Workshop) -> None:
    text = (workshop.root / "reports" / "metrics.json").read_text()
    workshop.write({"docs/metrics.json": text.replace('"recall": 0.95', '"recall": 0.99')})
    edit(workshop.root / "dvc.yaml", "metrics: {path: reports/", "metrics: {path: docs/")
    workshop.commit()
    found = verified(workshop)
    assert found.verdict is Verdict.DIFFERENT
    assert found.agreement == "dvc.lock does not pin docs/metrics.json, which a release is read from"


def test_the_packages_of_our_own_lock_are_those_that_are_installed() -> None:
    verify.refuse_another_environment((Path(__file__).parents[3] / "uv.lock").read_text(), "HEAD")


def test_a_refusal_names_every_reason(workshop: Workshop) -> None:
    edit(workshop.root / "reports" / "metrics.json", '"recall": 0.95', '"recall": 0.99')
    workshop.write({"source/model.txt": "model 2\n"})
    commit = workshop.commit()
    refusal = verify.refusal(verified(workshop), "HEAD")
    assert refusal.exit_code == 3
    lines = str(refusal).splitlines()
    assert lines[0] == f"HEAD ({commit[:7]}) is not what its lock says"
    assert sorted(lines[1:-1]) == [
        "  evaluate: reports/metrics.json was changed by hand: it is not what dvc.lock says",
        "  package: dvc.lock is of an older source/model.txt",
    ]
    assert lines[-1] == "  next: dvc repro --force, and commit what it makes"
    assert json.dumps(verified(workshop)._asdict())


def test_what_a_stage_that_fails_has_written_was_not_changed_by_hand(workshop: Workshop) -> None:
    """As a gate that a model misses: its metrics are written, and the lock still has those of before."""
    said = "the model misses its gates:\\n  recall is 0.5\\n  accuracy is 0.6"
    edit(workshop.root / "make.py", "else:", f"else:\n    raise SystemExit('{said}')")
    edit(workshop.root / "runtime.json", "{", "{ ")
    workshop.commit()
    found = verified(workshop)
    (reason,) = [each for each in reasons(found)["runtime"] if "older" not in each]
    assert reason == "cannot be rebuilt: the model misses its gates: recall is 0.5; accuracy is 0.6"
    assert verify.refusal(found, "HEAD").next_command == "dvc repro, which says more"
