import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import InputError, Locked, Refused
from slipway.release import create
from slipway.release.git import GitError, OriginError, Repository, Tag
from slipway.release.names import ReleaseName


def edit(workshop: Workshop, path: str, old: str, new: str) -> None:
    text = (workshop.root / path).read_text()
    assert old in text
    workshop.write({path: text.replace(old, new, 1)})


def test_the_first_release_is_1_0_0(workshop: Workshop) -> None:
    made = create.release(workshop.repository, workshop.settings, None, NOW)
    assert made == create.Made(ReleaseName("wear", Version(1, 0, 0)), "the first release")
    assert workshop.tags == ["wear@v1.0.0"]


def test_a_release_is_an_annotated_tag_that_says_what_it_holds(workshop: Workshop) -> None:
    workshop.release()
    (tag,) = workshop.repository.tags("*")
    bundle, runtime = (
        json.loads((workshop.root / name).read_text()) for name in ("manifest.json", "runtime.json")
    )
    title = "v1.0.0: recall 0.950, ROC AUC 0.980; the first release"
    assert tag == Tag(
        "wear@v1.0.0",
        "wear@v1.0.0",
        workshop.git("rev-parse", "HEAD"),
        NOW,
        "Ada",
        title + f"\n\nbundle sha256 {bundle['bundle']['sha256']}\nruntime sha256 {runtime['sha256']}",
    )


def test_a_release_changes_nothing_but_its_tag(workshop: Workshop) -> None:
    before = workshop.git("rev-parse", "HEAD")
    workshop.release()
    assert workshop.git("rev-parse", "HEAD") == before
    assert workshop.repository.changes() == []


@pytest.mark.parametrize(
    ("changes", "version", "why"),
    [
        ({"contract": "contract 2"}, "2.0.0", "the contract differs from v1.0.0's"),
        ({"contract": "contract 2", "model": "model 2"}, "2.0.0", "the contract differs from v1.0.0's"),
        ({"model": "model 2"}, "1.1.0", "the model differs from v1.0.0's"),
        ({"model": "model 2", "serving": "serving 2"}, "1.1.0", "the model differs from v1.0.0's"),
        ({"serving": "serving 2"}, "1.0.1", "the model is v1.0.0's"),
        ({"notes": "other code around it"}, "1.0.1", "the model is v1.0.0's"),
    ],
    ids=["contract", "contract and model", "model", "model and runtime", "runtime", "other files"],
)
def test_what_changed_decides_the_next_version(
    workshop: Workshop, changes: dict[str, str], version: str, why: str
) -> None:
    workshop.release()
    workshop.train(**changes)
    made = create.release(workshop.repository, workshop.settings, None, NOW)
    assert (str(made.name.version), made.why) == (version, why)


def test_the_next_version_is_counted_from_the_highest_release_not_the_latest(workshop: Workshop) -> None:
    workshop.release("v1.10.0")
    workshop.train(model="model 2")
    workshop.release("v1.9.0", NOW + timedelta(days=1))
    workshop.train(model="model 3")
    assert workshop.release().label == "v1.11.0"


def test_another_models_releases_do_not_count(workshop: Workshop) -> None:
    workshop.git("tag", "--annotate", "--message", "x", "tear@v7.0.0")
    assert workshop.release().tag == "wear@v1.0.0"


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), unique=True, max_size=12))
def test_releases_are_listed_the_oldest_version_first(versions: list[tuple[int, int, int]]) -> None:
    class Listed(Repository):
        def _git(self, *_: str, **__: object) -> str:
            return "".join(
                f"wear@v{major}.{minor}.{patch}\0\0commit\0{'a' * 40}\x001700000000\0Ada\0x\0\0\n"
                for major, minor, patch in versions
            )

    listed = create.releases(Listed(Path()), "wear")
    assert [name.version.to_tuple()[:3] for name in listed] == sorted(versions)


@pytest.mark.parametrize("version", ["v3.1.4", "3.1.4", "wear@v3.1.4"])
def test_a_version_that_is_asked_for_is_made(workshop: Workshop, version: str) -> None:
    made = create.release(workshop.repository, workshop.settings, version, NOW)
    assert made == create.Made(ReleaseName("wear", Version(3, 1, 4)), "as asked")


