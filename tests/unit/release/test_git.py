import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.workshop import NOW, Workshop

from slipway.errors import InputError, MachineError
from slipway.release import git
from slipway.release.git import GitError, OriginError, Repository, Tag, TagExistsError

SECOND = timedelta(seconds=1)


@pytest.fixture
def origin(workshop: Workshop, tmp_path: Path) -> Path:
    """A bare repository that the workshop came from."""
    place = tmp_path / "origin.git"
    workshop.git("clone", "--quiet", "--bare", ".", str(place))
    workshop.git("remote", "add", "origin", str(place))
    return place


def sign(workshop: Workshop) -> None:
    """Set git up with a key, as a person would."""
    key = workshop.root.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    workshop.git("config", "gpg.format", "ssh")
    workshop.git("config", "user.signingKey", str(key))


def test_the_repository_is_found_from_a_folder_below(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.root / "source")
    assert Repository.here().root == workshop.root


def test_outside_of_git_there_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        Repository.here()
    assert str(caught.value) == "this is not a git repository\n  next: git clone ..."


def test_of_somebody_elses_repository_git_says_what_to_do(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.chdir(workshop.root)
    for ask in (Repository.here, workshop.repository.head):
        with pytest.raises(GitError, match="failed: detected dubious ownership in repository at") as caught:
            ask()
        assert caught.value.next_command == f"git config --global --add safe.directory {workshop.root}"


@pytest.mark.parametrize("needed", ["params.yaml", "dvc.yaml"])
def test_a_repository_without_a_pipeline_is_none_of_ours(
    workshop: Workshop, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workshop.root / needed).unlink()
    monkeypatch.chdir(workshop.root)
    with pytest.raises(InputError) as caught:
        Repository.here()
    assert str(caught.value) == f"{workshop.root} has no {needed}, so it is not a release repository"


def test_without_git_the_doctor_is_recommended(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(workshop.root))
    with pytest.raises(MachineError) as caught:
        workshop.repository.head()
    assert str(caught.value) == "git is not on PATH\n  next: slipway doctor"


def test_head_is_the_current_commit(workshop: Workshop) -> None:
    assert workshop.repository.head() == workshop.git("rev-parse", "HEAD")


def test_before_the_first_commit_there_is_no_head(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    with pytest.raises(InputError) as caught:
        Repository(tmp_path).head()
    assert str(caught.value) == "there is no commit yet\n  next: git commit"


def test_a_clean_tree_has_no_changes(workshop: Workshop) -> None:
    assert workshop.repository.changes() == []


def test_changes_are_what_is_modified_deleted_staged_renamed_or_unknown(workshop: Workshop) -> None:
    workshop.write({"source/model.txt": "other", "new file, größer.txt": "", "staged.txt": ""})
    workshop.git("add", "staged.txt")
    (workshop.root / "make.py").unlink()
    workshop.git("mv", "source/rows.txt", "source/lines.txt")
    expected = ["make.py", "new file, größer.txt", "source/lines.txt", "source/model.txt", "source/rows.txt"]
    assert sorted(workshop.repository.changes()) == [*expected, "staged.txt"]


def test_a_tag_says_commit_time_author_and_message(workshop: Workshop) -> None:
    commit = workshop.git("rev-parse", "HEAD")
    workshop.repository.tag("wear@v1.0.0", commit, "Title\n\nBody: yes\n", NOW, None)
    (tag,) = workshop.repository.tags("wear@*")
    assert tag == Tag("wear@v1.0.0", "wear@v1.0.0", commit, NOW, "Ada", "Title\n\nBody: yes")


def test_only_annotated_tags_count(workshop: Workshop) -> None:
    workshop.git("tag", "wear@v1.0.0")
    workshop.git("tag", "--annotate", "--message", "second", "wear@v1.1.0")
    assert [tag.name for tag in workshop.repository.tags("wear@*")] == ["wear@v1.1.0"]


def test_a_message_may_hold_any_character(workshop: Workshop) -> None:
    said = "odd \1 and\2\n\n\1\nmore \x1f\x7f"
    for name in ("wear@v1.0.0", "wear@v1.1.0"):
        workshop.repository.tag(name, "HEAD", said, NOW, None)
    assert [(tag.name, tag.message) for tag in workshop.repository.tags("wear@*")] == [
        ("wear@v1.0.0", said), ("wear@v1.1.0", said),
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", ["--annotate", "--sign"])
def test_a_message_is_read_as_it_was_written(workshop: Workshop, end: str, kind: str) -> None:
    sign(workshop)
    said = ("Back we go", "Release: v1.0.0", "", "Action: abort", "")
    workshop.git("tag", kind, "--cleanup=verbatim", "--message", end.join(said), "wear#local#1")
    (tag,) = workshop.repository.tags("*")
    assert tag.message == "\n".join(said).strip()


def test_a_tag_of_a_tag_is_one_of_the_commit_that_it_leads_to(workshop: Workshop) -> None:
    head = workshop.git("rev-parse", "HEAD")
    for name, target in (
        ("wear@v1.0.0", "HEAD"),
        ("wear#local#1", "wear@v1.0.0"),
        ("wear#local#2", "wear#local#1"),
    ):
        workshop.git("tag", "--annotate", "--message", "x", name, target)
    assert {tag.name: tag.commit for tag in workshop.repository.tags("*")} == dict.fromkeys(
        workshop.tags, head
    )


@pytest.mark.parametrize("target", ["HEAD:params.yaml", "HEAD^{tree}"])
def test_a_tag_of_what_is_no_commit_is_none(workshop: Workshop, target: str) -> None:
    workshop.git("tag", "--annotate", "--message", "x", "odd", target)
    workshop.git("tag", "--annotate", "--message", "x", "wear@v1.0.0", target)
    workshop.git("tag", "--annotate", "--message", "x", "wear@v1.1.0", "odd")
    assert workshop.repository.tags("wear@*") == []


def dated(workshop: Workshop, name: str, seconds: int) -> None:
    """A tag of any date, which `git tag` would not make."""
    head = workshop.git("rev-parse", "HEAD")
    text = f"object {head}\ntype commit\ntag {name}\ntagger Eve <eve@example.org> {seconds} +0000\n\nx\n"
    file = workshop.root / ".git" / "odd"
    file.write_text(text)
    workshop.git("update-ref", f"refs/tags/{name}", workshop.git("hash-object", "-t", "tag", "-w", str(file)))


@pytest.mark.parametrize("seconds", [253402300800, 10**14, 2**63, 10**30])
def test_a_tag_whose_date_cannot_be_read_is_none_and_hides_no_other(workshop: Workshop, seconds: int) -> None:
    dated(workshop, "wear@v7.0.0", seconds)
    workshop.repository.tag("wear@v1.0.0", "HEAD", "x", NOW, None)
    assert "wear@v1.0.0" in [tag.name for tag in workshop.repository.tags("wear@*")]
    assert workshop.repository.tag_names("wear@*") == ["wear@v1.0.0", "wear@v7.0.0"]


def test_a_tag_of_the_last_second_of_all_is_followed_by_another(workshop: Workshop) -> None:
    dated(workshop, "wear@v1.0.0", 253402300799)
    (last,) = workshop.repository.tags("wear@*")
    workshop.repository.tag("wear@v1.1.0", "HEAD", "x", NOW, last.at)
    assert len(workshop.repository.tags("wear@*")) == 2


def test_only_tags_of_the_pattern_are_listed(workshop: Workshop) -> None:
    for name in ("wear@v1.0.0", "wear#local#1", "wear#localhost#1", "tear@v1.0.0"):
        workshop.git("tag", "--annotate", "--message", "x", name)
    assert [tag.name for tag in workshop.repository.tags("wear#local#*")] == ["wear#local#1"]


def test_a_name_is_taken_by_a_tag_and_by_one_below_it(workshop: Workshop) -> None:
    for name in ("wear#local#1", "wear#local#2/x", "wear#local#3/x/y", "wear#staging#4/x"):
        workshop.git("tag", name)
    assert workshop.repository.taken("wear#local#*") == {"wear#local#1", "wear#local#2", "wear#local#3"}


def test_a_branch_of_the_same_name_hides_no_tag(workshop: Workshop) -> None:
    workshop.git("tag", "--annotate", "--message", "x", "wear@v1.0.0")
    workshop.git("branch", "wear@v1.0.0")
    assert [tag.name for tag in workshop.repository.tags("wear@v*")] == ["wear@v1.0.0"]


def test_a_revision_that_is_not_there_resolves_to_none(workshop: Workshop) -> None:
    assert workshop.repository.resolve("wear@v9.9.9") is None
    assert workshop.repository.resolve("HEAD") == workshop.git("rev-parse", "HEAD")


def test_a_file_is_read_as_it_was_at_the_revision(workshop: Workshop) -> None:
    workshop.train(model="model 2")
    assert workshop.repository.read("HEAD~1", "source/model.txt") == "model 1\n"
    assert workshop.repository.read("HEAD", "source/model.txt") == "model 2\n"
    assert workshop.repository.read("HEAD", "absent.txt") is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW + timedelta(days=1), NOW + timedelta(days=1)),
        (NOW + 2 * SECOND, NOW + 2 * SECOND),
        (NOW, NOW + SECOND),
        (NOW + timedelta(microseconds=999_999), NOW + SECOND),
        (NOW - timedelta(days=365), NOW + SECOND),
    ],
    ids=["a day later", "two seconds later", "the same second", "nearly a second later", "a year back"],
)
def test_a_tag_is_dated_after_the_one_before(workshop: Workshop, now: datetime, expected: datetime) -> None:
    workshop.repository.tag("later", "HEAD", "x", now, NOW)
    (tag,) = workshop.repository.tags("later")
    assert tag.at == expected


