"""The judges again, after whatever a team may do: GTO and DVC read from the tags what we read, in every clone."""

import os
import shutil
import subprocess
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gto
import pytest
from dvc.exceptions import ArtifactNotFoundError
from dvc.repo import Repo
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from semver import Version
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import InputError, Locked, Refused
from slipway.release import create, desired, quarantine
from slipway.release.desired import Desired
from slipway.release.git import Tag
from slipway.release.names import ReleaseName

RUNS, STEPS, OPERATIONS = 10, 22, 200
ENVIRONMENTS = ("dev", "staging", "production")
RULES = ("commit", "release", "declare", "race", "bar", "lift", "fetch", "plain")

people = st.sampled_from(["ada", "eve"])
environments = st.sampled_from(ENVIRONMENTS)
actions = st.sampled_from(["deploy", "rollback", "abort"])
positions = st.integers(0, 50)
versions = st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 12))
clocks = st.integers(-400 * 24, 400 * 24).map(lambda hours: NOW + timedelta(hours=hours))
"""Of whoever does something: they may be a year ahead, or behind."""


class Team(RuleBasedStateMachine):
    """Ada, who trains and releases; Eve, who has another clone; their origin; and a person who has only git."""

    def __init__(self, workshop: Workshop, folder: Path, done: Counter[str]) -> None:
        super().__init__()
        self.done = done
        self.judged: dict[str, str] = {}
        self.folder = folder / f"team-{done['teams']}"
        done["teams"] += 1
        self.origin = self.folder / "origin.git"
        self.clones = {name: Workshop(self.folder / name) for name in ("ada", "eve")}
        for name, clone in self.clones.items():
            shutil.copytree(workshop.root, clone.root, symlinks=True)
            clone.git("config", "user.name", name.capitalize())
            if not self.origin.exists():
                clone.git("clone", "--quiet", "--bare", ".", str(self.origin))
            clone.git("remote", "add", "origin", str(self.origin))
        self.ada.releases(3)
        self.ada.reproduce()
        self.ada.git("push", "--quiet", "--tags", "origin", "main")

    @property
    def ada(self) -> Workshop:
        return self.clones["ada"]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def is_released(self) -> bool:
        """Whether the commit of main is."""
        known = create.releases(self.ada.repository, MODEL).values()
        return self.ada.repository.head() in {tag.commit for tag in known}

    def knows(self, who: str) -> list[ReleaseName]:
        return list(create.releases(self.clones[who].repository, MODEL))

    def told(self, pattern: str = "") -> dict[str, str]:
        """The tags that a repository has, with the object of each: the origin's."""
        listed = git(
            self.origin, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", f"refs/tags/{pattern}"
        )
        return dict(line.split() for line in listed.splitlines())

    def behind(self, who: str, pattern: str) -> bool:
        """Whether the origin has a tag of which somebody has not heard."""
        return bool(set(self.told(pattern)) - set(self.clones[who].git("tag", "--list", pattern).split()))

    @precondition(lambda self: self.is_released)
    @rule(what=st.sampled_from(["notes", "notes", "notes", "model"]))
    def commit(self, what: str) -> None:
        """Another model, or something around it; on main, as the origin knows at once."""
        self.done["commit"] += 1
        text = f"after {self.done.total()} operations"
        if what == "model":
            self.ada.train(model=text)
        else:
            self.ada.write({"source/notes.txt": text})
            self.ada.commit()
        self.ada.git("push", "--quiet", "origin", "main")

    @rule(clock=clocks, version=st.none() | versions.map(lambda numbers: Version(*numbers)))
    def release(self, clock: datetime, version: Version | None) -> None:
        """By the next version, or one that is asked for: higher than all, or lower, or there already."""
        self.done["release"] += 1
        asked = ReleaseName(MODEL, version) if version else None
        if self.is_released or asked in self.knows("ada"):
            with pytest.raises(Refused):
                self.ada.release(str(version) if version else None, clock)
            return
        made = self.ada.release(str(version) if version else None, clock)
        assert made == (asked or max(self.knows("ada")))

    @rule(who=people, to=environments, position=positions, action=actions, clock=clocks)
    def declare(self, who: str, to: str, position: int, action: str, clock: datetime) -> None:
        """Whoever has not heard of the newest desired state, or of the release, is told so."""
        self.done["declare"] += 1
        wanted = pick(self.knows("ada"), position)
        late = self.behind(who, f"{MODEL}#{to}#*")
        repository = self.clones[who].repository
        if wanted not in self.knows(who):
            with pytest.raises(InputError):
                desired.declare(repository, to, wanted, action, clock, shared=True)
            return
        before = desired.current(repository, MODEL, to)
        if late and not (before and before.release == wanted):
            with pytest.raises(Locked):
                desired.declare(repository, to, wanted, action, clock, shared=True)
            assert not self.behind(who, f"{MODEL}#{to}#*")
            return
        state = desired.declare(repository, to, wanted, action, clock, shared=True)
        assert (state.release, {wanted.tag, state.name.tag} <= set(self.told())) == (wanted, True)
        if not (before and before.release == wanted):
            assert in_order(desired.history(repository, MODEL, to))

    @precondition(lambda self: len(self.knows("eve")) > 1)
    @rule(to=environments, position=positions, clock=clocks, first=people)
    def race(self, to: str, position: int, clock: datetime, first: str) -> None:
        """Both have heard of everything, and want different releases: who is second is locked out, and told by whom."""
        self.done["race"] += 1
        for who in self.clones:
            self.hear(who)
        now = desired.current(self.ada.repository, MODEL, to)
        choice = [name for name in self.knows("eve") if not (now and name == now.release)]
        if len(choice) < 2:
            return
        second = "eve" if first == "ada" else "ada"
        desired.declare(
            self.clones[first].repository, to, pick(choice, position), "deploy", clock, shared=True
        )
        with pytest.raises(Locked, match=rf"exists; {first.capitalize()} made it on "):
            desired.declare(
                self.clones[second].repository, to, pick(choice, position + 1), "deploy", NOW, shared=True
            )

    @rule(who=people, position=positions, clock=clocks)
    def bar(self, who: str, position: int, clock: datetime) -> None:
        """A release fails by its own fault; the other one may have seen that, too, and not heard of this."""
        self.done["bar"] += 1
        name, repository = pick(self.knows("ada"), position), self.clones[who].repository
        quarantine.declare(repository, name, "staging", f"seen by {who}", clock, shared=True)
        assert name.label in quarantine.current(repository, MODEL)

    @rule(who=people, position=positions, clock=clocks)
    def lift(self, who: str, position: int, clock: datetime) -> None:
        self.done["lift"] += 1
        repository = self.clones[who].repository
        barred = list(quarantine.current(repository, MODEL).values())
        if barred:
            with suppress(InputError):  # The other one was faster.
                quarantine.lift(repository, pick(barred, position).release, clock, shared=True)

    @rule(who=people)
    def fetch(self, who: str) -> None:
        self.done["fetch"] += 1
        self.hear(who)

    @rule(to=environments, position=positions, clock=clocks, says=st.booleans())
    def plain(self, to: str, position: int, clock: datetime, *, says: bool) -> None:
        """A desired state by `git tag` and `git push`, whatever that person's clock says."""
        self.done["plain"] += 1
        tag = pick(sorted(self.told(f"{MODEL}@*")), position)
        words = f"Go\n\nRelease: {tag.partition('@')[2]}" if says else "Go"
        numbers = [int(name.rpartition("#")[2]) for name in self.told(f"{MODEL}#{to}#*")]
        name = f"{MODEL}#{to}#{max(numbers, default=0) + 1}"
        git(self.origin, "tag", "--annotate", "--message", words, name, f"{tag}^{{}}", at=clock)

    def hear(self, who: str) -> None:
        self.clones[who].repository.fetch_tags()

    @invariant()
    def judges_agree(self) -> None:
        for who, clone in self.clones.items():
            tags = clone.git("for-each-ref", "refs/tags")
            if tags != self.judged.get(who):
                self.judged[who] = tags
                self.agrees(clone)

    def agrees(self, clone: Workshop) -> None:
        known = create.releases(clone.repository, MODEL)
        states = {name: desired.history(clone.repository, MODEL, name) for name in ENVIRONMENTS}
        self.agrees_on_history(clone, known, states)
        ordered = {name: found for name, found in states.items() if in_order(found)}
        shown = gto.api.show(str(clone.root)).get(MODEL, {"version": None, "stage": {}})
        assert shown["version"] == (list(known)[-1].label if known else None)
        with Repo(str(clone.root)) as repo:
            for environment, found in ordered.items():
                now = desired.current(clone.repository, MODEL, environment)
                assert now == (found[-1] if found else None)
                assert shown["stage"].get(environment) == (now and now.release.label)
                if now:
                    assert repo.artifacts.get_rev(MODEL, stage=environment) == now.commit
                else:
                    with pytest.raises(ArtifactNotFoundError):
                        repo.artifacts.get_rev(MODEL, stage=environment)

    def agrees_on_history(
        self, clone: Workshop, known: dict[ReleaseName, Tag], states: dict[str, list[Desired]]
    ) -> None:
        """The same events; and the same one is the last, unless a person's clock was behind."""
        events = [
            event for event in gto.api.history(str(clone.root), ascending=True) if event["artifact"] == MODEL
        ]
        made = {event["ref"]: event["commit"] for event in events if event["event"] == "registration"}
        assert made == {name.tag: tag.commit for name, tag in known.items()}
        for environment, found in states.items():
            theirs = [told(event) for event in events if event["stage"] == environment]
            ours = [
                (state.name.tag, state.release.label, state.commit, state.by, state.at.astimezone(UTC))
                for state in found
            ]
            assert sorted(theirs) == sorted(ours)
            if in_order(found):
                assert theirs[-1:] == ours[-1:]


