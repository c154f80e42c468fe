"""A fleet moves from release to release, host by host over SSH, and comes back by itself where one of them fails.

The tests tell one story, in their order; each begins and ends with the fleet on one release.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.lab.fleet import PORT, own
from tests.lab.yard import ENVIRONMENT, Yard
from tests.local.load import Load
from tests.local.workplace import clone, rebuilt, rewrite

from slipway import bundle, params
from slipway.pipeline import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lab.lab import Lab
    from lab.machine import Host

pytestmark = pytest.mark.nightly

REFUSED, BARRED, ROLLED_BACK, LOCKED = 1, 3, 4, 5
JUDGED = BARRED
BROKEN = "/run/systemd/system/slipway@.service.d/broken.conf"


@pytest.fixture(scope="module")
def hosts(able: None) -> Iterator[Lab]:  # noqa: ARG001 - comes first
    """A lab of this story's own: others leave something on their hosts."""
    with own("r") as lab:
        yield lab


@pytest.fixture(scope="module")
def yard(hosts: Lab, seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """Three hosts on which nothing has been done, and four releases: v1.1.1 answers its golden rows wrong, v1.2.0 decides otherwise."""
    root = tmp_path_factory.mktemp("yard") / "slipway"
    # A cache of its own: DVC would give others the broken golden rows for the same parameters.
    clone(seed, root, tmp_path_factory.mktemp("yard-cache"))
    place = Yard(root, hosts)
    place.build()
    place.run("dvc", "repro", "--quiet")
    place.commit("Describe the yard")
    assert place.release() == "v1.0.0"
    place.set("train.hyperparameters", "{C: 0.03, class_weight: balanced}")
    place.run("dvc", "repro", "--quiet")
    place.commit("Regularise more")
    assert place.release() == "v1.1.0"
    place.offer(rebuilt(place.candidate(), tampered))
    place.run("dvc", "commit", "--force", "--quiet")
    place.commit("Break the golden rows")
    assert place.release() == "v1.1.1"
    place.set("train.decision_threshold", "0.02")
    place.run("dvc", "repro", "--quiet")
    place.commit("Call almost everybody ill")
    assert place.release() == "v1.2.0"
    return place


def tampered(content: Mapping[str, bytes]) -> dict[str, bytes]:
    """A golden row that the model does not answer so."""
    golden = json.loads(content[bundle.GOLDEN])
    golden["expected"][0][1] = 1 - golden["expected"][0][1]
    return {bundle.GOLDEN: json.dumps(golden).encode(), bundle.CARD: content[bundle.CARD] + b"\nBroken.\n"}


@pytest.fixture(scope="module")
def rows(yard: Yard) -> list[dict[str, Any]]:
    settings = params.load(yard.root / "params.yaml")
    return stage.rows(pd.read_parquet(yard.root / "data" / "validation.parquet"), settings.contract)


@pytest.fixture
def serving(yard: Yard) -> Yard:
    """Every host serves v1.0.0, whatever a test before has left."""
    if set(yard.serve().values()) != {"v1.0.0"}:
        yard.does("deploy", ENVIRONMENT, "v1.0.0")
    return yard


@pytest.fixture
def lame(serving: Yard) -> Iterator[Host]:
    """A host that is not the gatekeeper, and on which no slot starts."""
    host = serving.hosts["model-2"]
    host.run(
        f"sudo mkdir -p $(dirname {BROKEN}) && sudo tee {BROKEN} && sudo systemctl daemon-reload",
        text="[Service]\nExecStartPre=/bin/false\n",
    )
    yield host
    host.run(f"sudo rm {BROKEN} && sudo systemctl daemon-reload")


def test_before_the_first_rollout_nothing_is_deployed(yard: Yard) -> None:
    said = yard.slipway("status", ENVIRONMENT)
    assert (said.code, said.err) == (1, "")
    assert "nothing is deployed" in said.out


def test_a_first_deploy_goes_through_the_fleet_the_gatekeeper_first(yard: Yard) -> None:
    out = yard.does("deploy", ENVIRONMENT, "v1.0.0")
    batches = [
        line.split()[1] for line in out.splitlines() if line.startswith("rollout") and "activate" in line
    ]
    assert batches == ["model-1", "model-2", "model-3"]
    assert "57 rows equal offline" in out
    assert yard.desired() == ["deploy v1.0.0"]
    yard.in_order("v1.0.0")


def test_a_second_deploy_changes_nothing(serving: Yard) -> None:
    before = serving.tags()
    out = serving.does("deploy", ENVIRONMENT, "v1.0.0")
    assert "(nothing changed)" in out
    assert before == serving.tags()


def test_a_bad_release_stops_at_the_gatekeeper_and_git_says_so(serving: Yard) -> None:
    said = serving.slipway("deploy", ENVIRONMENT, "v1.1.1")
    assert said.code == ROLLED_BACK, said.out + said.err
    assert "model-1: Start the slot's process, and wait until it is ready" in said.err
    assert "golden row 0: expected" in said.err
    assert "v1.1.1 was not rolled out; v1.0.0 is still serving" in said.err
    assert serving.desired()[-2:] == ["deploy v1.1.1", "abort v1.0.0"]
    serving.in_order("v1.0.0")
    assert "v1.1.1" not in {entry["release"] for name in serving.hosts for entry in serving.host_log(name)}


def test_what_failed_is_in_quarantine_and_not_rolled_out_again(serving: Yard) -> None:
    before = serving.tags()
    assert "quarantine/tumour-screening/v1.1.1/1" in before
    said = serving.slipway("deploy", ENVIRONMENT, "v1.1.1")
    assert said.code == BARRED
    assert "v1.1.1 is in quarantine since " in said.err
    assert "golden row 0: expected" in said.err
    assert "next: slipway release --unquarantine v1.1.1" in said.err
    assert before == serving.tags()
    assert "v1.1.1 is in quarantine" in serving.does("status", ENVIRONMENT)


def test_where_a_later_host_fails_those_before_it_come_back(
    serving: Yard, lame: Host, rows: list[dict[str, Any]]
) -> None:
    gatekeeper, last = serving.hosts["model-1"], serving.host_log("model-3")
    with Load(PORT, rows, str(gatekeeper.address)) as load, Load(PORT, rows, str(lame.address)) as other:
        said = serving.slipway("deploy", ENVIRONMENT, "v1.1.0")
    assert said.code == ROLLED_BACK, said.out + said.err
    assert "model-2: Start the slot's process" in said.err
    assert (load.failed, load.releases) == ([], ["v1.0.0", "v1.1.0"])
    assert (other.failed, other.releases) == ([], ["v1.0.0"])
    assert [entry["action"] for entry in serving.host_log("model-1")][-2:] == ["deploy", "abort"]
    assert last == serving.host_log("model-3")
    serving.in_order("v1.0.0")


BAKE = "{seconds: 2, look_seconds: 0.5, minimum_requests: 1200, limits: {memory: null, p50: 1000, p99: 1000, %s}}"
"""Short, and blind to time, of which this machine has little to spare."""


@pytest.fixture
def baking(serving: Yard) -> Iterator[Callable[[str], None]]:
    """Sets the limits of the yard's bake."""
    file = serving.root / "terraform" / "environments" / ENVIRONMENT / "rollout.yaml"
    yield lambda limits: rewrite(file, f"bake: {BAKE % limits}\n".encode())
    file.unlink()


def test_a_release_in_the_shadow_of_the_gatekeeper_is_judged_and_changes_nothing(
    serving: Yard, rows: list[dict[str, Any]], baking: Callable[[str], None]
) -> None:
    tags, logs = serving.tags(), [serving.host_log(name) for name in serving.hosts]
    with Load(PORT, rows, str(serving.hosts["model-1"].address)) as load:
        baking("positives: 0.5, score: 0.5")
        out = serving.does("deploy", ENVIRONMENT, "v1.1.0", "--shadow", "3")
        baking("positives: 0.1, score: 0.5")
        said = serving.slipway("deploy", ENVIRONMENT, "v1.2.0", "--shadow", "3")
    assert "v1.1.0 may be promoted; it was in the shadow on model-1" in out
    assert said.code == JUDGED, said.out + said.err
    assert "v1.2.0 may not be promoted:" in said.err
    assert "abort: decisions is above its limit" in said.err
    assert (load.failed, load.releases) == ([], ["v1.0.0"])
    assert (tags, logs) == (serving.tags(), [serving.host_log(name) for name in serving.hosts])
    serving.in_order("v1.0.0")


def test_a_deploy_without_a_host_changes_nothing_and_names_it(serving: Yard) -> None:
    before = serving.tags()
    host = serving.hosts["model-3"]
    host.cut_link()
    try:
        said = serving.slipway("deploy", ENVIRONMENT, "v1.1.0")
        status = serving.slipway("status", ENVIRONMENT)
    finally:
        host.mend_link()
    assert said.code == REFUSED
    assert "hosts cannot be reached, and nothing was changed:\n  model-3: " in said.err
    assert "next: slipway status yard" in said.err
    assert before == serving.tags()
    assert "model-3 cannot be reached" in status.out
    serving.in_order("v1.0.0")


def test_a_rollback_goes_on_without_a_host_and_again_with_it(serving: Yard) -> None:
    serving.does("deploy", ENVIRONMENT, "v1.1.0")
    host = serving.hosts["model-3"]
    host.cut_link()
    try:
        said = serving.slipway("rollback", ENVIRONMENT, "v1.0.0")
        assert serving.serve(["model-1", "model-2"]) == {"model-1": "v1.0.0", "model-2": "v1.0.0"}
    finally:
        host.mend_link()
    assert said.code == REFUSED
    assert "v1.0.0 is live, but model-3 cannot be reached" in said.err
    assert "next: the same command again" in said.err
    assert serving.serve(["model-3"]) == {"model-3": "v1.1.0"}
    assert "git wants v1.0.0, the host has v1.1.0" in serving.slipway("status", ENVIRONMENT).out
    serving.does("rollback", ENVIRONMENT, "v1.0.0")
    serving.in_order("v1.0.0")