@given(st.lists(st.integers(0, 2 * 10**9), min_size=2, max_size=5))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_dates_rise_whatever_the_clock_says(workshop: Workshop, clock: list[int]) -> None:
    for name in workshop.tags:
        workshop.git("tag", "--delete", name)
    after = None
    for number, seconds in enumerate(clock):
        workshop.repository.tag(
            f"tag{number}", "HEAD", "x", datetime.fromtimestamp(10**9 + seconds, UTC), after
        )
        (tag,) = workshop.repository.tags(f"tag{number}")
        assert after is None or tag.at > after
        after = tag.at


def test_a_tag_that_exists_is_not_moved(workshop: Workshop) -> None:
    workshop.repository.tag("wear@v1.0.0", "HEAD", "first", NOW, None)
    workshop.train(model="model 2")
    with pytest.raises(TagExistsError) as caught:
        workshop.repository.tag("wear@v1.0.0", "HEAD", "second", NOW, None)
    assert str(caught.value) == "`git tag --annotate` failed: tag 'wear@v1.0.0' already exists"
    assert [tag.message for tag in workshop.repository.tags("*")] == ["first"]


def test_git_without_an_author_sends_to_the_doctor(workshop: Workshop) -> None:
    workshop.git("config", "--unset", "user.email")
    workshop.git("config", "user.useConfigOnly", "true")
    with pytest.raises(GitError) as caught:
        workshop.repository.tag("wear@v1.0.0", "HEAD", "x", NOW, None)
    assert not isinstance(caught.value, TagExistsError)
    assert caught.value.next_command == "slipway doctor"
    assert workshop.tags == []


