"""The prediction log: every answered request once, whatever comes in between, and never at the price of an answer."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from slipway.scorer import Prediction
from slipway.serving import probe
from slipway.serving.exchange import Exchange
from slipway.serving.predictions import FOLDER, Files, PredictionLog, line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving.conftest import Front, Home, Model, Slot, Start

MOST_BYTES = 4_000
DROPPED = "slipway_prediction_log_dropped_total"


def exchange(request: str, rows: int = 1) -> Exchange:
    answers = [Prediction("urgent", 0.75)] * rows
    return Exchange(0.0, request, "v1.0.0", b"{}", [{"age": 41.5}] * rows, answers)


def lines(folder: Path) -> list[dict[str, Any]]:
    """Of all files, in their order; every one must be whole."""
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(each) for file in files for each in file.read_text().splitlines()]


def requests(folder: Path) -> list[str]:
    return [each["request"] for each in lines(folder)]


def dropped(log: PredictionLog) -> float:
    (metric,) = log.dropped.collect()
    return next(sample.value for sample in metric.samples if sample.name == DROPPED)


def dropped_at(url: str) -> float:
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    found = re.search(rf"^{DROPPED} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


# A line, and its file


def test_a_line_says_what_was_asked_and_answered() -> None:
    text = line(exchange("r-1", rows=2)._replace(at=1_795_000_000.1234))
    assert text.endswith(b"}\n")
    assert json.loads(text) == {
        "at": "2026-11-18T11:06:40.123+00:00",
        "request": "r-1",
        "release": "v1.0.0",
        "inputs": [{"age": 41.5}, {"age": 41.5}],
        "predictions": [{"label": "urgent", "probability": 0.75}] * 2,
    }


def test_what_is_added_is_written_once_and_in_order(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / FOLDER, "blue", 2**20)
    for number in range(500):
        log.add(exchange(str(number)))
    log.close(10)
    assert requests(tmp_path / FOLDER) == [str(number) for number in range(500)]
    assert dropped(log) == 0


def test_the_files_are_for_the_group_and_for_nobody_else(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        Files(tmp_path, "blue", MOST_BYTES).write([b"{}\n"])
    finally:
        os.umask(mask)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_old_files_make_room_and_the_newest_lines_stay(tmp_path: Path) -> None:
    files = Files(tmp_path, "blue", MOST_BYTES)
    text = [b'{"request":"%06d"}\n' % number for number in range(2_000)]
    for start in range(0, len(text), 7):
        assert files.write(text[start : start + 7]) == len(text[start : start + 7])
        assert size(tmp_path) <= MOST_BYTES
    kept = requests(tmp_path)
    assert size(tmp_path) > MOST_BYTES / 2
    assert kept == [f"{number:06d}" for number in range(2_000 - len(kept), 2_000)]


def test_two_slots_keep_to_one_limit_and_apart(tmp_path: Path) -> None:
    both = {name: Files(tmp_path, name, MOST_BYTES) for name in ("blue", "green")}
    dice, name = random.Random(1), "blue"  # noqa: S311 - no secret
    for number in range(1_000):
        # In turns of any length, and with processes that begin anew: so files of every size lie there.
        if dice.random() < 0.05:
            name = dice.choice(["blue", "green"])
        if dice.random() < 0.01:
            both[name] = Files(tmp_path, name, MOST_BYTES)
        both[name].write([b'{"request":"%s %06d"}\n' % (name.encode(), number)])
        assert size(tmp_path) <= MOST_BYTES
    for slot in both:
        own = [
            json.loads(each)
            for file in tmp_path.glob(f"*-{slot}.jsonl")
            for each in file.read_text().splitlines()
        ]
        assert {each["request"].split()[0] for each in own} == {slot}
    assert requests(tmp_path)[-1].endswith("000999")


def test_a_new_process_begins_a_file_and_leaves_what_a_killed_one_wrote(tmp_path: Path) -> None:
    Files(tmp_path, "blue", MOST_BYTES).write([b"{}\n"])
    (old,) = tmp_path.iterdir()
    old.write_bytes(b'{}\n{"cut sho')
    Files(tmp_path, "blue", MOST_BYTES).write([b'{"request":"new"}\n'])
    first, second = sorted(tmp_path.iterdir())
    assert (first.read_bytes(), second.read_bytes()) == (b'{}\n{"cut sho', b'{"request":"new"}\n')


def test_strange_files_in_the_folder_do_no_harm(tmp_path: Path) -> None:
    for name in ("notes.txt", "x-blue.jsonl", "1-blue.jsonl"):
        (tmp_path / name).write_text("{}")
    assert Files(tmp_path, "blue", MOST_BYTES).write([b"{}\n"]) == 1
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_that_was_removed_is_followed_by_another(tmp_path: Path) -> None:
    files = Files(tmp_path, "blue", MOST_BYTES)
    files.write([b'{"request":"lost"}\n'])
    next(tmp_path.iterdir()).unlink()
    files.write([b'{"request":"kept"}\n'])
    assert requests(tmp_path) == ["kept"]


def test_a_line_longer_than_a_file_has_one_of_its_own(tmp_path: Path) -> None:
    files = Files(tmp_path, "blue", MOST_BYTES)
    long = json.dumps({"request": "long", "inputs": "x" * 1_500}).encode() + b"\n"
    assert files.write([b'{"request":"a"}\n', long, b'{"request":"b"}\n']) == 3
    assert requests(tmp_path) == ["a", "long", "b"]
    assert len(list(tmp_path.iterdir())) == 3


# What goes wrong


def test_a_folder_that_cannot_be_had_costs_lines_until_it_can(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / FOLDER
    folder.write_text("in the way")
    files = Files(folder, "blue", MOST_BYTES)
    assert [files.write([b'{"request":"a"}\n']) for _ in range(3)] == [0, 0, 0]
    folder.unlink()
    assert files.write([b'{"request":"b"}\n']) == 1
    assert requests(folder) == ["b"]
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert "predictions are not logged: [Errno 17]" in said[0]
    assert said[1] == "predictions are logged again"


def test_a_line_that_the_disk_cuts_short_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, write, room = Files(tmp_path, "blue", MOST_BYTES), os.write, 30

    def full(descriptor: int, content: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        written = write(descriptor, content[:room])
        room -= written
        return written

    files.write([b'{"request":"a"}\n'])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert files.write([b'{"request":"b"}\n', b'{"request":"c"}\n']) == 0
    assert files.write([b'{"request":"d"}\n']) == 1
    assert requests(tmp_path) == ["a", "d"]


def test_what_the_queue_cannot_hold_is_counted_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()

    def stalled(_files: Files, sent: list[bytes]) -> int:
        assert going_on.wait(10)
        return len(sent)

    monkeypatch.setattr(Files, "write", stalled)
    log = PredictionLog(tmp_path, "blue", MOST_BYTES, queued_bytes=10 * len(line(exchange("x", rows=3))))
    began = time.monotonic()
    for _ in range(15):
        log.add(exchange("x", rows=3))
    assert time.monotonic() - began < 1
    assert dropped(log) == 5 * 3
    log.close(0.01)  # it does not wait for a disk that does not answer
    going_on.set()
    log.close(10)
    assert dropped(log) == 5 * 3


# The process


@pytest.fixture
def slot(home: Home, cancer: Model, start: Start, monkeypatch: pytest.MonkeyPatch) -> Slot:
    """Blue, live, with a log."""
    monkeypatch.setenv("SLIPWAY_PREDICTION_BYTES", str(2**22))
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    return start("blue", "--lame-duck-seconds", "1").until(probe.live)


def asks(front: Front, *, body: Any, request: str | None = None) -> httpx.Response:
    headers = {} if request is None else {"X-Request-Id": request}
    return httpx.post(f"{front.url}/predict", json=body, headers=headers, timeout=10, trust_env=False)


def stopped(slot: Slot) -> list[dict[str, Any]]:
    slot.signal(signal.SIGTERM)
    assert slot.ends() == 0
    assert slot.said == ""
    return lines(slot.home.folder / FOLDER)


def test_a_request_at_the_front_door_is_logged_as_it_was_answered(
    slot: Slot, front: Front, cancer: Model
) -> None:
    answers = [asks(front, body=cancer.rows[0], request="one"), asks(front, body=cancer.rows[:3])]
    one, three = stopped(slot)
    assert (one["request"], one["release"]) == ("one", "v1.0.0")
    assert (one["inputs"], three["inputs"]) == (cancer.rows[:1], cancer.rows[:3])
    assert [one["predictions"], three["predictions"]] == [each.json()["predictions"] for each in answers]
    assert [one["request"], three["request"]] == [each.headers["X-Request-Id"] for each in answers]
    assert re.fullmatch(r"[0-9a-f]{32}", three["request"])


def test_the_side_door_and_what_was_refused_are_not_logged(slot: Slot, front: Front) -> None:
    probe.golden(slot.home.folder, "blue")
    assert asks(front, body={}, request="refused").headers["X-Request-Id"] == "refused"
    httpx.get(f"{front.url}/healthz", trust_env=False)
    assert stopped(slot) == []


@pytest.mark.parametrize("unfit", ["", "with space", "x" * 129, 'quote"', "ümlaut", "a\tb"])
def test_an_id_that_is_not_fit_to_be_repeated_is_replaced(served: Slot, unfit: str) -> None:
    headers = {b"X-Request-Id": unfit.encode()}
    answer = httpx.get(f"{served.url}/healthz", headers=headers, trust_env=False)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_everything_that_was_answered_is_logged_when_the_process_has_ended(
    slot: Slot, front: Front, cancer: Model
) -> None:
    answered: list[str] = []

    def ask(number: int) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            for count in range(10_000):
                request = f"{number}-{count}"
                try:
                    answer = client.post(
                        f"{front.url}/predict", json=cancer.rows[0], headers={"X-Request-Id": request}
                    )
                except httpx.HTTPError:
                    return
                assert answer.status_code == 200
                answered.append(request)
                if answer.headers.get("connection") == "close":
                    return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    found = stopped(slot)
    for thread in threads:
        thread.join()
    assert len(answered) > 20
    assert sorted(answered) == sorted(each["request"] for each in found)


def test_what_waits_to_be_written_is_waited_for(
    home: Home, cancer: Model, start: Start, front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The writing thread takes its time here, as if it had a slow disk."""
    (tmp_path / "sitecustomize.py").write_text(
        "import slipway.serving.predictions as log\nlog._PAUSE_SECONDS, log._BUSY_SECONDS = 0.7, 60\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_PREDICTION_BYTES", str(2**22))
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    slot = start("blue", "--lame-duck-seconds", "0").until(probe.live)
    for number in range(5):
        asks(front, body=cancer.rows[0], request=str(number))
    assert [each["request"] for each in stopped(slot)] == list("01234")


