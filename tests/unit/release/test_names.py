import re

import pytest
from gto.constants import tag_re
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from slipway.errors import InputError
from slipway.release.names import DesiredName, ReleaseName, count

numbers = st.integers(0, 10**6)
models = st.from_regex(re.compile(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", re.ASCII), fullmatch=True)
environments = st.from_regex(re.compile(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", re.ASCII), fullmatch=True)
releases = st.builds(ReleaseName, models, st.builds(Version, numbers, numbers, numbers))
desired_states = st.builds(DesiredName, models, environments, st.integers(1, 10**9 - 1))


@given(releases)
def test_a_release_is_read_back_from_its_tag_its_label_and_its_bare_version(name: ReleaseName) -> None:
    assert ReleaseName.from_tag(name.tag, name.model) == name
    assert ReleaseName.parse(name.tag, name.model) == name
    assert ReleaseName.parse(name.label, name.model) == name
    assert ReleaseName.parse(str(name.version), name.model) == name


@given(desired_states)
def test_a_desired_state_is_read_back_from_its_tag(name: DesiredName) -> None:
    assert DesiredName.from_tag(name.tag, name.model, name.environment) == name


@given(releases)
def test_gto_reads_a_release_tag_as_we_do(name: ReleaseName) -> None:
    read = tag_re.match(name.tag)
    assert read is not None
    assert (read["artifact"], read["version"]) == (name.model, name.label)


@given(desired_states)
def test_gto_reads_a_desired_state_tag_as_we_do(name: DesiredName) -> None:
    read = tag_re.match(name.tag)
    assert read is not None
    assert (read["artifact"], read["stage"]) == (name.model, name.environment)
    assert int(read["counter"]) == name.number


@given(releases, models)
def test_another_models_release_is_none_of_ours(name: ReleaseName, other: str) -> None:
    mine = ReleaseName.from_tag(name.tag, other)
    assert mine == (name if other == name.model else None)


@given(desired_states, models, environments)
def test_another_environments_state_is_none_of_ours(name: DesiredName, model: str, environment: str) -> None:
    mine = DesiredName.from_tag(name.tag, model, environment)
    assert mine == (name if (model, environment) == (name.model, name.environment) else None)


def test_versions_are_ordered_as_numbers() -> None:
    labels = ["v1.10.0", "v1.9.0", "v10.0.0", "v1.9.10"]
    ordered = sorted(ReleaseName.parse(label, "wear") for label in labels)
    assert [name.label for name in ordered] == ["v1.9.0", "v1.9.10", "v1.10.0", "v10.0.0"]


def test_a_foreign_model_is_refused_by_name() -> None:
    with pytest.raises(InputError) as caught:
        ReleaseName.parse("tumour@v1.2.3", "wear")
    assert str(caught.value) == "'tumour@v1.2.3' is a release of tumour, but this repository makes wear"


NONE_OF_OURS = (
    *("", "v", "v1", "1.2", "v1.2.3.4", "v01.2.3", "v1.2.3 ", "v1.2.3\n", "V1.2.3", "vv1.2.3", "latest"),
    *("wear@1.2.3", "@v1.2.3", "wear@v1.2.3@v1.2.3", "wear#local#1", "v1.2.3#1", "wear@v1.2.x", "-1.2.3"),
    # A release is X.Y.Z: anything after that is kept for candidates, which have no tag.
    *("v1.2.3-rc1", "v1.2.3+build", "v1.2.3-candidate+abc.def"),
)


@pytest.mark.parametrize("text", NONE_OF_OURS)
def test_what_is_no_release_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError) as caught:
        ReleaseName.parse(text, "wear")
    assert str(caught.value) == f"{text!r} is not a release; expected v1.2.3 or wear@v1.2.3"


@pytest.mark.parametrize("text", [f"wear@{text}" for text in NONE_OF_OURS])
def test_a_tag_that_is_no_release_is_passed_over(text: str) -> None:
    assert ReleaseName.from_tag(text, "wear") is None


@pytest.mark.parametrize(
    "tag",
    ["wear#local", "wear#local#0", "wear#local#01", "wear#local#-1", "wear#local#1#2", "wear@v1.0.0#local#1"],
)
def test_a_tag_that_is_no_desired_state_is_passed_over(tag: str) -> None:
    assert DesiredName.from_tag(tag, "wear", "local") is None


@pytest.mark.parametrize("digits", [10, 222])
def test_a_number_that_nobody_counts_to_is_none(digits: int) -> None:
    number = "9" * digits
    assert ReleaseName.from_tag(f"wear@v1.{number}.0", "wear") is None
    assert DesiredName.from_tag(f"wear#local#{number}", "wear", "local") is None
    assert count(number) is None
    assert count("9" * 9) == 10**9 - 1
