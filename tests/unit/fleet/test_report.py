import shutil
from typing import Any

import pytest
from tests.unit.machine import Host, Server, Terraform, as_pinned
from tests.unit.workshop import NOW, Workshop

from slipway.errors import InputError
from slipway.fleet import report
from slipway.fleet.context import Context
from slipway.fleet.report import HostStatus
from slipway.release import desired
from slipway.release.names import ReleaseName
from slipway.serving.release import ReleaseRecord


@pytest.fixture
def provisioned(context: Context, server: Server, terraform: Terraform) -> Context:
    """Terraform has been applied, and put out the address of the server."""
    context.environment.prepare()
    (context.environment.folder / "inventory.yml").write_text("{}")
    terraform.works(server.url, context.environment.folder)
    return context


def serve(server: Server, record: ReleaseRecord) -> None:
    server.answers({"/metadata": {**record.model_dump(), "more": 1}, "/readyz": {"live": True}})


def want(workshop: Workshop, label: str) -> None:
    """Let git want a release."""
    workshop.releases(3)
    desired.declare(workshop.repository, "local", ReleaseName.parse(label, "wear"), "deploy", NOW)


# Status.


def test_before_the_first_rollout_nothing_is_deployed(context: Context) -> None:
    assert report.status(context)._asdict() == {
        "environment": "local",
        "url": None,
        "desired": None,
        "desired_tag": None,
        "hosts": {
            "local-1": HostStatus(
                live=None, slot="", answers=None, installed=[], problems=["nothing is deployed"]
            )
        },
        "lost": {},
        "live": None,
        "answers": None,
        "cloud": {},
        "quarantine": [],
        "problems": ["nothing is deployed"],
    }


