from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.workshop import MODEL, NOW, Workshop

from slipway.errors import InputError, Refused
from slipway.release import desired, quarantine
from slipway.release.names import ReleaseName

BAD = ReleaseName.parse("v1.1.0", MODEL)


def barred(workshop: Workshop) -> list[str]:
    return list(quarantine.current(workshop.repository, MODEL))


def bar(workshop: Workshop, reason: str = "model-1: it is never ready") -> quarantine.Quarantine:
    return quarantine.declare(workshop.repository, BAD, "staging", reason, NOW)


def test_at_first_nothing_is_in_quarantine(workshop: Workshop) -> None:
    workshop.releases(2)
    quarantine.refuse(workshop.repository, BAD)
    assert barred(workshop) == []


def test_a_release_that_failed_is_barred_by_an_annotated_tag_that_says_why_when_and_by_whom(
    workshop: Workshop,
) -> None:
    workshop.releases(2)
    found = bar(workshop)
    assert (found.reason, found.at, found.release.label) == ("model-1: it is never ready", NOW, "v1.1.0")
    assert workshop.git("cat-file", "-t", "quarantine/wear/v1.1.0/1") == "tag"
    assert workshop.git("rev-parse", "quarantine/wear/v1.1.0/1^{}") == workshop.git(
        "rev-parse", "wear@v1.1.0^{}"
    )
    with pytest.raises(
        Refused, match=r"v1.1.0 is in quarantine since 2026-06-01 .*: model-1: it is never"
    ) as caught:
        quarantine.refuse(workshop.repository, BAD)
    assert "next: slipway release --unquarantine v1.1.0" in str(caught.value)


def test_it_is_barred_once_however_often_it_fails(workshop: Workshop) -> None:
    workshop.releases(2)
    first = bar(workshop)
    assert bar(workshop, "another reason") == first
    assert [tag for tag in workshop.tags if tag.startswith("quarantine")] == ["quarantine/wear/v1.1.0/1"]


def test_lifting_leaves_both_tags_and_the_reason(workshop: Workshop) -> None:
    workshop.releases(2)
    bar(workshop)
    assert quarantine.lift(workshop.repository, BAD, NOW).reason == "model-1: it is never ready"
    assert barred(workshop) == []
    tags = [tag for tag in workshop.tags if tag.startswith("quarantine")]
    assert tags == ["quarantine/wear/v1.1.0/1", "quarantine/wear/v1.1.0/2"]
    assert "It was: model-1: it is never ready" in workshop.git(
        "tag", "--list", "--format=%(contents)", tags[1]
    )


def test_a_number_decides_and_no_clock(workshop: Workshop) -> None:
    """A year back, and the eleventh tag is after the second."""
    workshop.releases(2)
    for number in range(5):
        bar(workshop, f"the {number}th time")
        quarantine.lift(workshop.repository, BAD, NOW - timedelta(days=365))
    bar(workshop, "the last time")
    assert workshop.git("tag", "--list", "quarantine/wear/v1.1.0/11")
    assert quarantine.current(workshop.repository, MODEL)["v1.1.0"].reason == "the last time"


def test_what_is_not_in_quarantine_cannot_be_lifted(workshop: Workshop) -> None:
    workshop.releases(2)
    bar(workshop)
    with pytest.raises(InputError, match=r"v1.0.0 is not in quarantine; there are: v1.1.0"):
        quarantine.lift(workshop.repository, ReleaseName.parse("v1.0.0", MODEL), NOW)


def test_a_reason_of_many_lines_has_a_short_title_and_is_kept_whole(workshop: Workshop) -> None:
    workshop.releases(2)
    reason = "the bake does not let it go on:\n  " + "p99 is above its limit\n  " * 20
    assert len(bar(workshop, reason).reason) < 210
    said = workshop.git("tag", "--list", "--format=%(contents)", "quarantine/wear/v1.1.0/1")
    assert said.count("p99 is above its limit\n") >= 19


def test_gto_and_our_own_tags_do_not_see_it(workshop: Workshop) -> None:
    import gto  # noqa: PLC0415 - takes a second to import

    workshop.releases(2)
    desired.declare(workshop.repository, "local", BAD, "deploy", NOW)

    def seen() -> tuple[str, str, str]:
        root = str(workshop.root)
        return (
            str(gto.api.show(root)),
            str(gto.api.show(root, f"{MODEL}#local")),
            str(gto.api.history(root)),
        )

    before = seen()
    assert "v1.1.0" in before[2]
    bar(workshop)
    quarantine.lift(workshop.repository, BAD, NOW)
    bar(workshop)
    assert seen() == before
    assert [state.release for state in desired.history(workshop.repository, MODEL, "local")] == [BAD]


def test_a_team_is_told_who_lets_a_release_go_and_why_it_was_barred(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.releases(2)
    origin = tmp_path / "origin.git"
    workshop.git("clone", "--quiet", "--bare", str(workshop.root), str(origin))
    workshop.git("remote", "add", "origin", str(origin))
    bar(workshop)
    quarantine.lift(workshop.repository, BAD, NOW)
    quarantine.share(workshop.repository, MODEL)
    told = workshop.git("ls-remote", "--tags", "--refs", "origin", "quarantine/*").splitlines()
    assert [line.split("refs/tags/")[1] for line in told] == [
        f"quarantine/wear/v1.1.0/{number}" for number in (1, 2)
    ]


@pytest.mark.parametrize("planted", ["1/x", "9" * 222])
def test_a_tag_that_bars_a_number_bars_no_quarantine(workshop: Workshop, planted: str) -> None:
    workshop.releases(2)
    workshop.git("tag", "--annotate", "--message", "x", f"quarantine/wear/v1.1.0/{planted}")
    bar(workshop)
    assert barred(workshop) == ["v1.1.0"]
