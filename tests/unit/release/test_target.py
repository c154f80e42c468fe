import pytest
from gto.constants import tag_re
from semver import Version
from tests.unit.workshop import MODEL, Workshop

from slipway.bundle import sha256
from slipway.errors import Corrupt, InputError, Refused
from slipway.release import target
from slipway.release.names import ReleaseName


def candidate(workshop: Workshop) -> target.Target:
    return target.candidate(workshop.repository, workshop.settings)


def version(found: target.Target) -> Version:
    return Version.parse(found.label.removeprefix("v"))


def test_a_release_is_found_with_what_it_pins(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    pinned = workshop.pins
    workshop.train(model="model 2")
    assert target.released(workshop.repository, release) == ("v1.0.0", pinned, release)


def test_a_release_that_is_not_there_names_the_newest_ones(workshop: Workshop) -> None:
    workshop.releases(4)
    with pytest.raises(InputError) as caught:
        target.released(workshop.repository, ReleaseName.parse("v9.0.0", MODEL))
    assert str(caught.value) == (
        "there is no release wear@v9.0.0; the newest are: v1.1.0, v1.2.0, v1.3.0\n  next: slipway release"
    )


def test_where_there_is_no_release_none_is_named(workshop: Workshop) -> None:
    with pytest.raises(InputError, match=r"^there is no release wear@v1\.0\.0; the newest are: none yet\n"):
        target.released(workshop.repository, ReleaseName.parse("v1.0.0", MODEL))


def test_a_candidate_is_named_after_its_commit_bundle_and_runtime(workshop: Workshop) -> None:
    found, pinned = candidate(workshop), workshop.pins
    digests = (pinned.commit, str(pinned.bundle.sha256), str(pinned.runtime.sha256))
    assert found.label == "v1.0.0-candidate+" + ".".join(digest[:8] for digest in digests)
    assert found.release is None
    assert found.pins == pinned


def test_a_candidate_comes_before_the_release_that_it_becomes(workshop: Workshop) -> None:
    workshop.releases(1)
    workshop.train(model="model 2")
    found = candidate(workshop)
    release = workshop.release()
    assert Version(1, 0, 0) < version(found) < release.version == Version(1, 1, 0)


@pytest.mark.parametrize(
    ("changes", "becomes"),
    [({"contract": "contract 2"}, "v2.0.0"), ({"model": "model 2"}, "v1.1.0"), ({"serving": "2"}, "v1.0.1")],
)
def test_a_candidate_is_named_after_the_release_that_it_would_become(
    workshop: Workshop, changes: dict[str, str], becomes: str
) -> None:
    workshop.releases(1)
    workshop.write({f"source/{name}.txt": text for name, text in changes.items()})
    workshop.reproduce(push=False)
    assert candidate(workshop).label.startswith(f"{becomes}-candidate+")


@pytest.mark.parametrize("source", ["model", "serving"])
def test_other_bytes_are_another_candidate(workshop: Workshop, source: str) -> None:
    """A host keeps one folder a label: two candidates of one name would be one."""
    before = candidate(workshop)
    workshop.write({f"source/{source}.txt": "other"})
    workshop.reproduce(push=False)
    assert candidate(workshop).label != before.label


def test_a_candidates_name_is_no_release(workshop: Workshop) -> None:
    label = candidate(workshop).label
    assert ReleaseName.from_tag(f"wear@{label}", "wear") is None
    assert tag_re.match(f"wear@{label}") is not None


def test_a_candidate_needs_a_run_of_the_pipeline(workshop: Workshop) -> None:
    (workshop.root / "dvc.lock").unlink()
    with pytest.raises(InputError) as caught:
        candidate(workshop)
    assert str(caught.value) == "the work tree has no dvc.lock\n  next: dvc repro"


def test_a_candidates_file_is_the_work_trees(workshop: Workshop) -> None:
    found = candidate(workshop)
    file = found.file(workshop.repository, found.pins.bundle)
    assert file == workshop.root / "artifacts/bundle.tar"


def test_a_candidates_file_that_is_missing_is_named(workshop: Workshop) -> None:
    found = candidate(workshop)
    (workshop.root / "artifacts/bundle.tar").unlink()
    with pytest.raises(InputError) as caught:
        found.file(workshop.repository, found.pins.bundle)
    assert str(caught.value) == "artifacts/bundle.tar is missing\n  next: dvc repro"


def test_a_candidates_file_that_was_changed_is_refused(workshop: Workshop) -> None:
    found = candidate(workshop)
    file = workshop.root / "artifacts/bundle.tar"
    workshop.spoil(file)
    with pytest.raises(Corrupt) as caught:
        found.file(workshop.repository, found.pins.bundle)
    assert str(caught.value) == (
        f"artifacts/bundle.tar ({file}) is corrupt: expected sha256 {found.pins.bundle.sha256}, "
        f"found {sha256(file)}\n  next: dvc repro"
    )


def test_what_to_do_about_a_changed_file_mends_it(workshop: Workshop) -> None:
    found = candidate(workshop)
    workshop.spoil(workshop.root / "data/acceptance.parquet")
    with pytest.raises(Refused, match="expected md5") as caught:
        found.file(workshop.repository, found.pins.acceptance)
    workshop.run(*str(caught.value.next_command).split())
    assert found.file(workshop.repository, found.pins.acceptance).read_text() == "rows 1\n"


def test_a_releases_file_is_not_the_work_trees(workshop: Workshop) -> None:
    (release,) = workshop.releases(1)
    workshop.train(model="model 2")
    found = target.released(workshop.repository, release)
    file = found.file(workshop.repository, found.pins.bundle)
    assert file.read_text() == "bundle of model 1\ncontract 1\n"