def test_three_accounts_that_agree_are_in_order(
    provisioned: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    want(workshop, "v1.1.0")
    live = host.record("v1.1.0")
    host.install(host.record("v1.0.0"))
    host.make_live(live, "green")
    serve(server, live)
    assert report.status(provisioned)._asdict() == {
        "environment": "local",
        "url": server.url,
        "desired": "v1.1.0",
        "desired_tag": "wear#local#1",
        "hosts": {
            "local-1": HostStatus(
                live=live, slot="green", answers=live, installed=["v1.0.0", "v1.1.0"], problems=[]
            )
        },
        "lost": {},
        "live": live,
        "answers": live,
        "cloud": {},
        "quarantine": [],
        "problems": [],
    }


def test_a_front_door_that_does_not_answer_is_a_problem(provisioned: Context, host: Host) -> None:
    host.make_live(host.record("v1.0.0"))
    found = report.status(provisioned)
    assert found.answers is None
    assert found.problems == ["v1.0.0 should be serving, but does not answer"]


@pytest.mark.parametrize("answer", [{}, {"release": "v1.0.0"}, {"detail": "Not found"}], ids=str)
def test_a_program_of_others_at_the_front_door_is_a_problem(
    provisioned: Context, host: Host, server: Server, answer: dict[str, Any]
) -> None:
    host.make_live(host.record("v1.0.0"))
    server.answers({"/metadata": answer})
    found = report.status(provisioned)
    assert found.problems == ["v1.0.0 should be serving, but does not answer"]


def test_another_release_at_the_front_door_is_a_problem(
    provisioned: Context, host: Host, server: Server
) -> None:
    host.make_live(host.record("v1.1.0"))
    serve(server, host.record("v1.0.0"))
    assert report.status(provisioned).problems == ["v1.1.0 should be serving, but v1.0.0 answers"]


def test_other_bytes_under_the_same_name_at_the_front_door_are_a_problem(
    provisioned: Context, host: Host, server: Server
) -> None:
    host.make_live(host.record("v1.0.0"))
    serve(server, host.record("v1.0.0", runtime="s"))
    assert report.status(provisioned).problems == ["v1.0.0 should be serving, but v1.0.0 answers"]


def test_a_release_that_git_does_not_want_is_a_problem(
    provisioned: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    want(workshop, "v1.2.0")
    host.make_live(host.record("v1.0.0"))
    serve(server, host.record("v1.0.0"))
    assert report.status(provisioned).problems == ["git wants v1.2.0, the host has v1.0.0"]


def test_a_live_release_whose_files_are_not_whole_is_a_problem(
    provisioned: Context, host: Host, server: Server
) -> None:
    live = host.record("v1.0.0")
    host.make_live(live)
    serve(server, live)
    (host.home / "releases" / "v1.0.0" / "bundle" / "model.onnx").write_bytes(b"x")
    assert report.status(provisioned).problems == ["the files of v1.0.0 are not whole"]


def test_a_release_to_go_back_to_that_is_not_whole_is_a_problem_and_a_candidate_is_none(
    provisioned: Context, host: Host, server: Server
) -> None:
    live = host.record("v1.1.0")
    for label in ("v1.0.0", "v1.1.0-candidate+c0ffee00.b29ebcfe.59d5cdb1"):
        (host.install(host.record(label)) / "bundle" / "model.onnx").write_bytes(b"x")
    host.make_live(live)
    serve(server, live)
    found = report.status(provisioned)
    assert found.problems == ["v1.0.0 is on the host, but not whole: nothing can go back to it"]
    assert found.hosts["local-1"].installed == ["v1.1.0"]


def test_a_release_whose_folder_is_gone_is_a_problem(
    provisioned: Context, host: Host, server: Server
) -> None:
    live = host.record("v1.0.0")
    host.make_live(live)
    serve(server, live)
    shutil.rmtree(host.home / "releases" / "v1.0.0")
    (problem,) = report.status(provisioned).problems
    assert problem == "the release that blue should serve is gone, or has no record"


def test_what_somebody_has_changed_by_hand_is_a_problem_that_names_the_file(
    provisioned: Context, host: Host, server: Server
) -> None:
    live = host.record("v1.0.0")
    host.make_live(live)
    serve(server, live)
    file = host.home / "supervisord.conf"
    file.write_text(f"{file.read_text()}; a note\n")
    assert report.status(provisioned).problems == [f"{file} is not as the roll-out wrote it"]


def test_a_candidate_is_not_held_against_git(
    provisioned: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    want(workshop, "v1.2.0")
    candidate = host.record("v1.3.0-candidate+c0ffee00.b29ebcfe.59d5cdb1")
    host.make_live(candidate)
    serve(server, candidate)
    assert report.status(provisioned).problems == []


# Plan.


def test_a_first_deploy_would_change_everything(
    provisioned: Context, terraform: Terraform, server: Server
) -> None:
    terraform.works(server.url, provisioned.environment.folder, changes=True)
    found = report.plan(provisioned, None)
    assert found.target.startswith("v1.0.0-candidate+")
    assert found._replace(target="candidate")._asdict() == {
        "environment": "local",
        "live": None,
        "target": "candidate",
        "stale": [],
        "infrastructure": True,
        "install_release": True,
        "install_runtime": True,
        "swap": True,
    }
    assert found.pending is True


def test_a_plan_names_the_stages_that_have_not_run_since_something_changed(
    provisioned: Context, workshop: Workshop, terraform: Terraform, server: Server
) -> None:
    workshop.releases(1)
    terraform.works(server.url, provisioned.environment.folder)
    stage = provisioned.environment.repository.root / "dvc.yaml"
    stage.write_text(stage.read_text().replace("cmd: ", "cmd: true; ", 1))
    assert len(report.plan(provisioned, None).stale) == 1
    assert report.plan(provisioned, "v1.0.0").stale == []


def test_what_is_serving_needs_no_change(
    provisioned: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    workshop.releases(1)
    live = as_pinned(workshop, "v1.0.0")
    host.make_live(live)
    serve(server, live)
    found = report.plan(provisioned, "v1.0.0")
    assert (found.live, found.target, found.pending) == ("v1.0.0", "v1.0.0", False)
    assert (found.install_release, found.install_runtime, found.swap) == (False, False, False)


def test_a_candidate_of_the_live_bytes_is_the_live_release(
    provisioned: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    workshop.releases(1)
    live = as_pinned(workshop, "v1.0.0")
    host.make_live(live)
    serve(server, live)
    assert report.plan(provisioned, None).target == "v1.0.0"


def test_what_is_linked_but_does_not_answer_would_be_swapped_in(
    provisioned: Context, workshop: Workshop, host: Host
) -> None:
    workshop.releases(1)
    host.make_live(as_pinned(workshop, "v1.0.0"))
    found = report.plan(provisioned, "v1.0.0")
    assert (found.install_release, found.swap, found.pending) == (False, True, True)


def test_another_release_with_the_same_runtime_installs_the_release_only(
    provisioned: Context, workshop: Workshop, host: Host, server: Server
) -> None:
    workshop.releases(2)
    live = as_pinned(workshop, "v1.0.0").model_copy(update={"bundle": "0" * 64})
    host.make_live(live)
    serve(server, live)
    found = report.plan(provisioned, "v1.1.0")
    assert (found.live, found.target) == ("v1.0.0", "v1.1.0")
    assert (found.install_release, found.install_runtime, found.swap) == (True, False, True)


def test_changed_machines_are_pending_even_where_the_release_serves(
    provisioned: Context, workshop: Workshop, host: Host, server: Server, terraform: Terraform
) -> None:
    workshop.releases(1)
    live = as_pinned(workshop, "v1.0.0")
    host.make_live(live)
    serve(server, live)
    terraform.works(server.url, host.home, changes=True)
    found = report.plan(provisioned, "v1.0.0")
    assert (found.infrastructure, found.swap, found.pending) == (True, False, True)


def test_a_plan_applies_nothing_and_writes_no_tag(
    provisioned: Context, workshop: Workshop, terraform: Terraform
) -> None:
    workshop.releases(1)
    tags = workshop.tags
    report.plan(provisioned, "v1.0.0")
    assert "apply" not in terraform.verbs
    assert "plan" in terraform.verbs
    assert workshop.tags == tags


def test_a_plan_of_a_release_that_is_not_there_is_refused(provisioned: Context) -> None:
    with pytest.raises(InputError, match=r"^there is no release wear@v7\.0\.0; the newest are: none yet"):
        report.plan(provisioned, "v7.0.0")
