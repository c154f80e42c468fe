"""The checks of drills find what they are there to find; no lab is needed."""

from __future__ import annotations

from collections import Counter

from tests.lab.drills.checks import Timeline, refused, unfamiliar, unlogged, untrue
from tests.local.load import LAME_DUCK_SECONDS, Load, Request

from slipway.scorer import Prediction

ROWS = [{"x": 1.0}, {"x": 2.0}]


class Model:
    """Answers the row's number."""

    def predict(self, rows: list[dict[str, float]]) -> list[Prediction]:
        return [Prediction("ill", row["x"]) for row in rows]


def answer(
    at: float, release: str = "v1", probability: float = 1.0, error: str = "", first: str = ""
) -> Request:
    return Request(at, at + 0.1, 0, release, "ill", probability, error, f"{at}{first}", 200, first)


def load(*requests: Request) -> Load:
    seen = Load(0, ROWS)
    seen.requests += requests
    return seen


def judged(*requests: Request, timeline: Timeline) -> list[str]:
    found = untrue(load(*requests), timeline, {"v1": Model(), "v2": Model()}, ROWS)  # type: ignore[dict-item]
    return [line.partition(":")[0] for line in found]


def test_a_release_is_legal_from_its_command_on_and_until_the_fleet_has_left_it() -> None:
    timeline = Timeline("v1")
    timeline.begins("v2", 10.0)
    timeline.settles("v2", 20.0)
    good = [answer(5), answer(11), answer(11, "v2"), answer(20 + LAME_DUCK_SECONDS), answer(99, "v2")]
    assert judged(*good, timeline=timeline) == []
    assert judged(answer(9, "v2"), answer(21 + LAME_DUCK_SECONDS), timeline=timeline) == ["not live then"] * 2


def test_a_release_that_nobody_brings_is_never_legal() -> None:
    timeline = Timeline("v1")
    timeline.settles("v1", 20.0)
    assert judged(answer(11, "v2"), timeline=timeline) == ["not live then"]


def test_an_answer_that_differs_in_the_last_bit_is_found() -> None:
    found = judged(answer(1, probability=1.0000000000000002), timeline=Timeline("v1"))
    assert found == ["not the offline prediction"]


def test_a_failure_is_found_and_more_second_tries_than_kills_explain() -> None:
    assert refused(load(answer(1, first="reset")), kills=1, threads=1) == []
    assert len(refused(load(answer(1, error="reset")), kills=1, threads=1)) == 1
    assert len(refused(load(answer(1, first="a"), answer(2, first="b")), kills=1, threads=1)) == 1


def test_an_answer_that_was_not_logged_or_twice_is_found_unless_something_was_killed() -> None:
    seen = load(answer(1), answer(2), answer(3, error="reset"))
    assert unlogged(seen, Counter(["1", "2"]), kills=0) == []
    assert unlogged(seen, Counter(["1", "1"]), kills=0) == ["1 is logged 2 times", "2 is logged 0 times"]
    assert unlogged(seen, Counter(), kills=1) == []


def test_an_id_that_is_used_twice_is_found() -> None:
    assert unfamiliar(load(answer(1), answer(2))) == []
    assert unfamiliar(load(answer(1), answer(1))) != []
