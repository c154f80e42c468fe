import hashlib
import json
import math
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.machine import Host, Server

from slipway import bundle, scorer
from slipway.contract import Contract
from slipway.errors import Refused
from slipway.fleet import acceptance, host
from slipway.fleet.acceptance import Result
from slipway.params import Acceptance
from slipway.serving.release import ReleaseRecord

Answer = dict[str, Any]
Prove = Callable[..., Result]

VALIDATION = {"recall": 0.95, "roc_auc": 0.98}
LIMITS = Acceptance(recall_drop_maximum=0.15, roc_auc_drop_maximum=0.05)


@pytest.fixture
def rows() -> list[dict[str, float]]:
    """Twenty rows, half of them worn by the model's own measure, none on its threshold."""
    chance = np.random.default_rng(1)
    depth = chance.normal(size=20)
    width = (depth - 0.5 + np.tile([1.0, -1.0], 10) * chance.uniform(0.5, 2, 20)) / 2
    return [{"width": float(w), "depth": float(d)} for w, d in zip(width, depth, strict=True)]


@pytest.fixture
def release(host: Host) -> ReleaseRecord:
    return host.record("v1.0.0")


@pytest.fixture
def prove(
    server: Server, release: ReleaseRecord, rows: list[dict[str, float]], packed: bytes, tmp_path: Path
) -> Prove:
    """Proves the server's answers; the truth is what the model says, except for the first `wrong` worn rows."""

    def prove(
        *,
        wrong: int = 0,
        validation: dict[str, float] = VALIDATION,
        url: str = server.url,
        tar: bytes = packed,
    ) -> Result:
        frame = pd.DataFrame(rows)
        frame["state"] = np.tile(["worn", "sound"], 10)
        frame.loc[[1, 3, 5, 7, 9][:wrong], "state"] = "worn"
        frame.to_parquet(tmp_path / "rows.parquet", index=False)
        (tmp_path / "bundle.tar").write_bytes(tar)
        return acceptance.prove(
            url, release, tmp_path / "rows.parquet", tmp_path / "bundle.tar", validation, LIMITS
        )

    return prove


@pytest.fixture
def honest(
    server: Server, contract: Contract, linear: Callable[..., bytes]
) -> Callable[[Callable[[list[Answer], str], Any]], None]:
    """Lets the server answer as v1.0.0 does, changed by a function of its predictions and of how it was asked."""
    model = scorer.Scorer(linear(), contract)

    def serve(change: Callable[[list[Answer], str], Any]) -> None:
        def respond(_: str, sent: Any) -> tuple[int, bytes]:
            many = isinstance(sent, list)
            predictions = [each._asdict() for each in model.predict(sent if many else [sent])]
            answer = change(predictions, "together" if many else "alone")
            if not isinstance(answer, dict):
                answer = {"model": "wear", "release": "v1.0.0", "predictions": predictions}
            return 200, json.dumps(answer).encode()

        server.respond = respond

    serve(lambda _answers, _how: None)
    return serve


Honest = Callable[[Callable[[list[Answer], str], Any]], None]


def refusal(prove: Prove, **how: Any) -> str:
    with pytest.raises(Refused) as caught:
        prove(**how)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.usefixtures("honest")
def test_answers_that_equal_the_offline_ones_pass(prove: Prove, release: ReleaseRecord) -> None:
    found = prove()
    assert (found.release, found.bundle, found.rows) == ("v1.0.0", release.bundle, 20)
    assert (found.live["recall"], found.live["roc_auc"]) == (1.0, 1.0)
    assert found.validation == VALIDATION


@pytest.mark.usefixtures("honest")
def test_every_row_is_sent_alone_and_then_all_in_one(
    prove: Prove, server: Server, rows: list[dict[str, float]]
) -> None:
    prove()
    assert server.asked == [*(("/predict", row) for row in rows), ("/predict", rows)]


