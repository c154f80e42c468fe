"""The whole story: a pull request, a report, a merge, staging, production, bad models, a roll-back, the history.

Every step of every workflow is executed, in the order and with the rights that GitHub would give it, on hosts that are real. The tests
tell one story, in their order.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from lab.aws import Aws
from tests.github.server import BOT, REPOSITORY, served
from tests.github.server import GitHub as Api
from tests.lab.fleet import own
from tests.lab.team import OBJECTS, Team

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from tests.workflows.github import Run

FIRST, SECOND, BAD = "v1.0.0", "v1.1.0", "v1.2.0"
PULL = 7
TOKEN = f"ghs_{secrets.token_hex(18)}"
"""In no file of the repository, and so not in a job's clone of it."""


@pytest.fixture(scope="module")
def hosts(able: None) -> Iterator[Lab]:  # noqa: ARG001 - comes first
    with own("s") as lab:
        yield lab


@pytest.fixture(scope="module")
def aws(hosts: Lab) -> Iterator[Aws]:
    """Its objects are fetched by the hosts, too."""
    started = Aws.start(str(hosts.plan.controller.ip))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    hub = Api(token=None, workflows={"deploy.yml": {"environment", "release"}})
    with served(hub):
        yield hub


@pytest.fixture(scope="module")
def team(hosts: Lab, aws: Aws, api: Api, seed: Path, cache: Path) -> Iterator[Team]:
    """In a folder whose path is short: SSH's sockets lie in the jobs' homes, and their paths have little room."""
    with TemporaryDirectory(prefix="team-") as folder:
        made = Team(Path(folder), hosts, aws, seed, cache, api.url, REPOSITORY, TOKEN)
        made.trains("Train it for the first time", {})
        made.merges()
        yield made


def brought(team: Team, api: Api, tag: str) -> Run:
    """The run that GitHub starts where the one that a pushed tag has started asks for it."""
    asked = team.runs("declared", "push_of_tag", {"ref": f"refs/tags/{tag}"})
    assert asked.result == "success", asked.log
    (started,) = api.dispatched
    api.dispatched.clear()
    assert (started["workflow"], started["ref"]) == ("deploy.yml", "main")
    return team.dispatches("deploy", **started["inputs"])


def test_what_is_on_main_is_released_published_and_brought_to_staging(team: Team, api: Api) -> None:
    api.tags[f"tumour-screening@{FIRST}"] = "tag"
    run = team.runs("release", "push_to_main")
    assert run.result == "success", run.log
    assert run.jobs["release"].outputs == {"release": FIRST}
    (published,) = api.releases
    assert published["tag_name"] == f"tumour-screening@{FIRST}"
    assert {"bundle.tar", "manifest.json", "model.sig", "sbom.cdx.json", "statement.intoto.json"} <= {
        asset["name"] for asset in published["assets"]
    }
    assert (team.desired("staging"), team.answers("staging")) == ([f"deploy {FIRST}"], {FIRST})
    assert team.answers("production") == {""}


def test_production_takes_it_when_somebody_says_so(team: Team) -> None:
    run = team.dispatches("deploy", environment="production", release=FIRST)
    assert run.result == "success", run.log
    assert (team.desired("production"), team.answers("production")) == ([f"deploy {FIRST}"], {FIRST})


def test_a_pull_request_is_rebuilt_reported_and_commented_on_once(team: Team, api: Api) -> None:
    team.ada.git("checkout", "--quiet", "-b", "regularise")
    team.trains("Regularise more", {"train.hyperparameters": "{C: 0.03, class_weight: balanced}"})
    team.proposes("regularise", PULL)
    run = team.runs("ci", "pull_request")
    assert run.result == "success", run.log
    assert "is what its lock says" in run.jobs["check-pipeline"].output
    report = json.loads((team.artifacts / "report" / "report.json").read_text())
    assert report["verdict"] in {"fine", "look"}
    head = team.ada.git("rev-parse", "HEAD")
    api.pull(PULL, head, "regularise", REPOSITORY)
    for _ in range(2):
        said = team.comments(run, head, "regularise")
        assert said.result == "success", said.log
    (comment,) = api.comments[PULL]
    assert comment["user"]["login"] == BOT
    for part in (
        "Against origin/main", "v1.0.0 in production", "train.hyperparameters.C: 1.0", "Infrastructure of staging",
        "Infrastructure of production", "`slipway rollback production` would go back to v1.0.0",
    ):  # fmt: skip
        assert part in comment["body"], comment["body"]


def test_a_lock_that_nobody_has_made_is_not_green(team: Team) -> None:
    """A metric that was edited by hand."""
    team.ada.git("checkout", "--quiet", "-b", "dishonest")
    metrics = team.ada.root / "reports" / "metrics.json"
    found = json.loads(metrics.read_text())
    found["validation"]["recall"] = 1.0
    metrics.write_text(json.dumps(found))
    team.commit("Look better")
    team.proposes("dishonest", 8)
    run = team.runs("ci", "pull_request", {"number": 8, "head": {"ref": "dishonest"}})
    assert (run.results["check-pipeline"], run.results["required"]) == ("failure", "failure")
    assert "reports/metrics.json was changed by hand" in run.jobs["check-pipeline"].output
    team.ada.git("checkout", "--quiet", "regularise")


