from typing import Any

import pytest
from pydantic import ValidationError

from slipway.fleet.analysis.bake import Bake, Limits


def problem(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Bake(**settings)
    (found,) = caught.value.errors()
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def test_the_defaults_are_sound() -> None:
    assert Bake().alpha == 0.01
    assert Bake().seconds / Bake().look_seconds > 2 * Bake().minimum_windows


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"alpha": 0.0}, "alpha: "),
        ({"alpha": 0.5}, "alpha: "),
        ({"alpha": float("nan")}, "alpha: "),
        ({"seconds": 0.0}, "seconds: "),
        ({"seconds": float("inf")}, "seconds: "),
        ({"look_seconds": 0.0}, "look_seconds: "),
        ({"minimum_requests": 0}, "minimum_requests: "),
        ({"minimum_requests": 10.5}, "minimum_requests: "),
        ({"alpa": 0.1}, "alpa: Extra inputs"),
        ({"limits": {"errors": -0.1}}, "limits.errors: "),
        ({"limits": {"p99": 0.9}}, "limits.p99: "),
        ({"limits": {"p99": float("inf")}}, "limits.p99: "),
        ({"limits": {"score": 1.1}}, "limits.score: "),
        ({"limits": {"memory": -1.0}}, "limits.memory: "),
        ({"limits": {"restarts": float("nan")}}, "limits.restarts: "),
        ({"limits": {"recall": 0.1}}, "limits.recall: Extra inputs"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(settings: dict[str, Any], expected: str) -> None:
    assert problem(**settings).startswith(expected)


def test_a_bake_too_short_to_show_a_leak_is_refused() -> None:
    assert "`seconds` 60 hold 6 looks `look_seconds` 10 apart; a leak can be shown after 13" in problem(
        seconds=60
    )
    assert Bake(seconds=60, look_seconds=4).minimum_windows == 13
    assert Bake(seconds=60, limits=Limits(memory=None)).limits.memory is None


def test_each_metric_has_an_even_share_of_alpha() -> None:
    assert Bake(alpha=0.07).alpha_of_each == pytest.approx(0.01)
    assert Bake(alpha=0.06, limits=Limits(memory=None)).alpha_of_each == pytest.approx(0.01)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Bake().alpha = 0.2
