"""From a commit to a release, and what git wants to what is live."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest
from ruamel.yaml import YAML
from tests.local.workplace import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.workplace import Workplace

MODEL = "tumour-screening"


class Step(NamedTuple):
    """A command, and what git wants and the service says after it."""

    out: str
    tags: list[str]
    answers: str


@pytest.fixture(scope="module")
def story(shop: Workplace) -> dict[str, Step]:
    """Two releases made and deployed, the first one brought back, and the host emptied and filled again."""
    shop.git("checkout", "--quiet", "--force", "begin", "--", ".")
    shop.git("reset", "--quiet")
    shop.run("dvc", "checkout", "--force", "--quiet")
    steps = {}

    def step(name: str, *arguments: str) -> None:
        out = shop.does(*arguments)
        desired = sorted(tag for tag in shop.tags() if "#" in tag)
        steps[name] = Step(out, desired, shop.answers())

    shop.run("dvc", "push", "--quiet")
    step("first release", "release")
    step("first deploy", "deploy", "local", "v1.0.0")
    shop.set("train.hyperparameters", "{C: 0.03, class_weight: balanced}")
    shop.run("dvc", "repro", "--quiet")
    shop.git("commit", "--quiet", "--all", "--message", "Regularise more")
    shop.run("dvc", "push", "--quiet")
    step("second release", "release")
    step("second deploy", "deploy", "local", "v1.1.0")
    step("roll-back", "rollback", "local")
    shop.does("down")
    step("reconcile", "reconcile", "local")
    shop.does("down")
    until(lambda: not shop.processes(), "nothing runs")
    shutil.rmtree(shop.home)
    step("reconcile of an emptied host", "reconcile", "local")
    return steps


@pytest.fixture
def released(story: dict[str, Step], shop: Workplace) -> Workplace:
    del story
    return shop


def test_a_release_is_an_annotated_tag_that_says_why(story: dict[str, Step], released: Workplace) -> None:
    assert f"{MODEL}@v1.0.0: the first release" in story["first release"].out
    assert f"{MODEL}@v1.1.0: the model differs from v1.0.0's" in story["second release"].out
    assert [released.git("cat-file", "-t", f"{MODEL}@{version}") for version in ("v1.0.0", "v1.1.0")] == [
        "tag",
        "tag",
    ]


def test_every_deploy_and_roll_back_writes_the_next_desired_state(story: dict[str, Step]) -> None:
    first, second, third = (f"{MODEL}#local#{number}" for number in (1, 2, 3))
    assert [first] == story["first deploy"].tags
    assert [first, second] == story["second deploy"].tags
    assert [first, second, third] == story["roll-back"].tags
    answers = [story[name].answers for name in ("first deploy", "second deploy", "roll-back")]
    assert answers == ["v1.0.0", "v1.1.0", "v1.0.0"]


def test_a_desired_state_stands_on_the_commit_of_its_release(released: Workplace) -> None:
    commits = [released.git("rev-parse", f"{MODEL}@{version}^{{}}") for version in ("v1.0.0", "v1.1.0")]
    wanted = [released.git("rev-parse", f"{MODEL}#local#{number}^{{}}") for number in (1, 2, 3)]
    assert wanted == [commits[0], commits[1], commits[0]]


@pytest.mark.parametrize("name", ["reconcile", "reconcile of an emptied host"])
def test_reconcile_makes_the_newest_desired_state_live(story: dict[str, Step], name: str) -> None:
    assert story[name].answers == "v1.0.0"
    assert story[name].tags == story["roll-back"].tags


def test_gto_reads_the_same_from_the_tags(released: Workplace) -> None:
    shown = released.run("gto", "show", f"{MODEL}@greatest", "--json")
    assert "v1.1.0" in shown
    stage = released.run("gto", "show", f"{MODEL}#local", "--json")
    assert f"{MODEL}@v1.0.0" in stage


def test_an_unknown_release_is_refused_and_the_newest_are_named(released: Workplace) -> None:
    before = (released.tags(), released.links(), released.slots())
    said = released.slipway("deploy", "local", "v9.9.9")
    assert said.code == 1
    assert f"there is no release {MODEL}@v9.9.9; the newest are: v1.0.0, v1.1.0" in said.err
    assert before == (released.tags(), released.links(), released.slots())


def test_a_commit_is_released_once(released: Workplace) -> None:
    before = released.tags()
    released.git("checkout", "--quiet", "--force", "HEAD", "--", ".")
    released.run("dvc", "checkout", "--force", "--quiet")
    said = released.slipway("release")
    assert said.code == 3
    assert f"this commit is already released as {MODEL}@v1.1.0" in said.err
    assert before == released.tags()


def test_a_corrupt_object_in_the_cache_is_refused_with_both_digests(released: Workplace, cache: Path) -> None:
    before = (released.tags(), released.answers())
    lock = YAML(typ="safe").load(released.git("show", f"{MODEL}@v1.1.0:dvc.lock"))
    (out,) = [out for out in lock["stages"]["package"]["outs"] if out["path"] == "artifacts/bundle.tar"]
    cached = cache / "files" / "md5" / out["md5"][:2] / out["md5"][2:]
    content = cached.read_bytes()
    cached.chmod(0o644)
    try:
        cached.write_bytes(content[:-1] + b"x")
        said = released.slipway("deploy", "local", "v1.1.0")
    finally:
        cached.write_bytes(content)
        cached.chmod(0o444)
    assert said.code == 3
    manifest = YAML(typ="safe").load(released.git("show", f"{MODEL}@v1.1.0:manifest.json"))
    assert f"expected sha256 {manifest['bundle']['sha256']}, found " in said.err
    assert before == (released.tags(), released.answers())
    assert released.reads("status", "local")["problems"] == []