def test_a_merge_is_released_and_a_tag_of_plain_git_brings_it_to_production(team: Team, api: Api) -> None:
    api.tags[f"tumour-screening@{SECOND}"] = "tag"
    team.merges()
    run = team.runs("release", "push_to_main")
    assert run.result == "success", run.log
    assert team.answers("staging") == {SECOND}
    team.ada.git("fetch", "--quiet", "--tags", "origin")
    tag = "tumour-screening#production#2"
    message = f"Deploy {SECOND} to production\n\nAction: deploy\nRelease: {SECOND}"
    team.ada.git("tag", "--sign", "--message", message, tag, f"tumour-screening@{SECOND}^{{}}")
    team.ada.git("push", "--quiet", "origin", tag)
    deploy = brought(team, api, tag)
    assert deploy.result == "success", deploy.log
    assert team.answers("production") == {SECOND}
    assert "ssh" not in " ".join(map(str, deploy.jobs["deploy"].outputs)), "no key is an output"


def test_a_tag_of_somebody_who_may_not_release_changes_nothing(team: Team, api: Api) -> None:
    tag = "tumour-screening#production#3"
    message = f"Roll back {FIRST} to production\n\nAction: rollback\nRelease: {FIRST}"
    team.ada.run(
        "git", "-c", f"user.signingKey={team.folder / 'stranger'}",
        "tag", "--sign", "--message", message, tag, f"tumour-screening@{FIRST}^{{}}",
    )  # fmt: skip
    team.ada.git("push", "--quiet", "origin", tag)
    run = brought(team, api, tag)
    assert run.result == "failure"
    assert "the link signer -> tag is broken: its signature is of another key" in run.log
    assert team.answers("production") == {SECOND}
    team.ada.git("push", "--quiet", "--delete", "origin", tag)
    team.ada.git("tag", "--delete", tag)


def test_a_model_that_misses_its_gates_does_not_leave_the_laptop(team: Team) -> None:
    team.ada.set("evaluate.gates.recall_minimum", "0.999")
    failed = subprocess.run(
        ["dvc", "repro"],
        cwd=team.ada.root,
        env=team.ada.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode != 0
    assert "recall" in failed.stdout + failed.stderr
    team.ada.git("checkout", "--quiet", "params.yaml", "dvc.lock", "reports")


def test_a_bad_model_that_passes_them_is_aborted_in_production(team: Team, api: Api) -> None:
    api.tags[f"tumour-screening@{BAD}"] = "tag"
    team.trains("Call almost everybody ill", {"train.decision_threshold": "0.02"})
    team.merges()
    released = team.runs("release", "push_to_main")
    assert released.result == "success", released.log
    run = team.dispatches("deploy", environment="production", release=BAD)
    assert run.result == "failure"
    assert "the bake does not let it go on" in run.log
    assert team.answers("production") == {SECOND}
    assert team.desired("production")[-2:] == [f"deploy {BAD}", f"abort {SECOND}"]
    assert f"quarantine/tumour-screening/{BAD}/1" in team.tags()
    again = team.dispatches("deploy", environment="production", release=BAD)
    assert "is in quarantine since" in again.log


def test_rolling_back_is_a_tag(team: Team) -> None:
    run = team.dispatches("rollback", environment="production", release=FIRST)
    assert run.result == "success", run.log
    assert run.jobs["rollback"].commands[-1] == "make rollback"
    assert (team.desired("production")[-1], team.answers("production")) == (f"rollback {FIRST}", {FIRST})


def test_the_history_says_what_was_live_since_when_by_whom_and_of_which_data(team: Team) -> None:
    team.ada.git("fetch", "--quiet", "--tags", "origin")
    history = [
        (each["release"], each["action"], each["desired"]) for each in team.ada.reads("history", "production")
    ]
    assert [(release, action) for release, action, _ in reversed(history)][:2] == [
        (FIRST, "deploy"),
        (SECOND, "deploy"),
    ]
    assert history[0] == (FIRST, "rollback", int(team.newest("production").rpartition("#")[2]))
    assert team.ada.reads("status", "production")["problems"] == []
    shown = team.ada.run("gto", "show", "tumour-screening", "--json")
    assert FIRST in shown


def test_no_secret_was_printed_or_left(team: Team, api: Api) -> None:
    kept = [
        text for name in ("workflow", "ada-key", "stranger") for text in team.words_of(team.folder / name)
    ]
    kept += team.words_of(team.lab.plan.folder / "key")
    said = "".join(log for log in team.logs) + json.dumps(api.comments) + json.dumps(api.releases)
    left = [
        path for path in (team.folder / "runs").rglob("*") if path.is_file() and path.stat().st_size < 2**20
    ]
    for secret in [*kept, TOKEN]:
        assert secret not in said
        assert [path for path in left if secret in path.read_text(errors="replace")] == []
    stored = team.aws.client("s3").list_objects_v2(Bucket=OBJECTS)
    assert stored["KeyCount"] > 0
