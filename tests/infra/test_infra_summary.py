"""What the summary tells of a plan, and what it does not: plans are those of a real Terraform."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import InputError, Locked
from slipway.fleet import infra_shown, infra_summary
from slipway.fleet.environment import Environment
from slipway.fleet.infra_summary import Action, Summary
from slipway.fleet.terraform import Terraform
from slipway.release.git import Repository

PLANTED = "hunter2-of-the-database"
BEFORE = """\
terraform {
  backend "local" {}
}
variable "home" {
  type    = string
  default = "/"
}
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "host" {
  for_each         = toset(["model-1", "model-2"])
  input            = "address-${each.key}"
  triggers_replace = "image-1"
}
resource "terraform_data" "password" {
  input = var.password
}
resource "terraform_data" "old_name" {
  input = "stays"
}
resource "terraform_data" "left_alone" {
  input = "left"
}
output "password" {
  value     = terraform_data.password.output
  sensitive = true
}
output "address" {
  value = "address-known"
}
"""
AFTER = (
    BEFORE.replace('["model-1", "model-2"]', '["model-1", "model-3"]')
    .replace("image-1", "image-2")
    .replace("old_name", "new_name")
    .replace('resource "terraform_data" "left_alone" {\n  input = "left"\n}\n', "")
    .replace("address-known", "address-other")
    + """\
moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}
removed {
  from = terraform_data.left_alone
  lifecycle {
    destroy = false
  }
}
"""
)

Planned = Callable[[str], dict[str, Any]]


@pytest.fixture
def root(tmp_path: Path, terraform_binary: Path, monkeypatch: pytest.MonkeyPatch) -> Terraform:
    """A root of terraform_data, which needs no provider."""
    monkeypatch.setenv("TF_VAR_password", PLANTED)
    environment = Environment("local", Repository(tmp_path))
    environment.terraform_root.mkdir(parents=True)
    (environment.terraform_root / "main.tf").write_text(BEFORE)
    made = Terraform(environment, terraform_binary)
    made.init()
    return made


@pytest.fixture
def planned(root: Terraform, tmp_path: Path) -> Planned:
    """Terraform's plan for another text of main.tf."""

    def plan(text: str) -> dict[str, Any]:
        Path(tmp_path, "terraform", "environments", "local", "main.tf").write_text(text)
        root.init()
        root.plan(tmp_path / "plan")
        return root.show(tmp_path / "plan")

    return plan


def by_address(found: Summary) -> dict[str, Action]:
    return {each.address: each.action for each in found.changes}


def test_a_first_plan_creates_everything(planned: Planned) -> None:
    found = infra_summary.summary("local", planned(BEFORE))
    assert found.pending
    assert found.counts == {"create": 5, "change": 0, "replace": 0, "destroy": 0}
    assert set(by_address(found).values()) == {Action.CREATE}
    assert found.outputs == ("address", "password")
    assert (found.dangerous, found.differences, found.cost) == ([], (), None)
    assert infra_shown.headline(found) == (
        "local: 5 to create, 0 to change in place, 0 to replace, 0 to destroy, 2 outputs"
    )


def test_a_plan_after_the_apply_is_empty(root: Terraform, planned: Planned) -> None:
    root.apply()
    found = infra_summary.summary("local", planned(BEFORE))
    assert (found.pending, found.changes, found.outputs) == (False, (), ())
    assert infra_shown.lines(found) == ["local: an apply would change nothing"]


def test_every_kind_of_change_is_told_by_address(root: Terraform, planned: Planned) -> None:
    root.apply()
    found = infra_summary.summary("local", planned(AFTER))
    assert by_address(found) == {
        'terraform_data.host["model-1"]': Action.REPLACE,
        'terraform_data.host["model-2"]': Action.DESTROY,
        'terraform_data.host["model-3"]': Action.CREATE,
        "terraform_data.left_alone": Action.FORGET,
        "terraform_data.new_name": Action.MOVE,
    }
    assert found.counts == {"create": 1, "change": 0, "replace": 1, "destroy": 1, "forget": 1, "move": 1}
    assert found.outputs == ("address",)
    assert infra_shown.headline(found) == (
        "local: 1 to create, 0 to change in place, 1 to replace, 1 to destroy, 1 to forget, "
        "1 to call by another address, 1 output"
    )


