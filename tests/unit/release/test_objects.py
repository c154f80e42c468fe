import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.workshop import Workshop

from slipway.bundle import sha256
from slipway.errors import Corrupt, InputError, Locked, MachineError, Refused
from slipway.release import objects

OTHER = "a3ead5eedad5df82318c51685dbc1c147a36d1ff8584fc82de6b08d0bf63a795"
"""Sha256 of what `spoil` writes."""


@pytest.fixture
def other_dvc(workshop: Workshop) -> Iterator[None]:
    """Another process that holds DVC's lock."""
    code = "from dvc.repo import Repo\nwith Repo() as repo, repo.lock:\n    print(flush=True)\n    input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=workshop.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def test_an_object_is_taken_from_the_cache(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    workshop.lose(pin.md5, remote=True)
    file = objects.obtain(workshop.root, pin)
    assert file == workshop.object(pin.md5)
    assert file.read_text() == "bundle of model 1\ncontract 1\n"


def test_an_object_that_left_the_cache_is_fetched_from_the_remote(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    workshop.lose(pin.md5, cache=True)
    file = objects.obtain(workshop.root, pin)
    assert sha256(file) == pin.sha256


def test_an_older_commits_object_is_fetched_from_the_remote(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    workshop.train(model="model 2")
    workshop.lose(pin.md5, cache=True)
    assert objects.obtain(workshop.root, pin).read_text() == "bundle of model 1\ncontract 1\n"


def test_an_object_that_is_nowhere_is_named_with_what_to_do(workshop: Workshop) -> None:
    pin = workshop.pins.runtime
    workshop.lose(pin.md5, cache=True, remote=True)
    with pytest.raises(MachineError) as caught:
        objects.obtain(workshop.root, pin)
    assert str(caught.value) == (
        f"artifacts/runtime.tar (md5 {pin.md5}) is neither in DVC's cache nor in its remote\n"
        "  next: dvc push, where the release was made"
    )


def test_a_corrupt_object_in_the_cache_is_refused_with_both_digests(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    file = workshop.object(pin.md5)
    workshop.spoil(file)
    with pytest.raises(Corrupt) as caught:
        objects.obtain(workshop.root, pin)
    assert str(caught.value) == (
        f"artifacts/bundle.tar ({file}) is corrupt: expected sha256 {pin.sha256}, found {OTHER}\n"
        f"  next: rm -f {file}, then the same command again"
    )


def test_what_to_do_about_a_corrupt_object_mends_it(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    workshop.spoil(workshop.object(pin.md5))
    with pytest.raises(Corrupt) as caught:
        objects.obtain(workshop.root, pin)
    workshop.run(*str(caught.value.next_command).partition(",")[0].split())
    assert sha256(objects.obtain(workshop.root, pin)) == pin.sha256


def test_an_object_without_a_sha256_in_git_is_checked_by_dvcs_digest(workshop: Workshop) -> None:
    pin = workshop.pins.acceptance
    assert objects.obtain(workshop.root, pin).read_text() == "rows 1\n"
    workshop.spoil(workshop.object(pin.md5))
    with pytest.raises(Refused, match=f"is corrupt: expected md5 {pin.md5}, found [0-9a-f]{{32}}\n"):
        objects.obtain(workshop.root, pin)


def test_a_corrupt_object_in_the_remote_is_never_handed_on(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    workshop.lose(pin.md5, cache=True)
    workshop.spoil(workshop.store / "files" / "md5" / pin.md5[:2] / pin.md5[2:])
    with pytest.raises(MachineError, match=r"is neither in DVC's cache nor in its remote"):
        objects.obtain(workshop.root, pin)
    assert not workshop.object(pin.md5).exists()


def test_without_a_remote_dvcs_own_words_are_shown(workshop: Workshop) -> None:
    pin = workshop.pins.bundle
    workshop.lose(pin.md5, cache=True)
    workshop.write({".dvc/config": ""})
    with pytest.raises(MachineError, match=r"cannot be fetched from the DVC remote: .*no remote specified"):
        objects.obtain(workshop.root, pin)
    with pytest.raises(MachineError, match=r"the DVC remote does not answer: .*no remote specified"):
        objects.missing_from_remote(workshop.root, [pin])


def test_what_was_pushed_is_not_missing(workshop: Workshop) -> None:
    found = workshop.pins
    assert objects.missing_from_remote(workshop.root, [found.bundle, found.runtime, found.acceptance]) == []


@pytest.mark.parametrize("cache", [False, True], ids=["still in the cache", "gone from the cache too"])
def test_what_the_remote_lacks_is_missing(workshop: Workshop, cache: bool) -> None:  # noqa: FBT001
    found = workshop.pins
    workshop.lose(found.runtime.md5, cache=cache, remote=True)
    assert objects.missing_from_remote(workshop.root, [found.bundle, found.runtime]) == [found.runtime]


def test_nothing_has_changed_after_the_pipeline_ran(workshop: Workshop) -> None:
    assert objects.changed_stages(workshop.root) == {}


def test_a_changed_parameter_makes_its_stage_stale(workshop: Workshop) -> None:
    text = (workshop.root / "params.yaml").read_text()
    workshop.write({"params.yaml": text.replace("validation: 0.2", "validation: 0.3")})
    assert objects.changed_stages(workshop.root) == {"split": ["params.yaml"]}


def test_a_changed_source_makes_its_stages_stale(workshop: Workshop) -> None:
    workshop.write({"make.py": "other", "source/model.txt": "other"})
    assert objects.changed_stages(workshop.root) == {
        "package": ["make.py", "source/model.txt"],
        "runtime": ["make.py"],
    }


@pytest.mark.parametrize("path", ["artifacts/bundle.tar", "manifest.json"])
def test_a_changed_output_makes_its_stage_stale(workshop: Workshop, path: str) -> None:
    workshop.spoil(workshop.root / path)
    assert objects.changed_stages(workshop.root) == {"package": [path]}


def test_a_deleted_output_makes_its_stage_stale(workshop: Workshop) -> None:
    (workshop.root / "artifacts/runtime.tar").unlink()
    assert objects.changed_stages(workshop.root) == {"runtime": ["artifacts/runtime.tar"]}


def test_data_that_no_stage_reads_make_nothing_stale(workshop: Workshop) -> None:
    workshop.write({"source/requests.jsonl": "{}\n"})
    workshop.run("dvc", "add", "--quiet", "source/requests.jsonl")
    (workshop.root / "source/requests.jsonl").unlink()
    assert objects.changed_stages(workshop.root) == {}


def test_a_changed_command_makes_its_stage_stale(workshop: Workshop) -> None:
    text = (workshop.root / "dvc.yaml").read_text()
    workshop.write({"dvc.yaml": text.replace("make.py runtime", "make.py  runtime")})
    assert objects.changed_stages(workshop.root) == {"runtime": ["changed command"]}


def test_stages_have_the_same_names_wherever_one_stands(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write({"source/serving.txt": "other"})
    for folder in (workshop.root, workshop.root / "source", Path("/")):
        monkeypatch.chdir(folder)
        assert list(objects.changed_stages(workshop.root)) == ["runtime"]


def test_a_pipeline_that_dvc_cannot_read_is_refused_in_dvcs_words(workshop: Workshop) -> None:
    workshop.write({"dvc.yaml": "stages: {split: {cmd: x, colour: red}}"})
    with pytest.raises(InputError, match=r"^DVC: .*dvc\.yaml' validation failed"):
        objects.changed_stages(workshop.root)


def test_while_another_dvc_runs_the_repository_is_locked(workshop: Workshop, other_dvc: None) -> None:  # noqa: ARG001
    with pytest.raises(Locked) as caught:
        objects.changed_stages(workshop.root)
    assert str(caught.value) == (
        f"another DVC command is at it in {workshop.root}\n  next: wait, then the same command again"
    )
