"""Real releases in real folders, and the real process that serves them, on loopback."""

import hashlib
import http.client
import io
import json
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import pandas as pd
import pytest

from slipway import bundle, params
from slipway.params import Params
from slipway.pipeline import evaluate, ingest, onnx_export, package, split, stage, train
from slipway.scorer import Prediction, Scorer
from slipway.serving import probe
from slipway.serving.door import announcement
from slipway.serving.release import ReleaseRecord

SECONDS = 20.0
"""How long to wait for what must happen."""

MIXED = """
model: {name: ticket-triage, description: Says which tickets are urgent., license: apache-2.0}
contract:
  target: {column: outcome, positive: urgent, negative: routine}
  columns:
    plan:     {type: category, categories: [free, paid, "Zwölf Ämter 👍"], description: What the customer pays for.}
    age:      {type: number, minimum: -5, maximum: 120.5, nullable: true}
    delta:    {type: number}
    channel:  {type: category, categories: [mail, phone, "1", "null"], nullable: true}
    drift:    {type: number}
    waiting:  {type: number, minimum: 0, nullable: true, description: In hours.}
split: {validation: 0.2, acceptance: 0.1, seed: 3}
train:
  estimator: logistic_regression
  hyperparameters: {C: 3.0}
  decision_threshold: 0.35
  parity_tolerance: 1.0e-9
  seed: 3
evaluate:
  gates:
    {recall_minimum: 0, false_negative_rate_maximum: 1, roc_auc_over_baseline_minimum: 0, overfit_gap_maximum: 1}
package: {golden_rows: 12, golden_tolerance: 1.0e-6}
runtime: {platforms: [manylinux_2_28_x86_64]}
acceptance: {recall_drop_maximum: 1, roc_auc_drop_maximum: 1}
"""


@dataclass(frozen=True)
class Model:
    """A model as it is released, and the rows that it never saw."""

    settings: Params
    tar: bytes
    onnx: bytes
    rows: list[dict[str, Any]]

    def offline(self, rows: Sequence[dict[str, Any]]) -> list[Prediction]:
        return Scorer(self.onnx, self.settings.contract).predict(rows)


@dataclass(frozen=True)
class Home:
    """An environment's folder, as the role `model_server` lays it out."""

    folder: Path

    def install(self, release: str, model: Model) -> ReleaseRecord:
        record = ReleaseRecord(
            model=model.settings.model.name,
            release=release,
            commit=hashlib.sha1(release.encode(), usedforsecurity=False).hexdigest(),
            bundle=hashlib.sha256(model.tar).hexdigest(),
            runtime=hashlib.sha256(b"runtime").hexdigest(),
        )
        with tarfile.open(fileobj=io.BytesIO(model.tar)) as archive:
            archive.extractall(self.release(release) / "bundle", filter="data")
        (self.release(release) / "release.json").write_text(record.model_dump_json())
        return record

    def release(self, release: str) -> Path:
        return self.folder / "releases" / release

    def point(self, slot: str, release: str) -> None:
        self._link(self.folder / "slots" / slot, Path("../releases") / release)

    def make_live(self, slot: str) -> None:
        self._link(self.folder / "live", Path("slots") / slot)

    def _link(self, link: Path, target: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_suffix(".new")
        new.symlink_to(target)
        new.rename(link)


@dataclass(frozen=True)
class Front:
    """The socket that the service manager holds."""

    listening: socket.socket = field(
        default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=1024)
    )

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listening.close()