@pytest.mark.usefixtures("honest")
def test_no_proxy_comes_between(prove: Prove, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert prove().rows == 20


@pytest.mark.parametrize("how", ["alone", "together"])
def test_an_answer_that_differs_by_one_bit_is_refused(prove: Prove, honest: Honest, how: str) -> None:
    def change(answers: list[Answer], asked: str) -> None:
        if asked == how:
            answers[-1]["probability"] = math.nextafter(answers[-1]["probability"], 1)

    honest(change)
    number, said = {"alone": ("20 of 20", "one a request"), "together": ("1 of 20", "all in one request")}[
        how
    ]
    first = {"alone": 0, "together": 19}[how]
    assert refusal(prove).startswith(
        f"{number} live answers ({said}) are not the offline prediction; acceptance row {first}: live Prediction("
    )


def test_another_label_with_the_same_probability_is_refused(prove: Prove, honest: Honest) -> None:
    def change(answers: list[Answer], _: str) -> None:
        answers[0]["label"] = "unknown"

    honest(change)
    assert "are not the offline prediction" in refusal(prove)


def test_answers_in_another_order_are_refused(prove: Prove, honest: Honest) -> None:
    honest(lambda answers, _: answers.reverse())
    assert "live answers (all in one request) are not the offline prediction" in refusal(prove)


def test_another_release_is_refused(prove: Prove, honest: Honest) -> None:
    honest(lambda answers, _: {"release": "v0.9.0", "predictions": answers})
    assert refusal(prove) == "v0.9.0 answers at the front door, expected v1.0.0"


@pytest.mark.parametrize("change", [-1, 1], ids=["an answer too few", "an answer too many"])
def test_answers_that_are_not_as_many_as_rows_are_refused(prove: Prove, honest: Honest, change: int) -> None:
    def other_number(answers: list[Answer], _: str) -> dict[str, Any]:
        return {"release": "v1.0.0", "predictions": (answers * 2)[: len(answers) + change]}

    honest(other_number)
    assert refusal(prove) == f"the live endpoint gives {1 + change} answers to 1 acceptance rows"


@pytest.mark.parametrize("status", [500, 503, 404, 422, 302])
def test_an_http_error_is_refused(prove: Prove, server: Server, status: int) -> None:
    server.respond = lambda _path, _body: (status, b"{}")
    assert refusal(prove).startswith("the live endpoint does not answer an acceptance row: ")
    assert f"'{status} " in refusal(prove)


def test_an_error_on_the_last_row_is_refused(prove: Prove, honest: Honest, server: Server) -> None:
    honest(lambda _answers, _how: None)
    sound = server.respond
    server.respond = lambda path, body: (500, b"") if len(server.asked) == 20 else sound(path, body)
    assert "'500 Internal Server Error'" in refusal(prove)


def test_a_front_door_where_nobody_listens_is_refused(prove: Prove) -> None:
    assert refusal(prove, url="http://127.0.0.1:9").startswith("the live endpoint does not answer")


@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", "{}", '{"release": "v1.0.0"}', '{"release": "v1.0.0", "predictions": [1]}',
     '{"release": "v1.0.0", "predictions": [{"score": 1}]}', '{"release": "v1.0.0", "predictions": null}'],
)  # fmt: skip
def test_a_program_of_others_at_the_front_door_is_refused(prove: Prove, server: Server, body: str) -> None:
    server.respond = lambda _path, _body: (200, body.encode())
    assert refusal(prove).startswith("what answers at the front door is no release of Slipway's: ")


@pytest.mark.usefixtures("honest")
def test_recall_is_measured_on_the_live_answers(prove: Prove) -> None:
    found = prove(wrong=1, validation={"recall": 0.95, "roc_auc": 0.9})
    assert found.live["recall"] == 10 / 11


@pytest.mark.usefixtures("honest")
def test_a_drop_in_recall_is_refused(prove: Prove) -> None:
    said = refusal(prove, wrong=5, validation={"recall": 0.95, "roc_auc": 0.5})
    assert said == (
        "live recall is 0.6667, validation's 0.9500: a drop of more than 0.15 (acceptance.recall_drop_maximum)"
    )


