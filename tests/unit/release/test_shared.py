"""A team of two clones and their origin: who declares first, wins, and nothing is there by half."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import Locked, Refused
from slipway.release import desired, quarantine
from slipway.release.create import releases
from slipway.release.desired import Desired
from slipway.release.git import MovedError, OriginError, Repository
from slipway.release.names import ReleaseName

ENVIRONMENT = "staging"


class Team(NamedTuple):
    """The origin, and whoever works with it."""

    origin: Path
    ada: Repository
    eve: Repository
    release: ReleaseName

    def tags(self) -> set[str]:
        """What the origin knows."""
        listed = subprocess.run(
            ["git", "tag"], cwd=self.origin, check=True, capture_output=True, text=True
        ).stdout
        return set(listed.split())


@pytest.fixture
def team(workshop: Workshop, tmp_path: Path) -> Team:
    """One release, which only Ada has yet, and a history that both have."""
    origin, other = tmp_path / "origin.git", tmp_path / "eve"
    workshop.git("clone", "--quiet", "--bare", str(workshop.root), str(origin))
    workshop.git("remote", "add", "origin", str(origin))
    release = workshop.releases(2)[0]
    workshop.git("push", "--quiet", "origin", "HEAD")
    shutil.copytree(workshop.root, other, symlinks=True)
    eve = Workshop(other)
    eve.git("config", "user.name", "Eve")
    return Team(origin, workshop.repository, eve.repository, release)


def declare(team: Team, who: Repository, action: str = "deploy") -> Desired:
    return desired.declare(who, ENVIRONMENT, team.release, action, NOW, shared=True)


def test_a_declaration_and_its_release_reach_the_origin_together(team: Team) -> None:
    declare(team, team.ada)
    assert team.tags() == {team.release.tag, f"{MODEL}#{ENVIRONMENT}#1"}
    team.eve.fetch_tags()
    assert desired.current(team.eve, MODEL, ENVIRONMENT) == desired.current(team.ada, MODEL, ENVIRONMENT)


def test_who_comes_second_is_told_who_was_first_and_leaves_nothing(team: Team) -> None:
    declare(team, team.ada)
    with pytest.raises(Locked) as caught:
        declare(team, team.eve)
    assert str(caught.value).startswith(f"{MODEL}#{ENVIRONMENT}#1 exists; Ada made it on ")
    assert caught.value.exit_code == 5
    current = desired.current(team.eve, MODEL, ENVIRONMENT)
    assert current
    assert current.by == "Ada"


def test_of_two_at_the_same_moment_one_wins(team: Team) -> None:
    def outcome(who: Repository) -> str:
        try:
            declare(team, who)
        except Locked:
            return "locked"
        return "won"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(outcome, [team.ada, team.eve])) == ["locked", "won"]


RACER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from slipway.errors import SlipwayError
from slipway.release import desired
from slipway.release.create import releases
from slipway.release.git import Repository

repository = Repository(Path.cwd())
number = int(sys.argv[1])
release = list(releases(repository, "wear"))[number % 2]
print("ready", flush=True)
sys.stdin.readline()
try:
    desired.declare(repository, "staging", release, "deploy", datetime.now(UTC), shared=True)
except SlipwayError as error:
    print(error)
    sys.exit(error.exit_code)
"""
"""A process that deploys, as soon as it is told to."""


def test_of_ten_processes_that_deploy_at_once_one_wins_and_the_others_end_with_5_and_its_name(
    team: Team, tmp_path: Path
) -> None:
    subprocess.run(["git", "push", "--quiet", "--tags", "origin"], cwd=team.ada.root, check=True)
    clones = [tmp_path / f"clone-{number}" for number in range(10)]
    for number, clone in enumerate(clones):
        subprocess.run(["git", "clone", "--quiet", str(team.origin), str(clone)], check=True)
        Workshop(clone).git("config", "user.name", f"Person {number}")
        Workshop(clone).git("config", "user.email", "person@example.org")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(number)], cwd=clone, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for number, clone in enumerate(clones)
    ]  # fmt: skip
    assert [racer.stdout and racer.stdout.readline() for racer in racers] == ["ready\n"] * 10
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate()[0] for racer in racers]
    codes = [racer.returncode for racer in racers]
    assert sorted(codes) == [0, *[5] * 9], said
    winner = codes.index(0)
    tag = f"{MODEL}#{ENVIRONMENT}#1"
    told = Workshop(team.origin).git("rev-parse", tag)
    assert Workshop(team.origin).git("tag", "--list", f"{MODEL}#*") == tag
    for number, clone in enumerate(clones):
        assert Workshop(clone).git("rev-parse", tag) == told
        if number != winner:
            assert said[number].startswith(f"{tag} exists; Person {winner} made it on ")
            assert said[number].endswith(f"\n  next: slipway status {ENVIRONMENT}\n")


