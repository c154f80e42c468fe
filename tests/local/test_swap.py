"""Another model, and back, while requests come: none is lost, and none is answered by anything but a live release."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.local.load import Load
from tests.local.workplace import Candidate, Workplace, with_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.scorer import Scorer

# Nothing listens there: whoever asks the service by way of the proxy, fails.
PROXIES = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")


class Step(NamedTuple):
    """A command that made a release live."""

    began: float
    ended: float
    release: str
    logged: str


class Story(NamedTuple):
    """Four swaps under one load: to another model, to a third, and back two times."""

    load: Load
    steps: list[Step]
    candidates: dict[str, Candidate]


@pytest.fixture(scope="module")
def story(shop: Workplace, first: Candidate, rows: list[dict[str, Any]]) -> Story:
    shop.git("checkout", "--quiet", "--force", "begin", "--", ".")
    shop.offer(first)
    if not shop.answers() or shop.log()[-1]["bundle"] != first.digest:
        shop.does("deploy", "local")
    steps = [Step(0.0, 0.0, shop.one_slot_answers(), "")]
    candidates = {steps[0].release: first}

    def step(*arguments: str, **variables: str) -> None:
        began = time.monotonic()
        shop.does(*arguments, **variables)
        ended = time.monotonic()
        steps.append(Step(began, ended, shop.one_slot_answers(), shop.log()[-1]["action"]))
        candidates.setdefault(steps[-1].release, shop.candidate())

    with Load(shop.port, rows) as load:
        shop.set("train.hyperparameters", "{C: 0.03, class_weight: balanced}")
        step("up", **PROXIES)
        shop.offer(with_note(first, f"a third after {len(shop.log())}"))
        step("deploy", "local")
        step("rollback", "local")
        step("rollback", "local", **PROXIES)
    return Story(load, steps, candidates)


def test_no_request_fails(story: Story) -> None:
    assert story.load.failed == []
    assert story.load.per_second >= 100


def test_another_hyper_parameter_makes_another_release(story: Story) -> None:
    before, tuned, *_ = story.steps
    assert before.release != tuned.release
    assert tuned.logged == "deploy"


def test_two_roll_backs_go_back_two_releases(story: Story) -> None:
    first, second, third, once, twice = (step.release for step in story.steps)
    assert len({first, second, third}) == 3
    assert [second, first] == [once, twice]
    assert [step.logged for step in story.steps[-2:]] == ["rollback", "rollback"]


def test_only_a_live_release_answers(story: Story) -> None:
    live = [step.release for step in story.steps]
    assert list(dict.fromkeys(live)) == story.load.releases
    for old, new in pairwise(story.steps):
        later = next((step.began for step in story.steps if step.began > new.ended), float("inf"))
        during = [each for each in story.load.requests if old.ended <= each.started and each.ended <= later]
        assert Load.illegal(during, old.release, new.release, new.began, new.ended) == []


def test_every_answer_is_the_offline_prediction_of_the_release_that_it_names(
    story: Story,
    rows: list[dict[str, Any]],
    scorers: Callable[[dict[str, Candidate]], dict[str, Scorer]],
) -> None:
    models = scorers(story.candidates)
    assert story.load.wrong(models, rows) == []
    first, tuned, *_ = (models[step.release].predict(rows) for step in story.steps)
    assert first != tuned


@pytest.mark.nightly
def test_the_host_keeps_five_releases(local: Workplace, first: Candidate) -> None:
    while len({line["release"] for line in local.log()}) < 6:
        local.offer(with_note(first, f"one of six {len(local.log())}"))
        local.does("deploy", "local")
    last = list(dict.fromkeys(line["release"] for line in reversed(local.log())))
    assert set(last[:5]) == local.installed()
    assert sorted(last[:5]) == sorted(local.reads("status", "local")["hosts"]["local-1"]["installed"])
    said = local.slipway("rollback", "local", last[5])
    assert said.code == 1
    assert f"{last[5]} is not on local" in said.err
    assert last[0] == local.answers()
