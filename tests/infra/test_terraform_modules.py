"""Every module by its own tests, against a provider that is mocked: what it makes, and what it refuses."""

import re
from pathlib import Path

import pytest
from tests.infra.conftest import ROOT, Cli

MODULES = sorted(path.parent.name for path in (ROOT / "terraform" / "modules").glob("*/terraform.tf"))
ENVIRONMENTS = ("staging", "production")
VALIDATION = re.compile(r'variable "(\w+)" \{(.*?)\n\}', re.DOTALL)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_does_what_its_tests_say(module: str, tree: Path, cli: Cli) -> None:
    root = tree / "modules" / module
    cli.does(root, "init", "-backend=false", "-input=false", "-no-color")
    said = cli.does(root, "test", "-no-color")
    assert re.search(r"Success! [1-9][0-9]* passed, 0 failed\.", said), said


@pytest.mark.parametrize("module", MODULES)
def test_every_validation_of_a_module_has_a_case_that_it_refuses(module: str) -> None:
    root = ROOT / "terraform" / "modules" / module
    declared = VALIDATION.findall((root / "variables.tf").read_text())
    tests = "\n".join(path.read_text() for path in (root / "tests").glob("*.tftest.hcl"))
    rules = {name: body.count("validation {") for name, body in declared if "validation {" in body}
    expected = " ".join(re.findall(r"expect_failures = \[(.*?)\]", tests))
    cases = {name: len(re.findall(rf"var\.{name}\b", expected)) for name in rules}
    lacking = {name: (rules[name], cases[name]) for name in rules if cases[name] < rules[name]}
    assert lacking == {}, f"{module}: (validations, cases) {lacking}"


@pytest.mark.parametrize("name", ["environments/staging", "environments/production", "modules/bootstrap"])
def test_a_root_and_the_modules_it_calls_are_valid_with_the_provider_that_is_locked(
    name: str, tree: Path, cli: Cli
) -> None:
    root = tree / name
    cli.does(root, "init", "-backend=false", "-lockfile=readonly", "-input=false", "-no-color")
    cli.does(root, "validate", "-no-color")


def test_a_root_calls_every_module() -> None:
    """So that what is valid with the roots is all that there is."""
    sources = [path.read_text() for path in (ROOT / "terraform").rglob("*.tf")]
    called = {
        name for text in sources for name in re.findall(r'source = "(?:\.\./)+(?:modules/)?(\w+)"', text)
    }
    assert {*called, "bootstrap"} == set(MODULES)


def test_everything_is_formatted(tree: Path, cli: Cli) -> None:
    done = cli.run(tree, "fmt", "-check", "-diff", "-recursive", "-no-color")
    assert (done.returncode, done.stdout) == (0, "")


def test_environments_differ_in_what_is_given_and_nothing_else() -> None:
    staging, production = (ROOT / "terraform" / "environments" / name for name in ENVIRONMENTS)
    names = {path.name for path in staging.glob("*.tf")}
    assert names == {path.name for path in production.glob("*.tf")}
    differ = {name for name in names if (staging / name).read_text() != (production / name).read_text()}
    assert differ == {"backend.tf"}
    assert (staging / "backend.tf").read_text().replace("staging", "production") == (
        production / "backend.tf"
    ).read_text()


def test_every_root_locks_the_same_provider() -> None:
    roots = [*(ROOT / "terraform" / "environments" / name for name in ENVIRONMENTS)]
    roots.append(ROOT / "terraform" / "modules" / "bootstrap")
    (locked,) = {(root / ".terraform.lock.hcl").read_text() for root in roots}
    assert re.findall(r'version += "(.*)"', locked) == ["5.100.0"]
    assert len(re.findall(r'"h1:.{44}"', locked)) == 2, "one for Linux, one for macOS"
