import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import InputError, Locked, Refused, SlipwayError
from slipway.release import desired
from slipway.release.desired import Desired
from slipway.release.git import Repository
from slipway.release.names import ReleaseName


def declare(
    workshop: Workshop, release: ReleaseName, action: str = "deploy", now: datetime = NOW, to: str = "local"
) -> Desired:
    return desired.declare(workshop.repository, to, release, action, now)


def current(workshop: Workshop, environment: str = "local") -> Desired | None:
    return desired.current(workshop.repository, MODEL, environment)


def refusal(workshop: Workshop) -> str:
    with pytest.raises(Refused) as caught:
        current(workshop)
    assert caught.value.exit_code == 3
    return str(caught.value)


def plain_tag(workshop: Workshop, name: str, revision: str, *message: str) -> None:
    """What a person does who has git and nothing else."""
    said = [argument for line in message or ("x",) for argument in ("--message", line)]
    workshop.git("tag", "--annotate", *said, name, f"{revision}^{{}}")


def test_nothing_is_desired_before_somebody_says_so(workshop: Workshop) -> None:
    workshop.releases(1)
    assert current(workshop) is None
    assert desired.history(workshop.repository, MODEL, "local") == []


def test_what_was_declared_is_desired(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    declared = declare(workshop, release)
    assert declared == current(workshop)
    assert declared == (
        (MODEL, "local", 1), release, workshop.git("rev-parse", "HEAD"), "deploy", NOW, "Ada",
    )  # fmt: skip


def test_a_declaration_is_a_tag_that_a_person_can_read(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    declare(workshop, release, "rollback")
    (tag,) = workshop.repository.tags("wear#local#1")
    assert tag.message == "Rollback v1.0.0 to local\n\nAction: rollback\nRelease: v1.0.0"


def test_history_is_ordered_by_number_and_not_by_name_or_date(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    for number in range(12):
        declare(workshop, (first, second)[number % 2], now=NOW - timedelta(days=number))
    found = desired.history(workshop.repository, MODEL, "local")
    assert [each.name.number for each in found] == list(range(1, 13))
    assert [each.release for each in found] == [first, second] * 6


def test_declarations_are_dated_one_after_the_other_whatever_the_clock_says(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    clock = [NOW, NOW, NOW - timedelta(days=365), NOW + timedelta(hours=1), NOW, NOW - timedelta(days=3650)]
    dates = [declare(workshop, (first, second)[number % 2], now=now).at for number, now in enumerate(clock)]
    assert all(before < after for before, after in pairwise(dates))


def test_the_first_declaration_is_dated_after_its_release(workshop: Workshop) -> None:
    release = workshop.release(now=NOW)
    assert declare(workshop, release, now=NOW - timedelta(days=365)).at == NOW + timedelta(seconds=1)


def test_what_is_desired_already_is_not_declared_again(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    declared = declare(workshop, release)
    tags = workshop.tags
    assert declare(workshop, release, now=NOW + timedelta(days=1)) == declared
    assert workshop.tags == tags


def test_an_older_release_is_declared_anew(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    for release, action in ((first, "deploy"), (second, "deploy"), (first, "rollback")):
        declare(workshop, release, action)
    found = current(workshop)
    assert found is not None
    assert (found.name.number, found.release, found.action) == (3, first, "rollback")


def test_environments_do_not_see_each_other(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    declare(workshop, first, to="local")
    declare(workshop, second, to="staging")
    declare(workshop, first, to="staging")
    local, staging = current(workshop, "local"), current(workshop, "staging")
    assert local is not None
    assert staging is not None
    assert (local.name.tag, staging.name.tag) == ("wear#local#1", "wear#staging#2")


def test_a_release_that_git_does_not_know_is_not_declared(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    workshop.git("tag", "--delete", release.tag)
    with pytest.raises(InputError) as caught:
        declare(workshop, release)
    assert str(caught.value) == "git has no release wear@v1.0.0\n  next: git fetch --tags"
    assert workshop.tags == []


class Overtaken(Repository):
    """A repository in which somebody else is a moment faster."""

    def tag(self, name: str, commit: str, message: str, now: datetime, after: datetime | None) -> None:
        environment = {"GIT_COMMITTER_NAME": "Grace", "GIT_COMMITTER_EMAIL": "g@example.org"}
        command = ["git", "tag", "--annotate", "--message", "faster", name, commit]
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(key, value)
            subprocess.run(command, cwd=self.root, check=True)
        super().tag(name, commit, message, now, after)


def test_who_declares_second_is_locked_out_and_told_by_whom(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    declare(workshop, first)
    with pytest.raises(Locked) as caught:
        desired.declare(Overtaken(workshop.root), "local", second, "deploy", NOW)
    assert caught.value.exit_code == 5
    (winner,) = workshop.repository.tags("wear#local#2")
    assert (winner.by, winner.message) == ("Grace", "faster")
    assert str(caught.value) == (
        f"wear#local#2 exists; Grace made it on {winner.at:%Y-%m-%d %H:%M}\n  next: slipway status local"
    )


def test_of_declarations_at_once_exactly_one_wins(workshop: Workshop) -> None:
    releases = workshop.releases(4)
    barrier = threading.Barrier(len(releases))

    class AtOnce(Repository):
        def tag(self, name: str, commit: str, message: str, now: datetime, after: datetime | None) -> None:
            barrier.wait()
            super().tag(name, commit, message, now, after)

    def attempt(release: ReleaseName) -> Desired | SlipwayError:
        try:
            return desired.declare(AtOnce(workshop.root), "local", release, "deploy", NOW)
        except SlipwayError as error:
            return error

    with ThreadPoolExecutor(len(releases)) as pool:
        outcomes = list(pool.map(attempt, releases))
    won = [outcome for outcome in outcomes if isinstance(outcome, Desired)]
    assert won == [current(workshop)]
    assert [type(outcome) for outcome in outcomes if outcome not in won] == [Locked] * 3
    assert [tag for tag in workshop.tags if "#" in tag] == ["wear#local#1"]


def test_git_that_cannot_tag_is_not_mistaken_for_a_lost_race(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    workshop.git("config", "--unset", "user.email")
    workshop.git("config", "user.useConfigOnly", "true")
    with pytest.raises(SlipwayError) as caught:
        declare(workshop, release)
    assert not isinstance(caught.value, Locked)
    assert (caught.value.exit_code, caught.value.next_command) == (1, "slipway doctor")


def test_a_tag_of_plain_git_is_a_declaration(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    declare(workshop, second)
    plain_tag(workshop, "wear#local#2", first.tag)
    found = current(workshop)
    assert found is not None
    assert (found.name.number, found.release, found.action, found.by) == (2, first, "deploy", "Ada")


def test_a_tag_of_plain_git_may_say_that_it_is_a_rollback(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    plain_tag(workshop, "wear#local#1", release.tag, "Back", "Action: rollback")
    found = current(workshop)
    assert found is not None
    assert (found.release, found.action) == (release, "rollback")


def test_a_tag_without_a_word_means_the_highest_release_of_its_commit(workshop: Workshop) -> None:
    workshop.releases(1)
    plain_tag(workshop, "wear@v1.9.0", "HEAD")
    plain_tag(workshop, "wear@v1.10.0", "HEAD")
    plain_tag(workshop, "wear#local#1", "HEAD")
    plain_tag(workshop, "wear#local#2", "HEAD", "x", "Release: v1.9.0")
    labels = [each.release.label for each in desired.history(workshop.repository, MODEL, "local")]
    assert labels == ["v1.10.0", "v1.9.0"]


def test_a_lightweight_tag_declares_nothing(workshop: Workshop) -> None:
    workshop.releases(1)
    workshop.git("tag", "wear#local#1")
    assert current(workshop) is None


def test_a_lightweight_tag_in_the_place_of_the_next_declaration_is_left_out(workshop: Workshop) -> None:
    (first,) = workshop.releases(1)
    workshop.git("tag", "wear#local#1")
    assert declare(workshop, first).name.number == 2


def test_what_a_lightweight_tag_covers_is_declared_anew(workshop: Workshop) -> None:
    (first,) = workshop.releases(1)
    declare(workshop, first)
    workshop.git("tag", "wear#local#5")
    with pytest.raises(Refused) as caught:
        desired.refuse_forged(workshop.repository, MODEL, "local", sealed=False)
    assert str(caught.value) == (
        "wear#local#5 is a lightweight tag, or one that cannot be read: it says neither who wants what nor why\n"
        "  next: git tag --annotate (or --sign) 'wear#local#6' COMMIT; wear#local#5 may stay"
    )
    assert declare(workshop, first).name.number == 6
    desired.refuse_forged(workshop.repository, MODEL, "local", sealed=False)


def test_a_declaration_on_a_commit_that_is_no_release_is_refused(workshop: Workshop) -> None:
    workshop.releases(1)
    workshop.train(model="unreleased")
    plain_tag(workshop, "wear#local#1", "HEAD")
    assert refusal(workshop) == (
        "wear#local#1 stands on a commit that is no release\n  next: git tag --delete 'wear#local#1'"
    )


def test_a_declaration_on_another_models_release_is_refused(workshop: Workshop) -> None:
    plain_tag(workshop, "tear@v1.0.0", "HEAD")
    plain_tag(workshop, "wear#local#1", "HEAD")
    assert refusal(workshop).startswith("wear#local#1 stands on a commit that is no release")


def test_a_declaration_that_says_another_release_than_its_commits_is_refused(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    plain_tag(workshop, "wear#local#1", first.tag, "x", f"Release: {second.label}")
    here, there = (workshop.git("rev-parse", "--short=7", f"{name.tag}^{{}}") for name in (first, second))
    assert refusal(workshop) == (
        f"wear#local#1 pins v1.1.0 to {here}, but wear@v1.1.0 is at {there}\n"
        f"  next: git tag --force --annotate 'wear@v1.1.0' {here}, if somebody moved it"
    )


def test_a_declaration_of_no_release_is_refused(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    plain_tag(workshop, "wear#local#1", release.tag, "x", "Release: v7.0.0")
    assert refusal(workshop).startswith(
        "wear#local#1 says v7.0.0, which is no release\n  next: git fetch --tags; "
    )


def test_a_release_tag_that_was_moved_is_refused(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    declare(workshop, release)
    workshop.train(model="other")
    workshop.git("tag", "--force", "--annotate", "--message", "moved", release.tag)
    here, there = (workshop.git("rev-parse", "--short=7", revision) for revision in ("HEAD~1", "HEAD"))
    assert refusal(workshop) == (
        f"wear#local#1 pins v1.0.0 to {here}, but wear@v1.0.0 is at {there}\n"
        f"  next: git tag --force --annotate 'wear@v1.0.0' {here}, if somebody moved it"
    )
    with pytest.raises(Refused):
        declare(workshop, release, "rollback")
    assert [tag for tag in workshop.tags if "#" in tag] == ["wear#local#1"]


def test_a_tag_that_was_moved_after_an_earlier_declaration_is_refused_too(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    declare(workshop, first)
    declare(workshop, second)
    workshop.git("tag", "--force", "--annotate", "--message", "moved", first.tag, f"{second.tag}^{{}}")
    with pytest.raises(Refused, match=r"wear#local#1 pins v1.0.0 to "):
        declare(workshop, first)
    assert [tag for tag in workshop.tags if "#" in tag] == ["wear#local#1", "wear#local#2"]


def test_moving_the_release_tag_back_mends_it(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    declared = declare(workshop, release)
    workshop.train(model="other")
    workshop.git("tag", "--force", "--annotate", "--message", "moved", release.tag)
    workshop.git("tag", "--force", "--annotate", "--message", "back", release.tag, "HEAD~1")
    assert current(workshop) == declared


def test_a_release_tag_that_was_deleted_is_refused(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    declare(workshop, release)
    commit = workshop.git("rev-parse", "--short=7", f"{release.tag}^{{}}")
    workshop.git("tag", "--delete", release.tag)
    assert refusal(workshop) == (
        "wear#local#1 says v1.0.0, which is no release\n"
        f"  next: git fetch --tags; where nobody has it any more, a tag of it on {commit}"
    )
    plain_tag(workshop, release.tag, commit)
    found = current(workshop)
    assert found is not None
    assert found.release == release


def test_a_number_that_somebody_deleted_is_left_out_and_not_given_again(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    for release in (first, second, first):
        declare(workshop, release)
    workshop.git("tag", "--delete", "wear#local#2")
    assert declare(workshop, second).name.number == 4
    found = desired.history(workshop.repository, MODEL, "local")
    assert [each.name.number for each in found] == [1, 3, 4]


def test_a_declaration_is_dated_after_all_others_and_after_its_release(workshop: Workshop) -> None:
    """A person with plain git may have a clock that is ahead; GTO tells the last one by its date."""
    first, second = workshop.releases(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", f"{int((NOW + timedelta(days=365)).timestamp())} +0000")
        plain_tag(workshop, "wear#local#1", first.tag)
    plain_tag(workshop, "wear#local#2", second.tag)
    assert declare(workshop, first).at == NOW + timedelta(days=365, seconds=1)


def test_a_tag_on_a_release_declares_that_as_one_on_its_commit_does(workshop: Workshop) -> None:
    """Other than for GTO, which takes the tag for a commit of its own."""
    (release,) = workshop.releases(1)
    workshop.git("tag", "--annotate", "--message", "x", "wear#local#1", release.tag)
    found = current(workshop)
    assert found is not None
    assert (found.release, found.commit) == (release, workshop.git("rev-parse", "HEAD"))


def test_a_clone_agrees(workshop: Workshop, tmp_path: Path) -> None:
    first, second = workshop.releases(2)
    for release in (first, second, first):
        declare(workshop, release)
    workshop.git("clone", "--quiet", str(workshop.root), str(tmp_path / "clone"))
    cloned = desired.history(Repository(tmp_path / "clone"), MODEL, "local")
    assert cloned == desired.history(workshop.repository, MODEL, "local")


def test_a_number_that_the_hosts_have_seen_is_not_given_again(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    declare(workshop, first)
    name = desired.declare(workshop.repository, "local", second, "deploy", NOW, above=7).name
    assert name.number == 8
    assert desired.declare(workshop.repository, "local", second, "deploy", NOW, above=8).name == name
    assert desired.declare(workshop.repository, "local", second, "deploy", NOW, above=9).name.number == 10


def test_a_number_that_a_tag_below_it_bars_is_left_out(workshop: Workshop) -> None:
    first, second = workshop.releases(2)
    declare(workshop, first)
    workshop.git("tag", "wear#local#2/x")
    found = current(workshop)
    assert found is not None
    assert found.name.number == 1
    desired.refuse_forged(workshop.repository, MODEL, "local", sealed=False)
    assert declare(workshop, second).name.number == 3


def test_a_number_that_nobody_counts_to_is_none(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    plain_tag(workshop, f"wear#local#{'9' * 222}", "HEAD")
    desired.refuse_forged(workshop.repository, MODEL, "local", sealed=False)
    assert declare(workshop, release).name.number == 1


def test_after_the_largest_number_of_all_there_is_none_and_what_to_do_is_said(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    workshop.git("tag", "wear#local#999999999")
    with pytest.raises(Refused, match="no number is left after wear#local#999999999") as caught:
        declare(workshop, release)
    assert caught.value.next_command == (
        "git push origin --delete 'refs/tags/wear#local#999999999' && git tag --delete 'wear#local#999999999'"
    )


def test_a_release_that_a_person_writes_into_the_first_paragraph_is_read(workshop: Workshop) -> None:
    (first,) = workshop.releases(1)
    plain_tag(workshop, "wear@v1.1.0", "HEAD")
    plain_tag(workshop, "wear#local#1", "HEAD", "Back we go\nRelease: v1.0.0")
    assert [each.release for each in desired.history(workshop.repository, MODEL, "local")] == [first]


def test_a_tag_that_says_two_releases_says_none(workshop: Workshop) -> None:
    plain_tag(workshop, "wear#local#1", "HEAD", "Release: v1.0.0\nRelease: v1.1.0")
    assert refusal(workshop) == "wear#local#1 says v1.0.0 and v1.1.0\n  next: git show 'wear#local#1'"
