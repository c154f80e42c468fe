"""Tags that do not count, since nobody who may has signed them: they neither lead anywhere nor stand in the way."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.fleet.seals import ENVIRONMENT, bring, declare, forge, key_of, other_key, sealed, team
from tests.unit.workshop import COMMITTED, MODEL, NOW, Workshop

from slipway.errors import InputError, Refused
from slipway.fleet.context import Context
from slipway.release import chain, create, desired, keys, quarantine
from slipway.release.names import ReleaseName

__all__ = ["other_key", "sealed", "team"]

FIRST, SECOND = (ReleaseName.parse(label, MODEL) for label in ("v1.0.0", "v1.1.0"))


@pytest.fixture
def without_a_key(sealed: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - after it was needed
    monkeypatch.delenv(keys.KEY)


def barred(workshop: Workshop, *, sealed: bool = True) -> list[str]:
    return list(quarantine.current(workshop.repository, MODEL, sealed=sealed))


def bar(workshop: Workshop, *, sealed: bool = True) -> None:
    quarantine.declare(workshop.repository, SECOND, ENVIRONMENT, "it is never ready", NOW, sealed=sealed)


# Quarantines.


def test_an_unsigned_lift_lifts_nothing(sealed: Workshop) -> None:
    bar(sealed)
    forge(sealed, "quarantine/wear/v1.1.0/2", "Lifted\n\nAction: lift\nRelease: v1.1.0")
    assert barred(sealed) == ["v1.1.0"]
    with pytest.raises(Refused, match=r"v1.1.0 is in quarantine"):
        quarantine.refuse(sealed.repository, SECOND, sealed=True)
    assert quarantine.lift(sealed.repository, SECOND, NOW).reason == "it is never ready"
    assert barred(sealed) == []
    chain.trusted(sealed.repository, "quarantine/wear/v1.1.0/3")


def test_an_unsigned_bar_bars_nothing(sealed: Workshop) -> None:
    forge(sealed, "quarantine/wear/v1.0.0/1", "It is bad\n\nAction: quarantine\nRelease: v1.0.0")
    quarantine.refuse(sealed.repository, FIRST, sealed=True)
    assert barred(sealed) == []


@pytest.mark.usefixtures("without_a_key")
def test_a_bar_that_nobody_who_may_has_signed_is_not_made(sealed: Workshop) -> None:
    before = sealed.git("for-each-ref")
    with pytest.raises(Refused, match=r"quarantine/wear/v1.1.0/1 was not made: .* it is not signed"):
        bar(sealed)
    assert sealed.git("for-each-ref") == before


def test_what_bars_everywhere_is_lifted_by_a_signature_or_not_at_all(
    sealed: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar(sealed)
    monkeypatch.delenv(keys.KEY)
    with pytest.raises(Refused, match=r"quarantine/wear/v1.1.0/2 was not made: .* it is not signed"):
        quarantine.lift(sealed.repository, SECOND, NOW)
    assert barred(sealed) == ["v1.1.0"]


@pytest.mark.usefixtures("without_a_key")
def test_on_this_machine_a_bar_and_its_lift_need_no_signature(sealed: Workshop) -> None:
    bar(sealed, sealed=False)
    assert (barred(sealed, sealed=False), barred(sealed)) == (["v1.1.0"], [])
    quarantine.lift(sealed.repository, SECOND, NOW)
    assert barred(sealed, sealed=False) == []


def test_a_lightweight_tag_does_not_take_the_number_of_a_bar(sealed: Workshop) -> None:
    sealed.git("tag", "quarantine/wear/v1.1.0/1")
    bar(sealed)
    assert barred(sealed) == ["v1.1.0"]
    chain.trusted(sealed.repository, "quarantine/wear/v1.1.0/2")


# Desired states.


@pytest.mark.parametrize("said", ["Release: v9.9.9", "Release: v1.0.0", "nothing"])
def test_a_forged_desired_state_does_not_stand_in_the_way_back(
    team: Context, sealed: Workshop, said: str
) -> None:
    forge(sealed, f"wear#{ENVIRONMENT}#7", said)
    declare(sealed, FIRST)
    found = desired.current(sealed.repository, MODEL, ENVIRONMENT, sealed=True)
    assert found
    assert (found.name.number, found.release) == (8, FIRST)
    bring(team)


def test_a_forged_date_dates_nothing(sealed: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", "@4000000000 +0000")
        forge(sealed, f"wear#{ENVIRONMENT}#3", "Release: v1.0.0")
        forge(sealed, "wear@v1.0.5", "v1.0.5")
    declare(sealed, FIRST)
    sealed.train(model="model 4")
    found = sealed.repository.tags(sealed.release().tag)
    assert [*found, *sealed.repository.tags(f"wear#{ENVIRONMENT}#4")][0].at < NOW + timedelta(days=1)


def test_a_forged_release_does_not_become_what_a_tag_without_a_word_means(
    team: Context, sealed: Workshop
) -> None:
    forge(sealed, "wear@v9.9.9", "v9.9.9")
    sealed.repository.tag(f"wear#{ENVIRONMENT}#3", "HEAD", "as it was", NOW, NOW)
    bring(team)


# Releases.


def test_an_unsigned_release_does_not_count(sealed: Workshop) -> None:
    forge(sealed, "wear@v7.0.0", "v7.0.0")
    assert create.latest(sealed.repository, MODEL) == SECOND
    made = create.made_before(sealed.repository, MODEL)
    assert made
    assert made.name == SECOND
    sealed.train(model="model 4")
    assert sealed.release().label == "v1.2.0"


def test_an_unsigned_release_of_the_commit_is_not_handed_on_and_hinders_no_other(sealed: Workshop) -> None:
    sealed.train(model="model 4")
    forge(sealed, "wear@v7.0.0", "v7.0.0")
    assert create.made_before(sealed.repository, MODEL) is None
    assert sealed.release().label == "v1.2.0"


def test_a_version_that_a_forged_tag_has_taken_is_left_out(sealed: Workshop) -> None:
    sealed.train(model="model 4")
    forge(sealed, "wear@v1.2.0", "v1.2.0")
    made = create.release(sealed.repository, sealed.settings, None, NOW)
    assert made.name.label == "v1.2.1"
    assert made.why.endswith(", and v1.2.0 has a tag that does not count")


def test_before_the_first_signature_versions_are_counted_from_what_was_released_unsigned(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.release("v5.3.0")
    private, line = key_of(tmp_path, "ada")
    workshop.write({chain.SIGNERS: line})
    workshop.train(model="model 2")
    monkeypatch.setenv(keys.KEY, private)
    with pytest.raises(InputError, match="wear has no release yet"):
        create.latest(workshop.repository, MODEL)
    assert create.made_before(workshop.repository, MODEL) is None
    assert workshop.release().label == "v5.4.0"


# Who may sign.


@pytest.fixture
def old_checkout(sealed: Workshop, tmp_path: Path) -> Workshop:
    """A clone whose work tree is of before somebody said whose tags count."""
    sealed.git("clone", "--quiet", "--no-checkout", str(sealed.root), str(tmp_path / "clone"))
    clone = Workshop(tmp_path / "clone")
    clone.git("checkout", "--quiet", "--detach", "HEAD~3")
    assert not (clone.root / chain.SIGNERS).exists()
    return clone


def test_a_checkout_that_does_not_say_whose_tags_count_asks_the_origins(old_checkout: Workshop) -> None:
    chain.trusted(old_checkout.repository, SECOND.tag)
    old_checkout.git(
        "-c", "user.name=Eve", "-c", "user.email=e@example.org", "tag", "-a", "-m", "x", "wear@v7.0.0"
    )
    with pytest.raises(Refused, match=r"wear@v7.0.0 .* it is not signed"):
        chain.trusted(old_checkout.repository, "wear@v7.0.0")


@pytest.fixture
def lapsed(sealed: Workshop, other_key: str, tmp_path: Path) -> str:
    """The key of somebody who has left, who signed well until the day that they did."""
    kind, public, _ = (tmp_path / "mallory.pub").read_text().split()
    until = (NOW + timedelta(days=10)).strftime("%Y%m%d")
    file = sealed.root / chain.SIGNERS
    line = f'mallory@example.org valid-before="{until}",namespaces="git" {kind} {public}\n'
    file.write_text(file.read_text() + line)
    return other_key


def signed(workshop: Workshop, key: str, tag: str, revision: str, date: datetime) -> None:
    """What whoever has a key can do with plain git, dated as they like."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(keys.KEY, key)
        patch.setenv("GIT_COMMITTER_DATE", f"@{int(date.timestamp())} +0000")
        with keys.given() as options:
            workshop.git(*options, "tag", "--sign", "--message", "x", tag, revision)