def test_clocks_that_differ_by_years_change_nothing(team: Team) -> None:
    subprocess.run(["git", "push", "--quiet", "--tags", "origin"], cwd=team.ada.root, check=True)
    first, second = releases(team.ada, MODEL)
    past = NOW - timedelta(days=3650)
    for who, release, now in ((team.ada, first, NOW), (team.eve, second, past), (team.ada, first, NOW)):
        who.fetch_tags()
        desired.declare(who, ENVIRONMENT, release, "deploy", now, shared=True)
    team.eve.fetch_tags()
    found = desired.history(team.eve, MODEL, ENVIRONMENT)
    assert [(each.by, each.release) for each in found] == [("Ada", first), ("Eve", second), ("Ada", first)]
    assert found == sorted(found, key=lambda each: each.at)


def test_a_desired_state_that_was_deleted_at_the_origin_is_told_again_by_who_has_it(team: Team) -> None:
    _, second = releases(team.ada, MODEL)
    declare(team, team.ada)
    Workshop(team.origin).git("tag", "--delete", f"{MODEL}#{ENVIRONMENT}#1")
    team.ada.fetch_tags()
    desired.declare(team.ada, ENVIRONMENT, second, "deploy", NOW, shared=True)
    assert {f"{MODEL}#{ENVIRONMENT}#1", f"{MODEL}#{ENVIRONMENT}#2"} < team.tags()


def test_a_number_that_was_deleted_and_given_again_is_refused_by_who_has_the_first(team: Team) -> None:
    declare(team, team.ada)
    Workshop(team.origin).git("tag", "--delete", f"{MODEL}#{ENVIRONMENT}#1")
    team.eve.fetch_tags()
    declare(team, team.eve)
    with pytest.raises(MovedError, match=f"origin has another {MODEL}#{ENVIRONMENT}#1 than this clone"):
        team.ada.fetch_tags()


def test_a_release_that_was_deleted_everywhere_is_refused_though_it_is_desired(team: Team) -> None:
    declare(team, team.ada)
    Workshop(team.origin).git("tag", "--delete", team.release.tag)
    subprocess.run(["git", "tag", "--delete", team.release.tag], cwd=team.ada.root, check=True)
    team.ada.fetch_tags()
    with pytest.raises(Refused, match=f"{MODEL}#{ENVIRONMENT}#1 says v1.0.0, which is no release"):
        desired.current(team.ada, MODEL, ENVIRONMENT)


def test_two_who_bar_the_same_release_agree_on_who_was_first(team: Team) -> None:
    subprocess.run(["git", "push", "--quiet", "--tags", "origin"], cwd=team.ada.root, check=True)
    team.eve.fetch_tags()
    for who, reason in ((team.ada, "Ada saw it fail"), (team.eve, "Eve saw it fail")):
        quarantine.declare(who, team.release, ENVIRONMENT, reason, NOW, shared=True)
    team.ada.fetch_tags()
    team.eve.fetch_tags()
    for who in (team.ada, team.eve):
        assert quarantine.current(who, MODEL)["v1.0.0"].reason == "Ada saw it fail"


def test_a_release_that_fails_after_others_let_it_go_is_barred_again(team: Team) -> None:
    quarantine.declare(team.ada, team.release, ENVIRONMENT, "Ada saw it fail", NOW, shared=True)
    quarantine.lift(team.ada, team.release, NOW, shared=True)
    quarantine.declare(team.eve, team.release, ENVIRONMENT, "Eve saw it fail", NOW, shared=True)
    team.ada.fetch_tags()
    assert quarantine.current(team.ada, MODEL)["v1.0.0"].reason == "Eve saw it fail"


def test_who_has_not_heard_why_a_release_is_barred_can_let_it_go(team: Team) -> None:
    quarantine.declare(team.ada, team.release, ENVIRONMENT, "Ada saw it fail", NOW, shared=True)
    assert quarantine.lift(team.eve, team.release, NOW, shared=True).reason == "Ada saw it fail"