@pytest.mark.parametrize("version", ["three", "v3", "v3.1.4-rc1"])
def test_a_version_that_is_none_is_refused(workshop: Workshop, version: str) -> None:
    error = workshop.refusal(version)
    assert isinstance(error, InputError)
    assert error.exit_code == 1
    assert str(error) == f"{version!r} is not a release; expected v1.2.3 or wear@v1.2.3"


def test_a_version_of_another_model_is_refused(workshop: Workshop) -> None:
    error = workshop.refusal("tear@v1.0.0")
    assert str(error) == "'tear@v1.0.0' is a release of tear, but this repository makes wear"


def test_a_release_is_dated_after_the_one_before_even_a_year_back(workshop: Workshop) -> None:
    workshop.release(now=NOW)
    workshop.train(model="model 2")
    workshop.release(now=NOW - timedelta(days=365))
    dates = [tag.at for tag in create.releases(workshop.repository, "wear").values()]
    assert dates == [NOW, NOW + timedelta(seconds=1)]


def test_without_a_commit_there_is_nothing_to_release(workshop: Workshop, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / "new"], check=True)
    with pytest.raises(InputError) as caught:
        create.release(Repository(tmp_path / "new"), workshop.settings, None, NOW)
    assert str(caught.value) == "there is no commit yet\n  next: git commit"


@pytest.mark.parametrize(
    ("path", "staged"), [("make.py", False), ("source/model.txt", True), ("unknown.txt", False)]
)
def test_a_dirty_tree_is_not_released(workshop: Workshop, path: str, staged: bool) -> None:  # noqa: FBT001
    workshop.write({path: "other"})
    if staged:
        workshop.git("add", path)
    error = workshop.refusal()
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == (
        f"the work tree differs from the commit: {path}\n  next: git add --all && git commit"
    )


def test_of_many_changes_five_are_shown(workshop: Workshop) -> None:
    workshop.write({f"file{number}.txt": "" for number in range(6)})
    shown = "file0.txt, file1.txt, file2.txt, file3.txt, file4.txt, ..."
    assert f"differs from the commit: {shown}\n" in str(workshop.refusal())


def test_a_model_that_fails_a_gate_is_not_released(workshop: Workshop) -> None:
    edit(workshop, "source/metrics.json", '"recall": 0.95, "false_negative_rate": 0.05', '"recall": 0.5, '
         '"false_negative_rate": 0.5')  # fmt: skip
    workshop.train()
    error = workshop.refusal()
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == (
        "the model misses its success criteria:\n"
        "  recall is 0.5000, must be >= 0.9 (evaluate.gates.recall_minimum)\n"
        "  false_negative_rate is 0.5000, must be <= 0.1 (evaluate.gates.false_negative_rate_maximum)\n"
        "  next: change params.yaml, then dvc repro"
    )


def test_a_gate_is_read_from_the_parameters(workshop: Workshop) -> None:
    edit(workshop, "params.yaml", "recall_minimum: 0.9", "recall_minimum: 0.96")
    workshop.train()
    assert "recall is 0.9500, must be >= 0.96" in str(workshop.refusal())


def test_a_lock_that_is_stale_by_a_parameter_is_not_released(workshop: Workshop) -> None:
    edit(workshop, "params.yaml", "validation: 0.2", "validation: 0.3")
    workshop.commit()
    assert_stale(workshop.refusal(), "split: params.yaml")


def test_a_lock_that_is_stale_by_a_source_is_not_released(workshop: Workshop) -> None:
    workshop.write({"source/model.txt": "model 2\n"})
    workshop.commit()
    assert_stale(workshop.refusal(), "package: source/model.txt")


def test_a_lock_that_is_stale_by_an_output_is_not_released(workshop: Workshop) -> None:
    workshop.spoil(workshop.root / "artifacts/runtime.tar")
    assert_stale(workshop.refusal(), "runtime: artifacts/runtime.tar")


def test_data_of_the_pipeline_that_is_not_here_is_no_stale_lock(workshop: Workshop) -> None:
    (workshop.root / "artifacts/runtime.tar").unlink()
    error = workshop.refusal()
    assert error.exit_code == 3
    assert str(error) == (
        "whether dvc.lock is stale cannot be told: artifacts/runtime.tar is not here\n  next: dvc pull"
    )
    workshop.write({"source/serving.txt": "serving 2\n"})
    workshop.commit()
    assert_stale(workshop.refusal(), "runtime: artifacts/runtime.tar, source/serving.txt")