def test_a_file_of_a_commit_is_had_to_the_byte(workshop: Workshop) -> None:
    content = b"one\r\ntwo\xff\n\n"
    (workshop.root / "odd.bin").write_bytes(content)
    commit = workshop.commit()
    (workshop.root / "odd.bin").write_bytes(b"changed")
    assert workshop.repository.content(commit, "odd.bin") == content
    assert workshop.repository.content(commit, "absent") is None
    assert workshop.repository.content("no-revision", "odd.bin") is None


def test_whoever_has_signatures_shown_makes_a_release_of_the_same_date(workshop: Workshop) -> None:
    sign(workshop)
    workshop.git("config", "log.showSignature", "true")
    workshop.git("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", "signed")
    made = workshop.git("-c", "log.showSignature=false", "show", "--no-patch", "--format=%ct")
    assert workshop.repository.date("HEAD").timestamp() == int(made)


@pytest.mark.parametrize("whose", ["fetch", "remote.origin"])
def test_asking_the_origin_removes_nothing_whatever_a_person_has_set_up(
    workshop: Workshop, origin: Path, whose: str
) -> None:
    del origin
    for setting in ("prune", "pruneTags"):
        workshop.git("config", f"{whose}.{setting}", "true")
    for name in ("wear@v1.0.0", "quarantine/wear/v1.0.0/1"):
        workshop.git("tag", "--annotate", "--message", "x", name)
    workshop.repository.fetch_tags()
    workshop.repository.take_over("quarantine/wear/*")
    assert workshop.tags == ["quarantine/wear/v1.0.0/1", "wear@v1.0.0"]


def test_the_origin_is_given_no_other_tags_whatever_a_person_has_set_up(
    workshop: Workshop, origin: Path
) -> None:
    workshop.git("config", "push.followTags", "true")
    for name in ("mine", "wear@v1.0.0"):
        workshop.git("tag", "--annotate", "--message", "x", name)
    workshop.repository.publish(["wear@v1.0.0"])
    assert Repository(origin).tag_names("*") == ["wear@v1.0.0"]


@pytest.fixture
def silent() -> Iterator[str]:
    """Where a server listens that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
def test_an_origin_that_is_silent_is_not_waited_for(
    workshop: Workshop, silent: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "_PATIENCE_SECONDS", 1)
    workshop.git("remote", "add", "origin", f"{scheme}://{silent}/x.git")
    workshop.git("tag", "--annotate", "--message", "x", "wear@v1.0.0")
    began = time.monotonic()
    with pytest.raises(OriginError, match="`git fetch --tags` failed: no answer in 1 s") as caught:
        workshop.repository.fetch_tags()
    assert caught.value.next_command == "git fetch --tags origin"
    with pytest.raises(OriginError, match="`git push --atomic` failed: no answer in 1 s"):
        workshop.repository.publish(["wear@v1.0.0"])
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("own", ["variable", "setting", "none"])
def test_ssh_is_called_as_a_person_has_set_it_up(
    workshop: Workshop, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    for name in ("ssh", "mine"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$0 $*" >>{said}\nexit 1\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    workshop.git("remote", "add", "origin", "ssh://example.org/x.git")
    if own == "variable":
        monkeypatch.setenv("GIT_SSH_COMMAND", "mine")
    if own == "setting":
        workshop.git("config", "core.sshCommand", "mine")
    with pytest.raises(OriginError):
        workshop.repository.fetch_tags()
    assert said.read_text().startswith(
        str(tmp_path / ("ssh -oConnectTimeout=10" if own == "none" else "mine"))
    )
