"""Whoever changes what a team has in common asks the origin first, so that nobody undoes what he has not heard of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.workshop import NOW, Workshop

from slipway.errors import InputError
from slipway.fleet import heal, rollout, shadow, team
from slipway.fleet.context import Context
from slipway.fleet.environment import Environment
from slipway.release import desired
from slipway.release.create import releases
from slipway.release.git import OriginError, Repository


@pytest.fixture
def origin(workshop: Workshop, tmp_path: Path) -> Path:
    """A bare repository that the workshop came from."""
    place = tmp_path / "origin.git"
    workshop.git("clone", "--quiet", "--bare", str(workshop.root), str(place))
    workshop.git("remote", "add", "origin", str(place))
    return place


@pytest.fixture
def shared(context: Context, origin: Path) -> Context:
    """A command on an environment that a team has in common."""
    del origin
    return context._replace(environment=Environment("staging", context.environment.repository))


ACTS: dict[str, Callable[[Context], object]] = {
    "deploy": lambda context: rollout.deploy(context, "v1.0.0"),
    "reconcile": rollout.reconcile,
    "heal": heal.heal,
    "shadow": lambda context: shadow.shadow(context, "v1.0.0", 1),
}


@pytest.mark.parametrize("act", ACTS)
def test_where_the_origin_cannot_be_asked_nothing_is_changed(shared: Context, origin: Path, act: str) -> None:
    origin.rename(origin.with_name("elsewhere"))
    with pytest.raises(OriginError):
        ACTS[act](shared)
    assert not shared.environment.folder.exists(), "a session was opened"


def test_what_somebody_else_has_declared_is_learned(
    shared: Context, workshop: Workshop, origin: Path, tmp_path: Path
) -> None:
    workshop.releases(1)
    workshop.git("clone", "--quiet", str(origin), str(tmp_path / "other"))
    other = Repository(tmp_path / "other")
    for setting, value in {"user.name": "Eve", "user.email": "eve@example.org"}.items():
        Workshop(other.root).git("config", setting, value)
    workshop.git("push", "--quiet", "origin", "--tags")
    other.fetch_tags()
    (release,) = releases(other, "wear")
    desired.declare(other, "staging", release, "deploy", NOW, shared=True)
    assert desired.current(shared.environment.repository, release.model, "staging") is None
    team.learn(shared)
    found = desired.current(shared.environment.repository, release.model, "staging")
    assert found
    assert found.by == "Eve"


def test_the_environment_of_this_machine_asks_nobody(context: Context, origin: Path) -> None:
    origin.rename(origin.with_name("elsewhere"))
    assert team.unheard(context) == ""


def test_only_local_puts_a_work_tree_into_a_shadow(shared: Context) -> None:
    with pytest.raises(InputError, match="staging takes releases only"):
        shadow.shadow(shared, None, 1)
