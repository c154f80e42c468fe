"""Releases that are not what they should be: refused before any of them gets a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.lab.drills import bad
from tests.lab.drills.site import FIRST
from tests.lab.fleet import HOME
from tests.local.workplace import digest, with_note

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.drills.drill import Drill

pytestmark = pytest.mark.nightly

FAILED, REFUSED, ROLLED_BACK = 1, 3, 4


@pytest.mark.drill(20, "corrupt or truncated bundle in the store")
def test_corrupt_bytes_are_refused_before_anything_is_switched(drill: Drill) -> None:
    sound = with_note(drill.site.candidate(), "to be damaged")
    before = drill.site.desired()
    with drill.load():
        for damaged in (bad.flipped(sound.tar), sound.tar[:-5000]):
            release = drill.site.forge(sound, bundle=damaged)
            drill.refuses(
                REFUSED, f"expected sha256 {sound.digest}, found {digest(damaged)}", by=("deploy", release)
            )
    assert drill.site.desired() == before
    drill.ends_on(drill.old)


@pytest.mark.drill(20, "corrupt or truncated bundle on a host's disk")
def test_damage_on_a_disk_is_shown_and_healed_by_the_next_deploy(drill: Drill) -> None:
    host = drill.site.hosts["model-2"]
    with drill.load():
        host.run("sudo", "truncate", "--size=1000", f"{HOME}/releases/{drill.old}/bundle/model.onnx")
        said = drill.tells("status")
        assert (said.code, f"model-2: the files of {drill.old} are not whole" in said.out) == (1, True)
        drill.does("deploy", drill.old)
    drill.ends_on(drill.old)


@pytest.mark.drill(21, "bundle with an extra file")
def test_a_bundle_with_an_extra_file_is_refused(drill: Drill) -> None:
    release = drill.site.forge(bad.with_extra_file(drill.site.candidate()))
    with drill.load():
        drill.refuses(
            ROLLED_BACK, "holds files that its manifest does not name: ['extra.py']", by=("deploy", release)
        )
    drill.ends_on(drill.old)


@pytest.mark.drill(22, "manifest says v2, bytes are v1")
def test_bytes_of_another_release_are_refused(drill: Drill) -> None:
    second = with_note(drill.site.candidate(), "the second")
    release = drill.site.forge(second, bundle=drill.site.candidate().tar)
    with drill.load():
        drill.refuses(REFUSED, f"expected sha256 {second.digest}", by=("deploy", release))
    drill.ends_on(drill.old)


@pytest.mark.drill(23, "tag missing, or no dvc.lock at the tag")
def test_a_release_that_is_none_names_those_that_are(drill: Drill) -> None:
    release = drill.site.forge(drill.site.candidate(), drop="dvc.lock")
    before = drill.site.desired()
    with drill.load():
        drill.refuses(FAILED, "there is no release", "the newest are: ", by=("deploy", "v9.9.9"))
        drill.refuses(FAILED, "has no dvc.lock", by=("deploy", release))
    drill.site.git("tag", "--delete", drill.site.tag_of(release))
    assert drill.site.desired() == before
    drill.ends_on(drill.old)


@pytest.mark.drill(24, "tag moved after its release")
def test_a_tag_that_was_moved_is_refused(drill: Drill) -> None:
    site, tag = drill.site, drill.site.tag_of(drill.old)
    commit = site.git("rev-parse", f"{tag}^{{commit}}")
    other = site.git("rev-parse", f"{site.tag_of(drill.new)}^{{commit}}")
    with drill.load():
        site.git("tag", "--force", "--annotate", "--message", "moved", tag, other)
        drill.refuses(
            REFUSED, f"pins {drill.old} to {commit[:7]}, but {tag} is at {other[:7]}", by=("reconcile",)
        )
        said = drill.tells("status")
        assert (said.code, f"pins {drill.old} to {commit[:7]}" in said.out) == (1, True)
        site.git("tag", "--force", "--annotate", "--message", "moved back", tag, commit)
    drill.ends_on(drill.old)


@pytest.mark.drill(24, "tag of a release that was live earlier is moved")
def test_a_moved_tag_of_an_earlier_release_is_refused_too(drill: Drill) -> None:
    site, old, new = drill.site, drill.old, drill.new
    drill.deploys(new)
    tag = site.tag_of(old)
    commit = site.git("rev-parse", f"{tag}^{{commit}}")
    before = site.desired()
    with drill.load():
        site.git("tag", "--force", "--annotate", "--message", "moved", tag, f"{site.tag_of(new)}^{{commit}}")
        drill.refuses(REFUSED, f"pins {old} to {commit[:7]}", by=("deploy", old))
        site.git("tag", "--force", "--annotate", "--message", "moved back", tag, commit)
    assert site.desired() == before
    drill.ends_on(new)


@pytest.mark.drill(25, "object gone from cache and store")
def test_a_rollback_works_from_the_copies_on_the_hosts(drill: Drill, tmp_path: Path) -> None:
    site, release = drill.site, drill.new
    if any(release not in host["installed"] for host in site.reads("status", "yard")["hosts"].values()):
        drill.deploys(release)
        release = drill.old
    md5 = site.md5_of(release)
    copies = [site.cached(md5), site.root / ".slipway" / "store" / "files" / "md5" / md5[:2] / md5[2:]]
    for number, copy in enumerate(copies):
        copy.rename(tmp_path / str(number))
    try:
        with drill.load():
            drill.brings(release)
            drill.does("rollback", release)
    finally:
        for number, copy in enumerate(copies):
            (tmp_path / str(number)).rename(copy)
    drill.ends_on(release)


@pytest.mark.drill(26, "model that predicts NaN, constants, or has columns swapped")
@pytest.mark.parametrize("change", ["nan", "constant", "swapped"])
def test_golden_rows_refuse_an_ill_model_before_it_gets_a_request(drill: Drill, change: str) -> None:
    release = drill.site.forge(bad.with_weights(drill.site.candidate(), change))
    with drill.load():
        drill.refuses(
            ROLLED_BACK,
            "fails its golden rows: golden row 0: expected",
            f"{release} was not rolled out; {drill.old} is still serving",
            by=("deploy", release),
        )
    assert drill.site.is_barred(release)
    drill.ends_on(drill.old)


@pytest.mark.drill(27, "plausible but worse model")
def test_a_plausible_model_that_decides_otherwise_is_aborted_in_its_bake(drill: Drill) -> None:
    site = drill.site
    worse = bad.with_threshold(site.candidate(), 0.02)
    release = site.forge(worse)
    site.learn(release, worse)
    with drill.load(), site.baking(seconds=10, minimum_requests=1200, limits={"positives": 0.1}):
        drill.brings(release)
        drill.refuses(ROLLED_BACK, "abort: positives is above its limit", by=("deploy", release))
    assert release not in {entry["release"] for entry in site.host_log("model-2")}
    drill.ends_on(drill.old)


@pytest.mark.drill(30, "no traffic during the bake")
def test_without_traffic_golden_rows_decide_and_nothing_is_promoted_for_want_of_data(drill: Drill) -> None:
    """No traffic means no load: there is one afterwards."""
    site = drill.site
    worse = bad.with_threshold(site.candidate(), 0.999999 if drill.old == FIRST else 0.000001)
    release = site.forge(worse)
    with site.baking(minimum_requests=600, limits={"positives": 0.1}):
        drill.refuses(ROLLED_BACK, "positives is above its limit", by=("deploy", release))
    with site.baking(minimum_requests=300, limits={"positives": 0.5}):
        assert "promote" in drill.deploys(drill.new)
    with drill.load():
        pass
    drill.ends_on(drill.new)