def test_data_that_no_stage_uses_need_not_be_here(workshop: Workshop) -> None:
    workshop.add_data("data/requests.jsonl")
    (workshop.root / "data/requests.jsonl").unlink()
    assert workshop.release().label == "v1.0.0"


def assert_stale(error: Exception, stage: str) -> None:
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == f"dvc.lock is stale; these stages have changed:\n  {stage}\n  next: dvc repro"


def test_a_commit_is_released_once(workshop: Workshop) -> None:
    workshop.release()
    for version in (None, "v2.0.0"):
        error = workshop.refusal(version)
        assert isinstance(error, Refused)
        assert error.exit_code == 3
        assert str(error) == (
            "this commit is already released as wear@v1.0.0\n  next: slipway deploy local v1.0.0"
        )


def test_a_release_that_exists_is_not_made_again(workshop: Workshop) -> None:
    commit = workshop.git("rev-parse", "--short=7", "HEAD")
    workshop.release()
    workshop.train(model="model 2")
    error = workshop.refusal("v1.0.0")
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == (
        f"wear@v1.0.0 exists: Ada made it on {NOW.astimezone():%Y-%m-%d %H:%M}, at {commit}\n"
        "  next: slipway release"
    )


def test_a_plain_tag_of_that_name_is_not_overwritten(workshop: Workshop) -> None:
    workshop.git("tag", "wear@v1.0.0")
    error = workshop.refusal("v1.0.0")
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error).startswith("wear@v1.0.0 exists, as a lightweight tag or one that cannot be read")
    assert workshop.release().label == "v1.0.1"


def test_a_release_of_a_commit_without_a_pipeline_does_not_count(workshop: Workshop) -> None:
    workshop.release()
    workshop.git("rm", "--quiet", "dvc.lock")
    commit = workshop.commit()
    workshop.git("reset", "--quiet", "--hard", "HEAD~1")
    workshop.git("tag", "--annotate", "--message", "x", "wear@v999.0.0", commit)
    workshop.train(model="model 2")
    assert workshop.release().label == "v1.1.0"


@pytest.mark.parametrize("artefact", ["bundle", "runtime", "acceptance"])
def test_an_object_that_was_not_pushed_is_not_released(workshop: Workshop, artefact: str) -> None:
    pin = getattr(workshop.pins, artefact)
    workshop.lose(pin.md5, remote=True)
    error = workshop.refusal()
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == f"the DVC remote lacks {pin.path}\n  next: dvc push"


def test_what_to_do_about_objects_that_were_not_pushed_mends_it(workshop: Workshop) -> None:
    workshop.write({"source/model.txt": "model 9\n"})
    workshop.reproduce(push=False)
    workshop.commit()
    workshop.run(*str(workshop.refusal().next_command).split())
    assert workshop.release().label == "v1.0.0"


@pytest.mark.parametrize("lacking", ["dvc.lock", "manifest.json"])
def test_a_commit_without_a_run_of_the_pipeline_is_not_released(workshop: Workshop, lacking: str) -> None:
    workshop.git("rm", "--quiet", lacking)
    workshop.commit()
    error = workshop.refusal()
    assert isinstance(error, InputError)
    assert error.exit_code == 1
    assert str(error) == f"HEAD has no {lacking}\n  next: dvc repro"


def test_without_an_author_git_is_to_blame_and_not_a_gate(workshop: Workshop) -> None:
    workshop.git("config", "--unset", "user.email")
    workshop.git("config", "user.useConfigOnly", "true")
    error = workshop.refusal()
    assert isinstance(error, GitError)
    assert (error.exit_code, error.next_command) == (1, "slipway doctor")


# Only where something has changed, and for a team.


def test_nothing_is_released_where_nothing_that_is_rolled_out_has_changed(workshop: Workshop) -> None:
    assert create.made_before(workshop.repository, MODEL) is None
    first = workshop.release()
    here = create.made_before(workshop.repository, MODEL)
    workshop.write({"README.md": "Words\n"})
    workshop.commit()
    before = create.made_before(workshop.repository, MODEL)
    assert here == create.Made(first, "v1.0.0 stands on this commit already", is_new=False)
    same = "bundle, runtime and contract are those of v1.0.0"
    assert before == create.Made(first, same, is_new=False, is_here=False)


