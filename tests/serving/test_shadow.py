"""A slot in the shadow is asked what the live one is asked, and nobody who asks notices."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from slipway.fleet.analysis import measure
from slipway.fleet.analysis.measure import Moments, Snapshot
from slipway.serving import probe
from slipway.serving.door import announcement
from slipway.serving.shadow import order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.serving.conftest import Front, Home, Model, Slot, Start


@pytest.fixture
def live(home: Home, cancer: Model, other_cancer: Model, start: Start) -> Slot:
    """Blue, live, with v1.0.0; green would serve v2.0.0."""
    home.install("v1.0.0", cancer)
    home.install("v2.0.0", other_cancer)
    home.point("blue", "v1.0.0")
    home.point("green", "v2.0.0")
    home.make_live("blue")
    return start("blue", "--lame-duck-seconds", "0").until(probe.live)


@pytest.fixture
def shadow(live: Slot, start: Start) -> Slot:
    """Green, ready, and asked by blue."""
    slot = start("green").until(probe.ready)
    ordered(live, "green")
    return slot


def ordered(live: Slot, slot: str, seconds: float = 60) -> None:
    order(live.home.folder).write_text(json.dumps({"slot": slot, "seconds": seconds}))
    looked(live)


def looked(live: Slot) -> None:
    """Have it look, and wait until it has."""
    live.signal(signal.SIGUSR1)
    time.sleep(0.2)


def asked(front: Front, bodies: list[Any]) -> list[tuple[int, Any]]:
    with httpx.Client(timeout=10, trust_env=False) as client:
        answers = [client.post(f"{front.url}/predict", json=body) for body in bodies]
    return [(answer.status_code, answer.json()) for answer in answers]


def snapshot(slot: Slot) -> Snapshot:
    found = measure.read(httpx.get(f"{slot.url}/metrics", trust_env=False).text)
    assert isinstance(found, Snapshot)
    return found


def counter(slot: Slot, name: str) -> float:
    text = httpx.get(f"{slot.url}/metrics", trust_env=False).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def eventually(check: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_shadow_is_asked_the_same_and_its_answers_are_compared(
    live: Slot, shadow: Slot, front: Front, cancer: Model, other_cancer: Model
) -> None:
    bodies = [*cancer.rows[:20], cancer.rows[20:30]]
    answers = asked(front, bodies)
    assert {(status, answer["release"]) for status, answer in answers} == {(200, "v1.0.0")}
    eventually(lambda: snapshot(live).difference.requests == len(bodies))
    requests = [[row] for row in cancer.rows[:20]] + [cancer.rows[20:30]]
    pairs = [list(zip(cancer.offline(rows), other_cancer.offline(rows), strict=True)) for rows in requests]
    differing = sum(sum(one.label != other.label for one, other in each) / len(each) for each in pairs)
    gap = sum(
        sum(abs(one.probability - other.probability) for one, other in each) / len(each) for each in pairs
    )
    found = snapshot(live)
    assert list(found.differing) == pytest.approx([len(bodies), differing])
    assert list(found.difference) == pytest.approx([len(bodies), gap])
    assert gap > 0
    assert snapshot(shadow).statuses == {"200": len(bodies)}


def test_what_is_refused_is_asked_of_the_shadow_too(live: Slot, shadow: Slot, front: Front) -> None:
    assert [status for status, _ in asked(front, [{}, {}])] == [422, 422]
    eventually(lambda: snapshot(shadow).statuses == {"422": 2})
    assert snapshot(live).differing == Moments()


def test_the_side_door_is_not_copied(live: Slot, shadow: Slot) -> None:
    probe.golden(live.home.folder, "blue")
    time.sleep(0.3)
    assert snapshot(shadow).statuses == {}


def test_without_an_order_or_with_one_that_makes_no_sense_none_is_asked(
    live: Slot, shadow: Slot, front: Front, cancer: Model
) -> None:
    for text in (
        "",
        "{",
        "[]",
        '{"slot": "green"}',
        '{"slot": "blue", "seconds": 9}',
        '{"slot": 3, "seconds": 9}',
    ):
        order(live.home.folder).write_text(text)
        looked(live)
        assert asked(front, cancer.rows[:1])[0][0] == 200
    order(live.home.folder).unlink()
    looked(live)
    assert asked(front, cancer.rows[:1])[0][0] == 200
    time.sleep(0.2)
    assert snapshot(shadow).statuses == {}
    assert live.said == ""


def test_an_order_that_nobody_takes_back_ends_by_itself(
    live: Slot, shadow: Slot, front: Front, cancer: Model
) -> None:
    ordered(live, "green", seconds=0.3)
    time.sleep(0.5)
    asked(front, cancer.rows[:3])
    time.sleep(0.2)
    assert snapshot(shadow).statuses == {}


def test_a_shadow_that_dies_costs_no_answer_and_is_counted(
    live: Slot, shadow: Slot, front: Front, cancer: Model
) -> None:
    asked(front, cancer.rows[:1])
    shadow.kill()
    assert {status for status, _ in asked(front, cancer.rows[:20])} == {200}
    eventually(lambda: counter(live, "slipway_shadow_failed_total") > 0)
    live.signal(signal.SIGTERM)
    assert live.ends() == 0
    assert live.said == ""


@pytest.fixture
def hung(live: Slot) -> Iterator[socket.socket]:
    """What is announced as green takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        file = announcement(live.home.folder, "green")
        file.write_text(json.dumps({"pid": os.getpid(), "port": listening.getsockname()[1]}))
        ordered(live, "green")
        yield listening


def test_a_shadow_that_hangs_holds_nothing_up_and_what_it_cannot_take_is_dropped(
    live: Slot, hung: socket.socket, front: Front, cancer: Model
) -> None:
    assert hung.fileno() > 0
    body = [cancer.rows[0]] * 500
    size = len(json.dumps(body))
    times = []
    for _ in range(4 * 2**20 // size + 10):
        began = time.monotonic()
        assert asked(front, [body])[0][0] == 200
        times.append(time.monotonic() - began)
    assert counter(live, "slipway_shadow_dropped_total") > 0
    assert max(times) < 3
    live.signal(signal.SIGTERM)
    assert live.ends() == 0


def test_a_live_slot_that_comes_back_goes_on_asking(
    live: Slot, shadow: Slot, front: Front, cancer: Model, start: Start
) -> None:
    live.kill()
    start("blue").until(probe.live)
    asked(front, cancer.rows[:2])
    eventually(lambda: snapshot(shadow).statuses == {"200": 2})


def test_many_at_once_are_all_copied(live: Slot, shadow: Slot, front: Front, cancer: Model) -> None:
    threads = [threading.Thread(target=asked, args=(front, cancer.rows[:25])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: snapshot(shadow).statuses == {"200": 200})
    assert snapshot(live).differing.requests == 200