@pytest.mark.usefixtures("honest")
def test_a_drop_in_roc_auc_is_refused(prove: Prove) -> None:
    said = refusal(prove, wrong=2, validation={"recall": 0.5, "roc_auc": 1.0})
    assert said.endswith("validation's 1.0000: a drop of more than 0.05 (acceptance.roc_auc_drop_maximum)")
    assert said.startswith("live roc_auc is 0.")


@pytest.mark.usefixtures("honest")
def test_a_drop_as_large_as_the_limit_passes(prove: Prove) -> None:
    live = prove(wrong=5, validation={"recall": 0.0, "roc_auc": 0.0}).live["recall"]
    assert prove(wrong=5, validation={"recall": live + 0.1499, "roc_auc": 0.0}).live["recall"] == live


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize("metric", ["recall", "roc_auc"])
def test_a_metric_that_is_no_number_is_refused(prove: Prove, metric: str) -> None:
    assert f"live {metric} is" in refusal(prove, validation={**VALIDATION, metric: math.nan})


def test_without_a_sound_bundle_nothing_is_asked(
    prove: Prove, server: Server, contents: Mapping[str, bytes], linear: Callable[..., bytes]
) -> None:
    other, _ = bundle.pack("wear", {**contents, bundle.MODEL: linear(weights=(1.0, 1.0))})
    assert "fails its golden rows" in refusal(prove, tar=other)
    assert server.asked == []


@pytest.fixture
def served(host: Host, release: ReleaseRecord) -> Iterator[str]:
    """The real process that serves v1.0.0, live."""
    host.make_live(release)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as front:
        command = [sys.executable, "-m", "slipway.serving", "--home", str(host.home), "--slot", "blue"]
        with subprocess.Popen(
            [*command, "--front-fd", str(front.fileno())], pass_fds=[front.fileno()]
        ) as process:
            url = f"http://127.0.0.1:{front.getsockname()[1]}"
            end = time.monotonic() + 20
            while not (host.home / "run" / "blue.json").exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.02)
            yield url
            process.kill()


def test_the_process_that_serves_passes(prove: Prove, served: str, release: ReleaseRecord) -> None:
    assert host.asked(served, "/metadata") is not None
    found = prove(url=served)
    assert (found.release, found.bundle, found.rows) == (release.release, release.bundle, 20)
    assert found.live["recall"] == 1.0


# What is kept.


@pytest.fixture
def result(release: ReleaseRecord) -> Result:
    return Result("v1.0.0", release.bundle, 20, {"recall": 1.0}, {"recall": 0.95})


def test_a_result_is_kept_for_the_same_release(
    result: Result, release: ReleaseRecord, tmp_path: Path
) -> None:
    acceptance.keep(result, tmp_path / "acceptance")
    assert acceptance.kept(release, tmp_path / "acceptance") == result


def test_a_result_does_not_hold_for_another_bundle(
    result: Result, release: ReleaseRecord, tmp_path: Path
) -> None:
    acceptance.keep(result, tmp_path)
    other = release.model_copy(update={"bundle": hashlib.sha256(b"other").hexdigest()})
    assert acceptance.kept(other, tmp_path) is None


def test_a_result_does_not_hold_for_another_release(
    result: Result, release: ReleaseRecord, tmp_path: Path
) -> None:
    acceptance.keep(result, tmp_path)
    assert acceptance.kept(release.model_copy(update={"release": "v1.0.1"}), tmp_path) is None


@pytest.mark.parametrize("text", ["", '{"release": "v1', "[]", "{}", '{"colour": "red"}'])
def test_a_result_that_cannot_be_read_is_none(release: ReleaseRecord, tmp_path: Path, text: str) -> None:
    (tmp_path / "v1.0.0.json").write_text(text)
    assert acceptance.kept(release, tmp_path) is None