def test_a_plan_is_refused_where_the_release_would_be(workshop: Workshop) -> None:
    workshop.release()
    with pytest.raises(Refused, match="this commit is already released as"):
        create.planned(workshop.repository, workshop.settings, None)
    edit(workshop, "params.yaml", "recall_minimum: 0.9", "recall_minimum: 0.96")
    workshop.commit()
    with pytest.raises(Refused, match=r"recall is 0\.9500, must be >= 0\.96"):
        create.planned(workshop.repository, workshop.settings, None)


@pytest.mark.parametrize("source", ["model", "contract", "serving"])
def test_whatever_is_rolled_out_and_has_changed_is_released(workshop: Workshop, source: str) -> None:
    workshop.release()
    workshop.train(**{source: "another"})
    assert create.made_before(workshop.repository, MODEL) is None
    plan = create.planned(workshop.repository, workshop.settings, None)
    assert plan == workshop_release(workshop), "a plan tells what will be"


def workshop_release(workshop: Workshop) -> create.Made:
    return create.release(workshop.repository, workshop.settings, None, NOW)


@pytest.fixture
def origin(workshop: Workshop, tmp_path: Path) -> Path:
    workshop.git("clone", "--quiet", "--bare", str(workshop.root), str(tmp_path / "origin.git"))
    workshop.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    return tmp_path / "origin.git"


def test_a_release_is_given_to_the_origin_once(workshop: Workshop, origin: Path) -> None:
    made = workshop_release(workshop)
    for _ in range(2):
        create.share(workshop.repository, made)
    assert made.name.tag in workshop.git("ls-remote", "--tags", str(origin))


@pytest.mark.parametrize("is_new", [True, False])
def test_what_the_origin_does_not_take_is_not_released(
    workshop: Workshop, origin: Path, *, is_new: bool
) -> None:
    made = workshop_release(workshop)._replace(is_new=is_new)
    origin.rename(origin.with_name("elsewhere"))
    with pytest.raises(OriginError, match="does not appear to be a git repository"):
        create.share(workshop.repository, made)
    assert workshop.tags == ([] if is_new else ["wear@v1.0.0"])


def test_of_two_that_release_at_once_the_second_is_locked_out(
    workshop: Workshop, origin: Path, tmp_path: Path
) -> None:
    made = workshop_release(workshop)
    shutil.copytree(workshop.root, tmp_path / "eve", symlinks=True)
    create.share(workshop.repository, made)
    eve = Workshop(tmp_path / "eve")
    eve.git("tag", "--force", "--annotate", "--message", "Eve's", made.name.tag)
    with pytest.raises(Locked, match=r"origin has another wear@v1.0.0") as caught:
        create.share(eve.repository, made)
    assert caught.value.exit_code == 5
    assert eve.tags == []
    assert origin.is_dir()


def test_without_an_origin_nothing_is_shared(workshop: Workshop) -> None:
    made = workshop_release(workshop)
    with pytest.raises(InputError, match=r"there is no origin to give wear@v1.0.0 to"):
        create.share(workshop.repository, made)
    assert workshop.tags == []


def test_the_latest_release_is_the_highest(workshop: Workshop) -> None:
    with pytest.raises(InputError, match="wear has no release yet"):
        create.latest(workshop.repository, MODEL)
    workshop.releases(3)
    assert create.latest(workshop.repository, MODEL).label == "v1.2.0"


def test_a_version_that_a_tag_below_it_bars_is_left_out(workshop: Workshop) -> None:
    workshop.git("tag", "wear@v1.0.0/x")
    with pytest.raises(Refused, match=r"wear@v1.0.0 exists, in wear@v1.0.0/x: that is no release"):
        create.release(workshop.repository, workshop.settings, "v1.0.0", NOW)
    made = create.release(workshop.repository, workshop.settings, None, NOW)
    assert (made.name.label, made.why) == (
        "v1.0.1",
        "the first release, and v1.0.0 has a tag that does not count",
    )