def test_a_quarantine_is_lifted_at_the_origin_or_not_at_all(team: Team) -> None:
    quarantine.declare(team.ada, team.release, ENVIRONMENT, "Ada saw it fail", NOW, shared=True)
    cut(team.origin)
    with pytest.raises(OriginError):
        quarantine.lift(team.ada, team.release, NOW, shared=True)
    assert "v1.0.0" in quarantine.current(team.ada, MODEL)
    assert team.tags() == {f"quarantine/{MODEL}/v1.0.0/1"}


def test_a_network_that_goes_in_the_middle_of_a_push_leaves_nothing_here_or_there(team: Team) -> None:
    """The origin's end dies when it has all, and before it has made a tag of it."""
    cut(team.origin)
    with pytest.raises(OriginError, match=r"`git push --atomic` failed: ") as caught:
        declare(team, team.ada)
    assert str(caught.value.next_command).startswith("git push origin refs/tags/")
    assert team.tags() == set()
    assert desired.current(team.ada, MODEL, ENVIRONMENT) is None
    (team.origin / "hooks" / "pre-receive").unlink()
    declare(team, team.ada)
    assert team.tags() == {team.release.tag, f"{MODEL}#{ENVIRONMENT}#1"}


def cut(origin: Path) -> None:
    """End whatever receives a push, as a network that goes does."""
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)


def test_a_release_that_somebody_else_has_made_by_the_same_name_is_named(team: Team) -> None:
    forged = ["git", "tag", "--annotate", "--message", "Eve's", "--force", team.release.tag, "HEAD"]
    subprocess.run(forged, cwd=team.eve.root, check=True, capture_output=True)
    subprocess.run(["git", "push", "--quiet", "origin", team.release.tag], cwd=team.eve.root, check=True)
    with pytest.raises(MovedError, match=f"origin has another {team.release.tag} than this clone"):
        declare(team, team.ada)
    assert team.tags() == {team.release.tag}
    assert desired.current(team.ada, MODEL, ENVIRONMENT) is None


def test_an_origin_that_is_gone_leaves_no_tag_here(team: Team) -> None:
    team.origin.rename(team.origin.with_name("elsewhere"))
    with pytest.raises(OriginError, match="does not appear to be a git repository"):
        declare(team, team.ada)
    assert desired.current(team.ada, MODEL, ENVIRONMENT) is None


def test_an_origin_that_refuses_leaves_no_tag_here_or_there(team: Team) -> None:
    hook = team.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'you may not' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(OriginError, match=r"remote rejected.*pre-receive hook declined"):
        declare(team, team.ada)
    assert team.tags() == set()
    assert desired.current(team.ada, MODEL, ENVIRONMENT) is None


def test_a_declaration_of_whoever_was_alone_gives_way_by_its_name(team: Team) -> None:
    """Both declared the first one while the other could not hear; the origin has Eve's."""
    subprocess.run(["git", "push", "--quiet", "--tags", "origin"], cwd=team.ada.root, check=True)
    team.eve.fetch_tags()
    desired.declare(team.ada, ENVIRONMENT, team.release, "rollback", NOW)
    declare(team, team.eve)
    with pytest.raises(
        MovedError, match=f"origin has another {MODEL}#{ENVIRONMENT}#1 than this clone"
    ) as caught:
        declare(team, team.ada, "rollback")
    assert str(caught.value.next_command).startswith(
        f"git tag --delete '{MODEL}#{ENVIRONMENT}#1', if origin is right"
    )


def test_what_was_declared_but_not_told_is_told_by_the_next(team: Team) -> None:
    desired.declare(team.ada, ENVIRONMENT, team.release, "rollback", NOW)
    assert team.tags() == set()
    declare(team, team.ada)
    assert team.tags() == {team.release.tag, f"{MODEL}#{ENVIRONMENT}#1"}


def test_a_release_that_somebody_moved_is_not_taken_over(team: Team) -> None:
    declare(team, team.ada)
    forged = ["git", "tag", "--force", "--annotate", "--message", "Forged", team.release.tag, "HEAD"]
    subprocess.run(forged, cwd=team.ada.root, check=True, capture_output=True)
    push = ["git", "push", "--force", "origin", f"refs/tags/{team.release.tag}"]
    subprocess.run(push, cwd=team.ada.root, check=True, capture_output=True)
    with pytest.raises(OriginError, match=r"\[rejected\].*would clobber existing tag"):
        team.eve.fetch_tags()