class Slot:
    """The process of one slot."""

    def __init__(self, home: Home, name: str, front: Front, *options: str) -> None:
        self.home = home
        self.name = name
        self._log = home.folder / f"{name}.log"
        descriptor = front.listening.fileno()
        with self._log.open("w") as log:
            # As the role `model_server` does it: in the folder.
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "slipway.serving", "--home", "."),
                    *("--slot", name, "--front-fd", str(descriptor), *options),
                ],
                cwd=home.folder,
                pass_fds=[descriptor],
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        """What it wrote to standard output and error."""
        return self._log.read_text()

    @property
    def port(self) -> int:
        """Of its side door."""
        return int(json.loads(announcement(self.home.folder, self.name).read_text())["port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def until(self, check: Callable[[Path, str], None]) -> Self:
        """Wait until one of the probe's checks holds; end with its reason, or the process's last words."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                check(self.home.folder, self.name)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(self.said) from None
                time.sleep(0.01)
            else:
                return self

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ends(self) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(SECONDS)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)

    def megabytes(self, which: str) -> float:
        """Resident memory: `VmRSS` now, `VmHWM` at most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(which)) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


Start = Callable[..., Slot]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def front() -> Iterator[Front]:
    with Front() as door:
        yield door


@pytest.fixture
def start(home: Home, front: Front) -> Iterator[Start]:
    """Start the process of a slot; it is not left behind."""
    with ExitStack() as stack:

        def started(name: str, *options: str) -> Slot:
            slot = Slot(home, name, front, *options)
            stack.callback(slot.kill)
            return slot

        yield started


@pytest.fixture(scope="session")
def cancer() -> Model:
    """The repository's own model, trained on the real data by the repository's own parameters."""
    settings = params.load(Path(__file__).parents[2] / "params.yaml")
    return _trained(settings, ingest.load("sklearn:breast_cancer"))


@pytest.fixture(scope="session")
def other_cancer(cancer: Model) -> Model:
    """The next release of it: the same contract, other answers."""
    tuned = cancer.settings.train.model_copy(update={"hyperparameters": {"C": 0.01}})
    return _trained(cancer.settings.model_copy(update={"train": tuned}), ingest.load("sklearn:breast_cancer"))


@pytest.fixture(scope="session")
def mixed() -> Model:
    """Numbers and categories, nullable and not, with limits and without, on made-up data."""
    return _trained(params.parse(MIXED), _tickets())


@pytest.fixture(scope="session")
def served(cancer: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    """`cancer` as v1.0.0, live."""
    yield from _served(cancer, tmp_path_factory.mktemp("cancer"))


@pytest.fixture(scope="session")
def resting(served: Slot) -> Iterator[tuple[float, http.client.HTTPConnection]]:
    """A connection that has been idle since the moment that is given."""
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        yield time.monotonic(), connection


@pytest.fixture(scope="session")
def served_mixed(mixed: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    """`mixed` as v1.0.0, live."""
    yield from _served(mixed, tmp_path_factory.mktemp("mixed"))


@dataclass(frozen=True)
class Service:
    """A model, and a client of the process that serves it."""

    client: httpx.Client
    model: Model


@pytest.fixture(params=["cancer", "mixed"])
def service(
    request: pytest.FixtureRequest,
    client: httpx.Client,
    cancer: Model,
    mixed_client: httpx.Client,
    mixed: Model,
) -> Service:
    """Each of the two models in turn."""
    return {"cancer": Service(client, cancer), "mixed": Service(mixed_client, mixed)}[request.param]


@pytest.fixture(scope="session")
def client(served: Slot, resting: object) -> Iterator[httpx.Client]:
    assert resting  # begins here, so that the test of it need not wait
    with httpx.Client(base_url=served.url, timeout=SECONDS, trust_env=False) as session:
        yield session


@pytest.fixture(scope="session")
def mixed_client(served_mixed: Slot) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served_mixed.url, timeout=SECONDS, trust_env=False) as session:
        yield session


def _served(model: Model, folder: Path) -> Iterator[Slot]:
    home = Home(folder)
    home.install("v1.0.0", model)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    with Front() as door:
        slot = Slot(home, "blue", door)
        try:
            yield slot.until(probe.live)
        finally:
            slot.kill()


def _trained(settings: Params, raw: pd.DataFrame) -> Model:
    """What the pipeline's stages do one after the other."""
    contract = settings.contract
    frame = ingest.ingest(raw, contract)
    parts = split.split(frame, contract, settings.split)
    pipeline = train.train(parts.train, contract, settings.train)
    onnx = onnx_export.export(pipeline, contract, settings.train.decision_threshold)
    onnx_export.parity(pipeline, onnx, parts.validation, contract, settings.train)
    scorer = Scorer(onnx, contract)
    probability = scorer.probabilities(contract.tensors(stage.rows(parts.validation, contract)))
    truth = stage.is_positive(parts.validation, contract).to_numpy()
    measured = evaluate.measure(truth, probability, scorer.threshold)
    metrics = dict.fromkeys(("train", "validation", "baseline"), measured)
    packed, _ = bundle.pack(
        settings.model.name,
        {
            bundle.MODEL: onnx,
            bundle.CONTRACT: contract.to_json().encode(),
            bundle.GOLDEN: package.golden(parts.train, scorer, settings).model_dump_json().encode(),
            bundle.REFERENCE: json.dumps(package.reference(parts.train, scorer, contract)).encode(),
            bundle.CARD: package.card(settings, metrics, "0" * 64).encode(),
        },
    )
    return Model(
        settings, packed, onnx, stage.rows(pd.concat([parts.validation, parts.acceptance]), contract)
    )


def _tickets() -> pd.DataFrame:
    random = np.random.default_rng(11)
    rows = 400
    frame = pd.DataFrame(
        {
            "plan": random.choice(["free", "paid", "Zwölf Ämter 👍"], rows),
            "age": random.uniform(-5, 120.5, rows),
            "delta": random.normal(0, 0.1, rows),
            "channel": random.choice(np.array(["mail", "phone", "1", "null"], dtype=object), rows),
            "drift": random.normal(0, 0.1, rows),
            "waiting": random.exponential(24, rows),
        }
    )
    urgent = frame["delta"] * 20 - frame["drift"] * 20 + frame["waiting"] / 24 + (frame["plan"] == "paid")
    frame["outcome"] = np.where(urgent + random.normal(0, 0.5, rows) > 1.5, "urgent", "routine")
    for name in ("age", "channel", "waiting"):
        frame[name] = frame[name].mask(random.random(rows) < 0.15)
    return frame
