"""A lab of four real hosts, for as long as the tests last; where there can be none, they say why."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import pytest
from lab.command import HOSTS
from lab.plan import Process
from lab.shell import LabError
from tests.lab.fleet import own
from tests.lab.yard import ENVIRONMENT, Yard
from tests.local.workplace import Workplace, clone

from lab import lab as labs
from lab import needs, root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.lab import Lab
    from lab.machine import Host


@pytest.fixture(scope="session")
def able() -> None:
    """This machine can have a lab, and has its root file system. In CI, as root on Linux, it must."""
    refusal = needs.refusal_here() or unbuildable()
    if refusal and "CI" in os.environ and platform.system() == "Linux" and os.geteuid() == 0:
        pytest.fail(f"no lab, though CI is set: {refusal}", pytrace=False)
    if refusal:
        pytest.skip(refusal.replace("\n", ";"))


def unbuildable() -> str:
    """Why the root file system cannot be built; empty where it is there."""
    try:
        root.ensure()
    except LabError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def hosts(able: None) -> Iterator[Lab]:  # noqa: ARG001 - comes first
    """Four hosts that answer SSH."""
    with own("t") as lab:
        yield lab


@pytest.fixture(scope="session")
def made(able: None, seed: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:  # noqa: ARG001
    """A working repository in which the pipeline has made bundle and runtime."""
    folder = tmp_path_factory.mktemp("made") / "slipway"
    clone(seed, folder, cache)
    place = Workplace(folder)
    place.run("dvc", "repro", "--quiet")
    return place


@pytest.fixture(scope="session")
def two(able: None, seed: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:  # noqa: ARG001
    """Three hosts of a lab of their own that served v1.0.0, and serve v1.1.0; who uses them leaves them so."""
    root = tmp_path_factory.mktemp("two") / "slipway"
    clone(seed, root, cache)
    name = f"h{os.getpid()}"
    try:
        place = Yard(root, labs.up(name, HOSTS, Process.current()))
        place.build()
        place.run("dvc", "repro", "--quiet")
        place.commit("Describe the yard")
        place.does("deploy", ENVIRONMENT, place.release())
        place.set("train.hyperparameters", "{C: 0.03, class_weight: balanced}")
        place.run("dvc", "repro", "--quiet")
        place.commit("Regularise more")
        place.does("deploy", ENVIRONMENT, place.release())
        yield place
    finally:
        labs.down(name)


@pytest.fixture
def host(hosts: Lab) -> Iterator[Host]:
    """A host to do something to; it answers afterwards."""
    chosen = hosts.hosts["model-3"]
    yield chosen
    chosen.thaw()
    chosen.mend_link()
    hosts.network.pass_all()
    if chosen.state == "off":
        chosen.start()
    chosen.wait()
