"""A team of two clones and their origin: who declares first, wins, and nothing is there by half."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import Locked
from slipway.release import desired
from slipway.release.desired import Desired
from slipway.release.git import OriginError, Repository
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
