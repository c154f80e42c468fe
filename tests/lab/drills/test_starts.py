"""Releases that start slowly or never, leak, are slow, or cannot be measured: what a slot does is changed by Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.lab.drills.faults import kill_worker, sabotaged
from tests.lab.drills.site import READY_SECONDS
from tests.local.workplace import until

if TYPE_CHECKING:
    from tests.lab.drills.drill import Drill

pytestmark = pytest.mark.nightly

ROLLED_BACK = 4
STARTS_MAXIMUM = 5
SECONDS_AWAY = 5.0
SLOW_START = "import time; time.sleep(3)"
NEVER_READY = """
import sys, time
print("cannot open the device", file=sys.stderr, flush=True)
time.sleep(60)
"""
SLOW = """
import time
from slipway.scorer import Scorer
predict = Scorer.predict
def slowly(self, rows):
    time.sleep(0.03)
    return predict(self, rows)
Scorer.predict = slowly
"""
LEAK = """
from slipway.scorer import Scorer
predict, kept = Scorer.predict, []
def leaking(self, rows):
    kept.append(bytearray(b"x" * BYTES))
    return predict(self, rows)
Scorer.predict = leaking
"""
UNREADABLE = """
import prometheus_client.exposition as exposition
def broken(*_, **__):
    raise RuntimeError("no metrics")
exposition.generate_latest = broken
"""


@pytest.mark.drill(19, "a release that is never ready")
def test_a_release_that_is_never_ready_is_taken_back_with_its_own_last_words(drill: Drill) -> None:
    release = drill.site.another()
    with drill.load(), sabotaged(drill.site.hosts["model-1"], release, NEVER_READY):
        drill.refuses(
            ROLLED_BACK,
            f"it is not ready after {READY_SECONDS} s: cannot open the device",
            f"{release} was not rolled out; {drill.old} is still serving",
            by=("deploy", release),
        )
    drill.ends_on(drill.old)


@pytest.mark.drill(18, "slow start")
def test_a_release_that_starts_slowly_gets_no_request_before_it_is_ready(drill: Drill) -> None:
    with drill.load(), sabotaged(drill.site.hosts["model-1"], drill.new, SLOW_START):
        drill.deploys(drill.new)
    drill.ends_on(drill.new)


@pytest.mark.drill(28, "p99 five times worse")
def test_a_release_that_is_slow_is_aborted_in_its_bake(drill: Drill) -> None:
    site, release = drill.site, drill.site.another()
    bake = site.baking(seconds=40, look_seconds=1, minimum_requests=1200, limits={"p50": 2, "p99": 2})
    with drill.load(), bake, sabotaged(site.hosts["model-1"], release, SLOW):
        drill.brings(release)
        drill.refuses(ROLLED_BACK, "abort: ", "above its limit", by=("deploy", release))
    drill.ends_on(drill.old)


@pytest.mark.drill(29, "memory leak")
def test_a_release_that_leaks_is_aborted_in_its_bake(drill: Drill) -> None:
    site, release = drill.site, drill.site.another()
    bake = site.baking(seconds=40, look_seconds=1, minimum_requests=1200, limits={"memory": 200_000})
    with drill.load(), bake, sabotaged(site.hosts["model-1"], release, LEAK.replace("BYTES", "50_000")):
        drill.brings(release)
        drill.refuses(ROLLED_BACK, "abort: memory is above its limit", by=("deploy", release))
    drill.ends_on(drill.old)


@pytest.mark.drill(29, "killed for want of memory")
def test_a_slot_that_is_killed_for_want_of_memory_is_started_again_and_its_release_aborted(
    drill: Drill,
) -> None:
    site, release = drill.site, drill.site.another()
    leak = LEAK.replace("BYTES", "500_000")
    bake = site.baking(seconds=40, look_seconds=1, minimum_requests=1200, limits={"restarts": 1})
    with (
        drill.load(forgiving=True),
        bake,
        sabotaged(site.hosts["model-1"], release, leak, "MemoryMax=300M"),
    ):
        drill.brings(release)
        drill.refuses(ROLLED_BACK, f"{drill.old} is still serving", by=("deploy", release))
    drill.ends_on(drill.old, kills=STARTS_MAXIMUM)


@pytest.mark.drill(31, "metrics cannot be read")
def test_without_metrics_nothing_is_promoted(drill: Drill) -> None:
    site, release = drill.site, drill.site.another()
    with drill.load(), site.baking(), sabotaged(site.hosts["model-1"], release, UNREADABLE):
        drill.brings(release)
        drill.refuses(ROLLED_BACK, "inconclusive", by=("deploy", release))
    drill.ends_on(drill.old)


@pytest.mark.drill(2, "a service dies again and again")
def test_a_slot_that_dies_again_and_again_leaves_the_rotation_once_until_it_is_rolled_out_again(
    drill: Drill,
) -> None:
    site, host, kills = drill.site, drill.site.hosts["model-2"], 0
    with drill.load(forgiving=True):
        while host.run("systemctl is-active slipway.socket || true") != "failed\n":
            kill_worker(host)
            site.serve([host.name])
            kills += 1
        # Its first start may have been too long ago to count.
        assert kills in {STARTS_MAXIMUM, STARTS_MAXIMUM + 1}
        site.await_rotation(["model-1", "model-3"])
        before = site.failures()[host.name]
        said = drill.tells("status")
        assert (said.code, f"model-2: {drill.old} should be serving, but does not answer" in said.out) == (
            1,
            True,
        )
        drill.does("deploy", drill.old)
        site.await_rotation(site.hosts)
        assert site.failures()[host.name] == before
    drill.ends_on(drill.old, kills=kills)


@pytest.mark.drill(34, "balancer reloaded 100 times, killed, given a bad configuration")
def test_the_balancer_survives_reloads_and_is_back_soon_after_a_kill(drill: Drill) -> None:
    balancer = drill.site.balancer
    with drill.load():
        balancer.run("for i in $(seq 100); do sudo systemctl reload haproxy || exit 1; done")
        refused = balancer.run(
            "echo nonsense | sudo tee -a /etc/haproxy/haproxy.cfg; sudo systemctl reload haproxy && echo taken; "
            "sudo sed -i '$d' /etc/haproxy/haproxy.cfg; sudo systemctl reload haproxy"
        )
        assert refused == "nonsense\n"
    with drill.load(forgiving=True) as load:
        balancer.run("sudo systemctl kill --signal=KILL haproxy")
        until(drill.site.answers, "the balancer is back")
    # While it is away, nobody can be answered: only that it is short can be asked for.
    if load.failed:
        assert load.failed[-1].ended - load.failed[0].started < SECONDS_AWAY
    drill.loads.remove(load)
    drill.ends_on(drill.old)
