"""A release is made of a commit that a team has in common, or will have; a clone without a team asks nobody."""

import subprocess
from pathlib import Path

import pytest
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import Refused
from slipway.release import create
from slipway.release.git import MovedError

TAG = f"{MODEL}@v1.0.0"


@pytest.fixture
def origin(workshop: Workshop, tmp_path: Path) -> Path:
    """A bare repository, of whose main the workshop's is a branch."""
    place = tmp_path / "origin.git"
    workshop.git("clone", "--quiet", "--bare", ".", str(place))
    workshop.git("remote", "add", "origin", str(place))
    workshop.git("fetch", "--quiet", "origin")
    workshop.git("branch", "--quiet", "--set-upstream-to", "origin/main")
    return place


@pytest.fixture
def other(origin: Path, tmp_path: Path) -> Workshop:
    """A clone of somebody else, who has pushed a commit that the workshop has not heard of."""
    root = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(root)], check=True)
    somebody = Workshop(root)
    somebody.git("config", "user.name", "Eve")
    somebody.git("config", "user.email", "eve@example.org")
    somebody.write({"source/notes.txt": "Eve's"})
    somebody.commit()
    somebody.git("push", "--quiet", "origin", "main")
    return somebody


def why(workshop: Workshop, version: str | None = None) -> str:
    return create.release(workshop.repository, workshop.settings, version, NOW).why


def test_a_commit_that_only_this_clone_has_yet_is_released(workshop: Workshop, origin: Path) -> None:
    del origin
    workshop.write({"source/notes.txt": "ours"})
    workshop.commit()
    assert why(workshop) == "the first release"


def test_a_commit_that_is_behind_is_released_and_that_is_said(workshop: Workshop, other: Workshop) -> None:
    del other
    assert why(workshop) == "the first release; this commit is 1 behind origin/main"
    assert "behind" not in workshop.git("tag", "--list", "--format=%(contents)", TAG)


@pytest.mark.parametrize("upstream", ["--set-upstream-to=origin/main", "--unset-upstream"])
def test_a_branch_that_has_diverged_is_not_released(
    workshop: Workshop, other: Workshop, upstream: str
) -> None:
    del other
    workshop.git("branch", "--quiet", upstream)
    workshop.write({"source/notes.txt": "ours"})
    workshop.commit()
    with pytest.raises(Refused) as caught:
        why(workshop)
    assert str(caught.value) == (
        "this branch has diverged from origin/main: 1 of its commits are only here, 1 only there\n"
        "  next: git rebase origin/main, then dvc repro"
    )
    assert workshop.tags == []


def test_a_detached_head_is_a_commit_like_another(workshop: Workshop, other: Workshop) -> None:
    del other
    workshop.git("switch", "--quiet", "--detach")
    assert why(workshop) == "the first release; this commit is 1 behind origin/main"


def test_a_detached_head_that_has_diverged_is_not_released(workshop: Workshop, other: Workshop) -> None:
    del other
    workshop.git("switch", "--quiet", "--detach")
    workshop.write({"source/notes.txt": "ours"})
    workshop.commit()
    with pytest.raises(
        Refused, match="has diverged from origin/main: 1 of its commits are only here, 1 only there"
    ):
        why(workshop)
    assert workshop.tags == []


def test_a_branch_that_the_origin_does_not_have_is_released(workshop: Workshop, origin: Path) -> None:
    del origin
    workshop.git("switch", "--quiet", "--create", "attempt", "--no-track")
    assert why(workshop) == "the first release"


def test_releases_of_others_are_counted(workshop: Workshop, other: Workshop) -> None:
    other.git("tag", "--annotate", "--message", "Eve's", TAG)
    other.git("push", "--quiet", "origin", TAG)
    assert why(workshop) == "the model is v1.0.0's; this commit is 1 behind origin/main"
    assert workshop.tags == [TAG, f"{MODEL}@v1.0.1"]


def test_a_release_that_others_have_by_the_same_name_is_named_with_what_to_do(
    workshop: Workshop, other: Workshop
) -> None:
    other.git("tag", "--annotate", "--message", "Eve's", TAG)
    other.git("push", "--quiet", "origin", TAG)
    workshop.git("tag", "--annotate", "--message", "Ada's", TAG, "HEAD")
    workshop.write({"source/notes.txt": "ours"})
    workshop.commit()
    with pytest.raises(MovedError, match=f"origin has another {TAG} than this clone") as caught:
        why(workshop)
    assert caught.value.next_command == (
        f"git tag --delete '{TAG}', if origin is right; then the same command again"
    )
    assert workshop.tags == [TAG]


def test_an_origin_that_is_gone_is_said_and_in_nobodys_way(workshop: Workshop, origin: Path) -> None:
    origin.rename(origin.with_name("elsewhere"))
    assert why(workshop).startswith("the first release; origin cannot be asked: `git fetch --tags` failed: ")


def test_a_shallow_clone_learns_the_releases_that_it_lacks(workshop: Workshop, other: Workshop) -> None:
    shallow(workshop)
    other.git("tag", "--annotate", "--message", "Eve's", TAG)
    other.git("push", "--quiet", "origin", TAG)
    assert why(workshop).startswith("the model is v1.0.0's")


def test_a_shallow_clone_that_cannot_ask_is_refused(workshop: Workshop, origin: Path) -> None:
    shallow(workshop)
    origin.rename(origin.with_name("elsewhere"))
    with pytest.raises(Refused, match="this clone is shallow, so releases may be missing") as caught:
        why(workshop)
    assert caught.value.next_command == "git fetch --unshallow --tags origin"
    assert workshop.tags == []


def shallow(workshop: Workshop) -> None:
    """As `git clone --depth 1` leaves it."""
    (workshop.root / ".git" / "shallow").write_text(f"{workshop.git('rev-parse', 'HEAD')}\n")
    assert workshop.repository.is_shallow
