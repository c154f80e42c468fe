"""Hosts that are lost, or cut off from the controller or the balancer."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.lab.drills.faults import without_power
from tests.lab.drills.site import ROLLOUT
from tests.lab.yard import ENVIRONMENT
from tests.local.workplace import ended, rewrite, says, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.lab.drills.drill import Drill

pytestmark = pytest.mark.nightly

FAILED, ROLLED_BACK = 1, 4
SECONDS = 300


@contextmanager
def half_way(drill: Drill, release: str) -> Iterator[subprocess.Popen[str]]:
    """A deploy under way, of whose hosts the first one has changed."""
    drill.brings(release)
    with ended(drill.site.begin("deploy", ENVIRONMENT, release)) as process:
        until(lambda: drill.site.serve(["model-1"])["model-1"] == release, "the first host has changed", 120)
        yield process


@pytest.mark.drill(9, "a host is lost in the middle of a roll-out")
def test_a_deploy_that_loses_a_host_goes_back_and_succeeds_when_it_is_there_again(drill: Drill) -> None:
    site, old, new = drill.site, drill.old, drill.new
    with drill.load(forgiving=True):
        with half_way(drill, new) as deploy, without_power(site.hosts["model-2"]):
            _, said = deploy.communicate(timeout=SECONDS)
            assert deploy.returncode == ROLLED_BACK, said
            assert f"{new} was not rolled out; {old} is still serving" in said
            assert "model-2 is lost: " in said
            assert said.splitlines()[-1] == "  next: slipway reconcile yard, when every host can be reached"
            assert site.serve(["model-1", "model-3"]) == {"model-1": old, "model-3": old}
            assert site.desired()[-2:] == [f"deploy {new}", f"abort {old}"]
            assert not site.is_barred(new)
        drill.does("deploy", new)
    drill.ends_on(new, kills=1)


@pytest.mark.drill(9, "the same, with the policy to hold")
def test_a_deploy_that_loses_a_host_holds_where_that_is_the_policy(drill: Drill) -> None:
    site, old, new = drill.site, drill.old, drill.new
    rewrite(site.settings, b"batches: [1, 2, 3]\non_lost_host: hold\n")
    try:
        with drill.load(forgiving=True):
            with half_way(drill, new) as deploy, without_power(site.hosts["model-2"]):
                _, said = deploy.communicate(timeout=SECONDS)
                assert deploy.returncode == FAILED, said
                assert f"{new} is live on model-1, and goes no further" in said
                assert "next: slipway reconcile yard, when every host can be reached" in said
                assert site.serve(["model-1", "model-3"]) == {"model-1": new, "model-3": old}
            drill.does("reconcile")
    finally:
        rewrite(site.settings, ROLLOUT.encode())
    drill.ends_on(new, kills=1)


@pytest.mark.drill(10, "all hosts but one are lost")
def test_the_last_host_goes_on_serving_whatever_a_deploy_meets(drill: Drill) -> None:
    site, old, new = drill.site, drill.old, drill.new
    with drill.load(forgiving=True):
        with half_way(drill, new) as deploy, ExitStack() as lost:
            for name in ("model-2", "model-3"):
                lost.enter_context(without_power(site.hosts[name]))
            _, said = deploy.communicate(timeout=SECONDS)
            assert deploy.returncode == ROLLED_BACK, said
            assert f"{old} is still serving" in said
            site.await_rotation(["model-1"])
            drill.refuses(FAILED, "cannot be reached, and nothing was changed", by=("deploy", new))
            assert site.serve(["model-1"]) == {"model-1": old}
        drill.does("reconcile")
    drill.ends_on(old, kills=2)


@pytest.mark.drill(11, "controller cut from a host that serves")
def test_a_host_that_only_the_controller_has_lost_goes_on_serving(drill: Drill) -> None:
    site, host = drill.site, drill.site.hosts["model-3"]
    with drill.load():
        site.lab.network.drop(site.lab.plan.controller.ip, host.address)
        before = site.sessions(host.name)
        said = drill.tells("status")
        assert (said.code, "model-3 cannot be reached" in said.out) == (1, True)
        assert site.states()[host.name] == "UP"
        assert site.sessions(host.name) > before
        site.lab.network.pass_all()
    drill.ends_on(drill.old)


@pytest.mark.drill(12, "balancer cut from a host")
def test_a_host_that_the_balancer_has_lost_leaves_the_rotation_and_comes_back(drill: Drill) -> None:
    site, host = drill.site, drill.site.hosts["model-3"]
    with drill.load():
        site.lab.network.drop(site.balancer.address, host.address)
        site.await_rotation(["model-1", "model-2"])
        drill.deploys(drill.new)
        site.lab.network.pass_all()
        site.await_rotation(site.hosts)
    drill.ends_on(drill.new)


@pytest.mark.drill(13, "partition during a rollback")
def test_a_rollback_goes_on_without_a_host_names_it_and_is_finished_by_the_same_command(drill: Drill) -> None:
    site, old, new = drill.site, drill.old, drill.new
    with drill.load():
        drill.deploys(new)
        drill.brings(old)
        with ended(site.begin("rollback", ENVIRONMENT, old)) as rollback:
            says(rollback, "collect")
            site.lab.network.drop(site.lab.plan.controller.ip, site.hosts["model-3"].address)
            _, said = rollback.communicate(timeout=SECONDS)
        assert rollback.returncode == FAILED, said
        assert f"{old} is live, but model-3 cannot be reached" in said
        assert said.splitlines()[-1] == "  next: the same command again, when they can"
        assert site.serve(["model-1", "model-2"]) == {"model-1": old, "model-2": old}
        assert site.desired()[-1] == f"rollback {old}"
        site.lab.network.pass_all()
        # The lock there is the lost command's, until the host has missed its third sign of life.
        drill.insists("rollback", old)
    drill.ends_on(old)


@pytest.mark.drill(14, "10 % of the packets lost, 300 ms of latency")
def test_over_a_bad_line_a_deploy_is_slower_and_succeeds(drill: Drill) -> None:
    site = drill.site
    with drill.load(), site.bad_line(percent=10, seconds=0.3):
        drill.deploys(drill.new)
    drill.ends_on(drill.new)