def test_what_is_dangerous_is_named_first(root: Terraform, planned: Planned) -> None:
    root.apply()
    found = infra_summary.summary("local", planned(AFTER))
    assert infra_shown.lines(found)[1:5] == [
        "",
        "DANGEROUS",
        '  terraform_data.host["model-1"]: replaces a host, forced by triggers_replace',
        '  terraform_data.host["model-2"]: destroys a host',
    ]
    page = infra_shown.markdown(found)
    assert page.startswith("## Infrastructure of local: 1 to create, ")
    assert page.index("⚠️ Dangerous") < page.index("To create")
    assert '- `terraform_data.host["model-1"]`: replaces a host, forced by triggers_replace\n' in page


def test_a_change_in_place_names_its_attributes(
    root: Terraform, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.apply()
    monkeypatch.setenv("TF_VAR_password", f"new-{PLANTED}")
    found = infra_summary.summary("local", planned(BEFORE))
    (change,) = found.changes
    assert (change.address, change.action) == ("terraform_data.password", Action.CHANGE)
    assert change.attributes == ("input", "output")
    assert found.outputs == ("password",)
    assert found.dangerous == []


@pytest.mark.parametrize("text", [BEFORE, AFTER])
def test_no_value_is_told_neither_a_secret_nor_any_other(
    root: Terraform, planned: Planned, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    root.apply()
    monkeypatch.setenv("TF_VAR_password", f"new-{PLANTED}")
    shown = planned(text)
    assert PLANTED in json.dumps(shown), "the plan itself holds it: else this test tells nothing"
    said = everything(infra_summary.summary("local", shown))
    for value in (PLANTED, "address-", "image-", "stays", 'left"'):
        assert value not in said, value


def everything(found: Summary) -> str:
    """All that is ever told of a plan."""
    return "\n".join(
        [
            infra_summary.to_json(found),
            infra_shown.markdown(found),
            infra_shown.drift_markdown(found),
            *infra_shown.lines(found),
            *infra_shown.drift_lines(found),
        ]
    )


def test_a_summary_is_read_as_it_was_written(root: Terraform, planned: Planned, tmp_path: Path) -> None:
    root.apply()
    found = infra_summary.summary("local", planned(AFTER))
    file = tmp_path / "infrastructure.json"
    file.write_text(infra_summary.to_json(found))
    assert infra_summary.read(file) == found
    told = json.loads(file.read_text())
    assert told["pending"] is True
    assert told["dangerous"] == ['terraform_data.host["model-1"]', 'terraform_data.host["model-2"]']


@pytest.mark.parametrize("text", ["", "{}", "[]", f'{{"environment": "{PLANTED}"}}', None])
def test_a_file_that_is_no_summary_is_refused_without_a_word_of_it(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "infrastructure.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=r"is no summary of a plan|cannot be read: No such file") as caught:
        infra_summary.read(file)
    assert PLANTED not in str(caught.value)
    assert caught.value.next_command == "slipway infra plan ENV --out FOLDER writes one"


@pytest.mark.parametrize(
    ("field", "value"), [("outputs", ["a b"]), ("environment", "<b>"), ("environment", "a\nb")]
)
def test_a_name_that_terraform_would_not_take_is_none(tmp_path: Path, field: str, value: Any) -> None:
    plan: dict[str, Any] = {
        "environment": "local",
        "changes": [],
        "differences": [],
        "outputs": [],
        "cost": None,
    }
    file = tmp_path / "infrastructure.json"
    file.write_text(json.dumps(plan))
    assert not infra_summary.read(file).pending
    file.write_text(json.dumps({**plan, field: value}))
    with pytest.raises(InputError, match="is no summary of a plan"):
        infra_summary.read(file)


def test_an_address_is_no_markup(planned: Planned) -> None:
    """The keys of `for_each` are whatever a pull request makes them."""
    shown = planned(BEFORE.replace('"model-2"', '"``` @everybody <b> |"'))
    page = infra_shown.markdown(infra_summary.summary("local", shown))
    assert '- ```` terraform_data.host["``` @everybody <b> |"] ````\n' in page


def test_a_plan_that_somebody_has_overtaken_is_not_applied(root: Terraform, tmp_path: Path) -> None:
    root.plan(tmp_path / "plan")
    root.apply()
    with pytest.raises(Locked) as caught:
        root.apply(tmp_path / "plan")
    assert str(caught.value) == (
        "the state of local has changed since it was planned: somebody else has applied\n"
        "  next: the same command again, which plans anew"
    )


def test_the_very_plan_is_applied(root: Terraform, tmp_path: Path) -> None:
    """Not what the root says by then."""
    root.plan(tmp_path / "plan")
    main = Path(tmp_path, "terraform", "environments", "local", "main.tf")
    main.write_text(BEFORE.replace("stays", "too late"))
    root.apply(tmp_path / "plan")
    assert "stays" in root.known()
    assert "too late" not in root.known()