def test_what_somebody_signed_before_they_left_counts(sealed: Workshop, lapsed: str) -> None:
    signed(sealed, lapsed, f"wear#{ENVIRONMENT}#3", f"{FIRST.tag}^{{}}", NOW + timedelta(days=1))
    chain.trusted(sealed.repository, f"wear#{ENVIRONMENT}#3")


def test_what_is_dated_back_before_its_commit_does_not_count(sealed: Workshop, lapsed: str) -> None:
    signed(sealed, lapsed, "wear@v1.2.0", "HEAD", COMMITTED - timedelta(days=1))
    with pytest.raises(Refused, match=r"wear@v1.2.0 .* the link commit -> tag is broken: it is dated 2026-"):
        chain.trusted(sealed.repository, "wear@v1.2.0")


@pytest.mark.parametrize("forged", [3, 4])
def test_what_is_dated_back_before_an_earlier_number_does_not_count(
    sealed: Workshop, lapsed: str, forged: int
) -> None:
    """Nor with another that was dated back between them."""
    for number in range(3, forged + 1):
        signed(
            sealed,
            lapsed,
            f"wear#{ENVIRONMENT}#{number}",
            f"{FIRST.tag}^{{}}",
            COMMITTED + timedelta(hours=number),
        )
    with pytest.raises(
        Refused, match=rf"wear#staging#{forged} .* the link wear#staging#[12] -> tag is broken"
    ):
        chain.trusted(sealed.repository, f"wear#{ENVIRONMENT}#{forged}")


def test_what_we_make_is_never_dated_back(sealed: Workshop, lapsed: str) -> None:  # noqa: ARG001
    past = NOW - timedelta(days=365)
    sealed.train(model="model 4")
    name = create.release(sealed.repository, sealed.settings, None, past).name
    desired.declare(sealed.repository, ENVIRONMENT, name, "deploy", past, sealed=True)
