"""A small release repository: real git, a real DVC pipeline that takes no time, and a real DVC remote."""

import os
import shutil
import subprocess
import sys
import warnings
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway import params
from slipway.errors import SlipwayError
from slipway.params import Params
from slipway.release import create, pins
from slipway.release.git import Repository
from slipway.release.names import ReleaseName
from slipway.release.pins import Pins

MODEL = "wear"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
COMMITTED = NOW - timedelta(days=2)
"""Before what is made of commits, as everywhere."""
HISTORY = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0")
"""What the commits of the branch `history` become: one model each; `main` stands on the first."""

_PARAMS = """\
model: {name: wear, description: Says which bearings are worn., license: apache-2.0}
contract:
  target: {column: state, positive: worn, negative: sound}
  columns: {width: {type: number}, depth: {type: number}}
split: {validation: 0.2, acceptance: 0.1, seed: 1}
train: {estimator: logistic_regression, decision_threshold: 0.5, parity_tolerance: 1.0e-9, seed: 1}
evaluate:
  gates:
    recall_minimum: 0.9
    false_negative_rate_maximum: 0.1
    roc_auc_over_baseline_minimum: 0.3
    overfit_gap_maximum: 0.05
package: {golden_rows: 2, golden_tolerance: 1.0e-6}
runtime: {platforms: [manylinux_2_28_x86_64]}
acceptance: {recall_drop_maximum: 0.15, roc_auc_drop_maximum: 0.05}
"""

_DVC = """\
stages:
  split:
    cmd: cp source/rows.txt data/acceptance.parquet
    deps: [source/rows.txt]
    params: [split]
    outs: [data/acceptance.parquet]
  evaluate:
    cmd: cp source/metrics.json reports/metrics.json
    deps: [source/metrics.json]
    metrics: [reports/metrics.json: {cache: false}]
  package:
    cmd: python -S make.py package
    deps: [make.py, source/model.txt, source/contract.txt]
    outs:
      - artifacts/bundle.tar
      - manifest.json: {cache: false}
  runtime:
    cmd: python -S make.py runtime
    deps: [make.py, source/serving.txt]
    outs:
      - artifacts/runtime.tar
      - runtime.json: {cache: false}
artifacts:
  wear: {path: artifacts/bundle.tar, type: model}
  runtime: {path: artifacts/runtime.tar}
  acceptance: {path: data/acceptance.parquet}
  manifest: {path: manifest.json}
  runtime-record: {path: runtime.json}
  metrics: {path: reports/metrics.json}
"""

_MAKE = """\
import json, sys
from hashlib import sha256
from pathlib import Path

def digest(content):
    return sha256(content).hexdigest()

def source(name):
    return Path("source", name + ".txt").read_bytes()

if sys.argv[1] == "package":
    model, contract = source("model"), source("contract")
    bundle = b"bundle of " + model + contract
    Path("artifacts/bundle.tar").write_bytes(bundle)
    manifest = {
        "bundle": {"sha256": digest(bundle)},
        "contract": digest(contract),
        "files": {"model.onnx": digest(model)},
        "inputs": {"data": digest(model)},
    }
    Path("manifest.json").write_text(json.dumps(manifest))
else:
    runtime = b"runtime of " + source("serving")
    Path("artifacts/runtime.tar").write_bytes(runtime)
    Path("runtime.json").write_text(json.dumps({"sha256": digest(runtime)}))
"""

_METRICS = """\
{
  "train": {"accuracy": 0.96, "recall": 0.97, "false_negative_rate": 0.03, "roc_auc": 0.99},
  "validation": {"accuracy": 0.95, "recall": 0.95, "false_negative_rate": 0.05, "roc_auc": 0.98},
  "baseline": {"accuracy": 0.6, "recall": 0.0, "false_negative_rate": 1.0, "roc_auc": 0.5}
}
"""

_ROLE = "ansible/roles/model_server/module_utils/model_server_host.py"
_FILES = {
    _ROLE: (Path(__file__).parents[2] / _ROLE).read_text(),
    "params.yaml": _PARAMS,
    "dvc.yaml": _DVC,
    "make.py": _MAKE,
    ".gitignore": "/.slipway/\n/.site/\n",
    ".dvc/.gitignore": "/cache\n/tmp\n",
    ".dvc/config": "[core]\n    remote = local\n['remote \"local\"']\n    url = ../.slipway/store\n    verify = true\n",
    "artifacts/.gitignore": "/bundle.tar\n/runtime.tar\n",
    "data/.gitignore": "/acceptance.parquet\n",
    "reports/.gitkeep": "",
    "source/model.txt": "model 1\n",
    "source/contract.txt": "contract 1\n",
    "source/serving.txt": "serving 1\n",
    "source/rows.txt": "rows 1\n",
    "source/metrics.json": _METRICS,
    "ansible/inventory/local/hosts.yml": "",
    "ansible/inventory/staging/hosts.yml": "",
    "terraform/environments/local/main.tf": "",
    "terraform/environments/staging/main.tf": "",
    "terraform/environments/staging/backend.tf": 'terraform {\n  backend "s3" {}\n}\n',
}