def in_order(states: list[Desired]) -> bool:
    """Whether the last desired state has the last date, by which GTO tells it; a tag of plain git may have not."""
    dates = [state.at for state in states]
    return all(date < dates[-1] for date in dates[:-1])


def told(event: dict[str, Any]) -> tuple[str, str, str, str, datetime]:
    return event["ref"], event["version"], event["commit"], event["author"], event["timestamp"]


def pick(choice: list[Any], position: int) -> Any:
    return choice[position % len(choice)]


def git(folder: Path, *arguments: str, at: datetime = NOW) -> str:
    person = {"GIT_COMMITTER_NAME": "Grace", "GIT_COMMITTER_EMAIL": "grace@example.org"}
    date = {"GIT_COMMITTER_DATE": f"{int(at.timestamp())} +0000"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **person, **date}, check=True, capture_output=True, text=True
    )  # fmt: skip
    return done.stdout


def test_gto_and_dvc_agree_with_us_after_whatever_a_team_does(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done: Counter[str] = Counter(dict.fromkeys(RULES, 0))
    run_state_machine_as_test(
        lambda: Team(workshop, tmp_path, done),  # type: ignore[arg-type]  # it calls whatever makes one
        settings=settings(
            max_examples=RUNS, stateful_step_count=STEPS, derandomize=True, database=None, deadline=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    teams = done.pop("teams")
    with capsys.disabled():
        print(f"\n{done.total()} operations by {teams} teams: {dict(done)}")  # noqa: T201 - a count is the point
    assert done.total() >= OPERATIONS
    assert all(done.values()), "each is done"