def test_a_log_that_cannot_be_written_costs_lines_and_no_answer(
    slot: Slot, front: Front, cancer: Model
) -> None:
    (slot.home.folder / FOLDER).write_text("in the way")
    assert [asks(front, body=cancer.rows[:4]).status_code for _ in range(5)] == [200] * 5
    end = time.monotonic() + 5
    while dropped_at(slot.url) < 20 and time.monotonic() < end:
        time.sleep(0.01)
    assert dropped_at(slot.url) == 20
    slot.signal(signal.SIGTERM)
    assert slot.ends() == 0
    assert len(slot.said.splitlines()) == 1
    assert slot.said.startswith("predictions are not logged: ")


def test_both_slots_log_during_a_swap(slot: Slot, front: Front, start: Start, cancer: Model) -> None:
    home = slot.home
    home.install("v1.1.0", cancer)
    home.point("green", "v1.1.0")
    asks(front, body=cancer.rows[0], request="before")
    green = start("green").until(probe.ready)
    home.make_live("green")
    green.signal(signal.SIGUSR1)
    green.until(probe.live)
    slot.signal(signal.SIGTERM)
    assert slot.ends() == 0
    asks(front, body=cancer.rows[0], request="after")
    found = stopped(green)
    assert [(each["request"], each["release"]) for each in found] == [
        ("before", "v1.0.0"),
        ("after", "v1.1.0"),
    ]
    names = sorted(file.name for file in (home.folder / FOLDER).iterdir())
    assert names == ["00000001-blue.jsonl", "00000002-green.jsonl"]


def test_the_log_can_be_switched_off(
    home: Home, cancer: Model, start: Start, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_PREDICTION_BYTES", "0")
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    slot = start("blue").until(probe.live)
    assert asks(front, body=cancer.rows[0]).headers["X-Request-Id"]
    assert DROPPED not in httpx.get(f"{slot.url}/metrics", trust_env=False).text
    slot.signal(signal.SIGTERM)
    assert slot.ends() == 0
    assert not (home.folder / FOLDER).exists()
