"""A workflow is started on the branch that is named, and once more rather than not at all."""

import pytest
from tests.github.conftest import Slipway
from tests.github.server import TOKEN, Fault, GitHub

COMMAND = ("dispatch", "deploy.yml", "--ref", "main", "--input", "environment=production")
PATH = "dispatches$"


@pytest.fixture(autouse=True)
def _deploys(hub: GitHub) -> None:
    hub.workflows["deploy.yml"] = {"environment", "release"}


def test_it_starts_the_workflow_of_the_branch_with_its_inputs(hub: GitHub, slipway: Slipway) -> None:
    code, out, errors = slipway(*COMMAND)

    assert (code, errors) == (0, "")
    assert out == (
        "deploy.yml is started on main, environment production: "
        "https://github.test/octo/screening/actions/workflows/deploy.yml\n"
    )
    assert hub.dispatched == [
        {"workflow": "deploy.yml", "ref": "main", "inputs": {"environment": "production"}}
    ]
    assert {each.authorization for each in hub.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("after", [False, True], ids=["not heard", "heard"])
def test_where_github_leaves_it_open_it_is_asked_again(
    hub: GitHub, slipway: Slipway, pauses: list[float], *, after: bool
) -> None:
    hub.faults.append(Fault("POST", PATH, 502, after=after))

    assert slipway(*COMMAND)[0] == 0
    assert len(hub.dispatched) == 1 + after
    assert pauses == [1.0]


def test_it_gives_up_where_github_goes_on_failing(hub: GitHub, slipway: Slipway) -> None:
    hub.faults += [Fault("POST", PATH, 502)] * 9

    code, _, errors = slipway(*COMMAND)

    assert (code, hub.dispatched) == (1, [])
    assert "GitHub fails at POST" in errors
    assert len(hub.asked) == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"deploy.yml": "destroy.yml"}, "(404: Not Found)"),
        ({"main": "nowhere"}, "No ref found for: nowhere"),
        ({"environment=production": "place=production"}, "Unexpected inputs provided"),
    ],
)
def test_what_github_refuses_is_asked_once(
    hub: GitHub, slipway: Slipway, changed: dict[str, str], said: str
) -> None:
    code, _, errors = slipway(*(changed.get(each, each) for each in COMMAND))

    assert (code, hub.dispatched, len(hub.asked)) == (1, [], 1)
    assert said in errors


def test_the_right_that_is_missing_is_named(hub: GitHub, slipway: Slipway) -> None:
    needs = {"X-Accepted-GitHub-Permissions": "actions=write"}
    hub.faults.append(Fault("POST", PATH, 403, "Resource not accessible by integration", needs))

    code, _, errors = slipway(*COMMAND)

    assert code == 1
    assert "the job's permissions need actions=write" in errors


@pytest.mark.parametrize(
    "arguments",
    [
        ("dispatch", "../deploy.yml", "--ref", "main"),
        ("dispatch", "deploy", "--ref", "main"),
        ("dispatch", "deploy.yml", "--ref", "main", "--input", "production"),
    ],
)
def test_what_is_no_workflow_and_no_input_is_not_asked_for(
    hub: GitHub, slipway: Slipway, arguments: tuple[str, ...]
) -> None:
    code, _, errors = slipway(*arguments)

    assert (code, hub.asked) == (1, [])
    assert "; expected " in errors


@pytest.mark.parametrize("place", ["main", "environment=production"])
def test_what_is_no_text_is_named_and_not_sent(hub: GitHub, slipway: Slipway, place: str) -> None:
    code, _, errors = slipway(*(f"{each}\udcff" if each == place else each for each in COMMAND))

    assert (code, hub.asked) == (1, [])
    assert (
        errors.rpartition("error: ")[2] == "GitHub cannot be sent '\\udcff', which is no character of UTF-8\n"
    )
