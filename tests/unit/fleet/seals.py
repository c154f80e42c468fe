"""A repository that says whose tags count, with two releases of somebody whose do; and what anybody can do who may push."""

import subprocess
from pathlib import Path

import pytest
from tests.unit.workshop import NOW, Workshop

from slipway.fleet import host as hosts
from slipway.fleet.context import Context
from slipway.fleet.environment import Environment
from slipway.fleet.wanted import declared
from slipway.release import chain, desired, keys
from slipway.release.names import ReleaseName

ENVIRONMENT = "staging"


def key_of(folder: Path, who: str) -> tuple[str, str]:
    """A new key: the private one's text, and a line of allowed signers."""
    file = folder / who
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", who, "-f", str(file)], check=True
    )
    kind, public, _ = file.with_suffix(".pub").read_text().split()
    return file.read_text(), f'{who}@example.org namespaces="git" {kind} {public}\n'


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    """A key that counts for nothing."""
    return key_of(tmp_path, "mallory")[0]


@pytest.fixture
def sealed(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Two releases of somebody who may sign; staging should run the second."""
    private, line = key_of(tmp_path, "ada")
    monkeypatch.setenv(keys.KEY, private)
    workshop.write({chain.SIGNERS: line})
    workshop.commit()
    for model in ("model 2", "model 3"):
        workshop.train(model=model)
        declare(workshop, workshop.release())
    return workshop


@pytest.fixture
def team(context: Context, sealed: Workshop) -> Context:
    return context._replace(environment=Environment(ENVIRONMENT, sealed.repository))


def declare(workshop: Workshop, name: ReleaseName) -> None:
    desired.declare(workshop.repository, ENVIRONMENT, name, "deploy", NOW, sealed=True)


def bring(context: Context, reports: dict[str, hosts.Report] | None = None) -> None:
    """What `reconcile` reads before it touches a host."""
    wanted = declared(context, reports or {})
    assert wanted.source
    for pin in (wanted.source.pins.bundle, wanted.source.pins.runtime):
        wanted.source.file(context.environment.repository, pin)


def forge(workshop: Workshop, tag: str, message: str, commit: str = "HEAD") -> None:
    """Make, or move, a tag as anybody can who may push."""
    workshop.git("tag", "--force", "--annotate", "--message", message, tag, commit)