class Workshop:
    """The repository in a folder, and what a person does in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def repository(self) -> Repository:
        return Repository(self.root)

    @property
    def settings(self) -> Params:
        return params.load(self.root / "params.yaml")

    @property
    def pins(self) -> Pins:
        """What the current commit pins."""
        return pins.at(self.repository, "HEAD", MODEL)

    @property
    def tags(self) -> list[str]:
        return self.git("tag", "--list").split()

    @property
    def store(self) -> Path:
        """The DVC remote."""
        return self.root / ".slipway" / "store"

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def run(self, *command: str) -> str:
        """Run a command in the repository; its standard output."""
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def reproduce(self, *, push: bool = True) -> None:
        """`dvc repro`, and `dvc push`; in this process, which saves a second."""
        from dvc.repo import Repo  # noqa: PLC0415 - takes a second to import

        with chdir(self.root), warnings.catch_warnings(action="ignore"), Repo() as repo:
            repo.reproduce()
            if push:
                repo.push()

    def commit(self) -> str:
        self.git("add", "--all")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GIT_COMMITTER_DATE", COMMITTED.isoformat())
            self.git("commit", "--quiet", "--message", "Change something")
        return self.git("rev-parse", "HEAD")

    def add_data(self, path: str) -> None:
        """`dvc add` a file, and commit."""
        from dvc.repo import Repo  # noqa: PLC0415 - as above

        self.write({path: f"{path}\n"})
        with chdir(self.root), warnings.catch_warnings(action="ignore"), Repo() as repo:
            repo.add([path])
            repo.push()
        self.commit()

    def train(self, **sources: str) -> str:
        """Change sources, by name without ending; reproduce, push and commit; the commit's sha."""
        self.write({f"source/{name}.txt": f"{text}\n" for name, text in sources.items()})
        self.reproduce()
        return self.commit()

    def release(self, version: str | None = None, now: datetime = NOW) -> ReleaseName:
        return create.release(self.repository, self.settings, version, now).name

    def releases(self, count: int) -> list[ReleaseName]:
        """Releases of as many models, a day before `NOW`: tags on a history that was made before, up to four."""
        self.git("merge", "--quiet", "--ff-only", f"history~{len(HISTORY) - count}")
        names = [ReleaseName.parse(label, MODEL) for label in HISTORY[:count]]
        for number, name in enumerate(names):
            date = NOW - timedelta(days=1) + timedelta(seconds=number)
            self.repository.tag(name.tag, f"HEAD~{count - 1 - number}", name.label, date, None)
        return names

    def refusal(self, version: str | None = None) -> SlipwayError:
        """The error that releasing must raise; it must write nothing."""
        before = self.git("for-each-ref")
        with pytest.raises(SlipwayError) as caught:
            self.release(version)
        assert self.git("for-each-ref") == before
        return caught.value

    def lose(self, md5: str, *, cache: bool = False, remote: bool = False) -> None:
        """Remove an object from DVC's cache, or from its remote."""
        if cache:
            self.object(md5).unlink()
        if remote:
            (self.store / "files" / "md5" / md5[:2] / md5[2:]).unlink()

    def object(self, md5: str) -> Path:
        """An object in DVC's cache."""
        return self.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]

    def spoil(self, file: Path) -> None:
        """Change bytes that DVC has protected."""
        file.chmod(0o644)
        file.write_bytes(b"other bytes")


@pytest.fixture(autouse=True)
def hermetic(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the settings of this machine nor those of a git hook that runs the tests have a say."""
    _isolate(monkeypatch, tmp_path_factory.getbasetemp() / "site")


@pytest.fixture
def workshop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A repository whose commits have run the pipeline and pushed their objects; nothing is released."""
    template = tmp_path_factory.getbasetemp() / "workshop"
    if not template.exists():
        _make(Workshop(template))
    shutil.copytree(template, tmp_path / "workshop", symlinks=True)
    return Workshop(tmp_path / "workshop")


def _isolate(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for kind in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
        monkeypatch.setenv(f"DVC_{kind}_DIR", str(site / kind.lower()))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def _make(workshop: Workshop) -> None:
    workshop.write(_FILES)
    workshop.git("init", "--quiet", "--initial-branch=main", "--template=")
    workshop.git("config", "core.logAllRefUpdates", "false")
    workshop.git("config", "user.name", "Ada")
    workshop.git("config", "user.email", "ada@example.org")
    workshop.reproduce()
    workshop.commit()
    workshop.git("checkout", "--quiet", "-b", "history")
    for number in range(2, len(HISTORY) + 1):
        workshop.train(model=f"model {number}")
    workshop.git("checkout", "--quiet", "main")
    workshop.reproduce()
    workshop.git("gc", "--quiet")  # fewer files to copy for each test
