import pytest

from slipway.cli.app import _with_seconds
from slipway.fleet import shadow
from slipway.fleet.analysis.bake import Bake, Limits


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["deploy", "local"], ["deploy", "local"]),
        (["deploy", "local", "--shadow"], ["deploy", "local", "--shadow", "60"]),
        (["deploy", "--shadow", "local"], ["deploy", "--shadow", "60", "local"]),
        (["deploy", "local", "v1.0.0", "--shadow", "2.5"], ["deploy", "local", "v1.0.0", "--shadow", "2.5"]),
    ],
)
def test_a_shadow_without_a_time_has_a_minute(given: list[str], told: list[str]) -> None:
    assert _with_seconds(given) == told


def test_a_short_shadow_is_looked_at_often_enough_and_tells_nothing_of_memory() -> None:
    found = shadow.settings(Bake(minimum_requests=500, limits=Limits(score=0.2)), 40)

    assert (found.seconds, found.look_seconds, found.minimum_requests) == (40, 2, 500)
    assert (found.limits.memory, found.limits.score) == (None, 0.2)


def test_a_long_shadow_is_a_bake() -> None:
    bake = Bake(seconds=300, look_seconds=10)

    found = shadow.settings(bake, 300)

    assert found == bake.model_copy(update={"alpha": found.alpha})


@pytest.mark.parametrize(("seconds", "metrics"), [(40.0, 8), (300.0, 9)])
def test_all_metrics_of_a_shadow_together_have_the_alpha_of_a_bake(seconds: float, metrics: int) -> None:
    bake = Bake(alpha=0.05)

    assert shadow.settings(bake, seconds).alpha_of_each * metrics == pytest.approx(bake.alpha)
