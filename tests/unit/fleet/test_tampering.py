"""Whoever may push, but not sign, changes nothing that is rolled out; and whoever may sign cannot contradict the lock."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.fleet.seals import ENVIRONMENT, bring, declare, forge, other_key, sealed, team
from tests.unit.machine import Host
from tests.unit.workshop import NOW, Workshop

from slipway.errors import Refused, SlipwayError
from slipway.fleet import host as hosts
from slipway.fleet.context import Context
from slipway.fleet.wanted import released
from slipway.release import chain, desired, keys, pins
from slipway.release.names import ReleaseName

__all__ = ["other_key", "sealed", "team"]


def spoil(workshop: Workshop, md5: str, content: bytes | None = None) -> None:
    """Other bytes in DVC's cache and in its remote; without any, a flipped bit."""
    for file in (workshop.object(md5), workshop.store / "files" / "md5" / md5[:2] / md5[2:]):
        found = file.read_bytes()
        file.chmod(0o644)
        file.write_bytes(content or bytes([found[0] ^ 1]) + found[1:])


def rewrite(workshop: Workshop, tag: str, old: str, new: str) -> None:
    """Change the words of a tag, and keep its signature."""
    text = workshop.run("git", "cat-file", "tag", tag)
    assert old in text
    file = workshop.root / ".git" / "forged"
    file.write_text(text.replace(old, new))
    sha = workshop.git("hash-object", "-t", "tag", "-w", str(file))
    workshop.git("update-ref", f"refs/tags/{tag}", sha)


def replace(workshop: Workshop, path: str, old: str, new: str) -> None:
    """Edit a file by hand, commit it, and release that with a good signature, as somebody may who signs without looking."""
    file = workshop.root / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    workshop.commit()
    workshop.repository.tag("wear@v1.9.0", "HEAD", "v1.9.0", NOW, None)
    declare(workshop, ReleaseName.parse("v1.9.0", "wear"))


def flips_a_bit_of_the_bundle(workshop: Workshop, _: str) -> None:
    spoil(workshop, workshop.pins.bundle.md5)


def flips_a_bit_of_the_runtime(workshop: Workshop, _: str) -> None:
    spoil(workshop, workshop.pins.runtime.md5)


def puts_the_bundle_of_the_release_before(workshop: Workshop, _: str) -> None:
    spoil(workshop, workshop.pins.bundle.md5, b"bundle of model 2\ncontract 1\n")


def moves_a_release(workshop: Workshop, _: str) -> None:
    forge(workshop, "wear@v1.1.0", "v1.1.0", "HEAD~1")


def moves_a_release_and_what_pins_it(workshop: Workshop, _: str) -> None:
    forge(workshop, "wear@v1.1.0", "v1.1.0", "HEAD~1")
    forge(workshop, f"wear#{ENVIRONMENT}#2", "Action: deploy\nRelease: v1.1.0", "HEAD~1")


def makes_the_release_again(workshop: Workshop, _: str) -> None:
    forge(workshop, "wear@v1.1.0", "v1.1.0")


def signs_the_release_with_another_key(workshop: Workshop, other: str) -> None:
    workshop.git("tag", "--delete", "wear@v1.1.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(keys.KEY, other)
        workshop.repository.tag("wear@v1.1.0", "HEAD", "v1.1.0", NOW, None)


def declares_without_a_signature(workshop: Workshop, _: str) -> None:
    forge(workshop, f"wear#{ENVIRONMENT}#3", "Action: rollback\nRelease: v1.0.0", "HEAD~1")


def declares_with_another_key(workshop: Workshop, other: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(keys.KEY, other)
        message = "Roll back\n\nAction: rollback\nRelease: v1.0.0"
        workshop.repository.tag(f"wear#{ENVIRONMENT}#3", "HEAD~1", message, NOW, None)


def replays_an_old_desired_state_under_a_new_number(workshop: Workshop, _: str) -> None:
    workshop.git("update-ref", f"refs/tags/wear#{ENVIRONMENT}#3", f"refs/tags/wear#{ENVIRONMENT}#1")


def edits_a_signed_desired_state(workshop: Workshop, _: str) -> None:
    rewrite(workshop, f"wear#{ENVIRONMENT}#2", "Action: deploy", "Action: rollback")


def edits_a_signed_release(workshop: Workshop, _: str) -> None:
    rewrite(workshop, "wear@v1.1.0", "recall 0.950", "recall 0.999")


def says_another_bundle_than_the_commit(workshop: Workshop, _: str) -> None:
    workshop.git("tag", "--delete", "wear@v1.1.0")
    workshop.repository.tag("wear@v1.1.0", "HEAD", f"v1.1.0\n\nbundle sha256 {'0' * 64}", NOW, None)


def swaps_the_manifest(workshop: Workshop, _: str) -> None:
    before = json.loads(workshop.git("show", "HEAD~1:manifest.json"))["bundle"]["sha256"]
    replace(workshop, "manifest.json", str(workshop.pins.bundle.sha256), before)


def edits_a_metric(workshop: Workshop, _: str) -> None:
    replace(workshop, "reports/metrics.json", '"recall": 0.95', '"recall": 0.99')


def points_the_lock_to_another_object(workshop: Workshop, _: str) -> None:
    before = pins.at(workshop.repository, "HEAD~1", "wear").bundle.md5
    replace(workshop, "dvc.lock", workshop.pins.bundle.md5, before)


def turns_line_ends(workshop: Workshop, _: str) -> None:
    replace(workshop, "reports/metrics.json", "{\n", "{\r\n")


def points_metrics_to_a_file_of_its_own(workshop: Workshop, _: str) -> None:
    text = (workshop.root / "reports/metrics.json").read_text()
    workshop.write({"docs/metrics.json": text.replace("0.95", "0.99")})
    replace(workshop, "dvc.yaml", "metrics: {path: reports/", "metrics: {path: docs/")


def declares_by_a_lightweight_tag(workshop: Workshop, _: str) -> None:
    workshop.git("tag", f"wear#{ENVIRONMENT}#3", "HEAD~1")


def declares_what_is_no_release(workshop: Workshop, _: str) -> None:
    forge(workshop, f"wear#{ENVIRONMENT}#3", "Action: deploy\nRelease: v9.9.9")


def lets_a_key_lapse(workshop: Workshop, _: str) -> None:
    file = workshop.root / chain.SIGNERS
    day = (NOW - timedelta(days=30)).strftime("%Y%m%d")
    file.write_text(file.read_text().replace("namespaces", f'valid-before="{day}",namespaces'))


def takes_a_signer_off_the_list(workshop: Workshop, _: str) -> None:
    (workshop.root / chain.SIGNERS).write_text("")


OTHER_KEY = r"of another key, SHA256:\S+; .github/allowed_signers says whose counts"
TAMPERINGS: dict[Callable[[Workshop, str], None], str] = {
    flips_a_bit_of_the_bundle: r"artifacts/bundle.tar .* is corrupt",
    flips_a_bit_of_the_runtime: r"artifacts/runtime.tar .* is corrupt",
    puts_the_bundle_of_the_release_before: r"artifacts/bundle.tar .* is corrupt",
    moves_a_release: r"pins v1.1.0 to \w+, but wear@v1.1.0 is at",
    moves_a_release_and_what_pins_it: r"wear#staging#2 .* the link signer -> tag is broken: it is not signed",
    makes_the_release_again: r"wear@v1.1.0 .* the link signer -> tag is broken: it is not signed",
    signs_the_release_with_another_key: rf"wear@v1.1.0 .* {OTHER_KEY}",
    declares_without_a_signature: r"wear#staging#3 .* the link signer -> tag is broken: it is not signed",
    declares_with_another_key: rf"wear#staging#3 .* {OTHER_KEY}",
    replays_an_old_desired_state_under_a_new_number: r"the link name -> tag is broken: it is a copy of wear#staging#1",
    edits_a_signed_desired_state: r"wear#staging#2 .* signature does not hold",
    edits_a_signed_release: r"wear@v1.1.0 .* signature does not hold",
    says_another_bundle_than_the_commit: r"the link tag -> bundle is broken: it says sha256 0000",
    swaps_the_manifest: r"the link lock -> manifest.json is broken",
    edits_a_metric: r"the link lock -> reports/metrics.json is broken",
    points_the_lock_to_another_object: r"artifacts/bundle.tar .* is corrupt",
    turns_line_ends: r"the link lock -> reports/metrics.json is broken",
    points_metrics_to_a_file_of_its_own: r"lock -> docs/metrics.json is broken: dvc.lock does not pin it",
    declares_by_a_lightweight_tag: r"wear#staging#3 is a lightweight tag, or one that cannot be read",
    declares_what_is_no_release: r"wear#staging#3 .* the link signer -> tag is broken: it is not signed",
    lets_a_key_lapse: r"signer -> tag is broken: its key, SHA256:\S+, is listed, but had lapsed",
    takes_a_signer_off_the_list: rf"wear#staging#2 .* {OTHER_KEY}",
}


def test_what_nobody_has_tampered_with_is_brought(team: Context) -> None:
    bring(team)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampering_is_refused(
    team: Context, sealed: Workshop, other_key: str, tamper: Callable[[Workshop, str], None]
) -> None:
    tamper(sealed, other_key)
    before = sealed.git("for-each-ref")
    with pytest.raises(Refused, match=TAMPERINGS[tamper]) as caught:
        bring(team)
    assert caught.value.exit_code == 3
    assert "next: " in str(caught.value)
    assert sealed.git("for-each-ref") == before


def test_a_copy_of_a_signed_release_under_another_version_is_refused(team: Context, sealed: Workshop) -> None:
    sealed.git("update-ref", "refs/tags/wear@v1.2.0", "refs/tags/wear@v1.0.0")
    with pytest.raises(Refused, match=r"wear@v1.2.0 .* it is a copy of wear@v1.0.0"):
        released(team, "v1.2.0")


def test_a_desired_state_that_was_removed_is_missed_by_the_hosts(
    team: Context, sealed: Workshop, host: Host
) -> None:
    host.log(("deploy", host.record("v1.0.0")))
    log = host.home / "releases.jsonl"
    log.write_text(json.dumps({**json.loads(log.read_text()), "desired": 2}) + "\n")
    reports = {"model-1": hosts.report(host.home)}
    bring(team, reports)
    sealed.git("tag", "--delete", f"wear#{ENVIRONMENT}#2")
    with pytest.raises(
        Refused, match=r"is wear#staging#1, but the hosts have been brought to wear#staging#2"
    ):
        bring(team, reports)


@pytest.mark.parametrize("key", ["", "other"], ids=["nobody", "somebody else"])
def test_what_nobody_who_counts_signs_is_not_made(
    sealed: Workshop, other_key: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    sealed.train(model="model 4")
    monkeypatch.setenv(keys.KEY, other_key if key else "")
    before = sealed.git("for-each-ref")
    with pytest.raises(Refused, match=r"wear@v1.2.0 was not made: .* the link signer -> tag is broken"):
        sealed.release()
    with pytest.raises(Refused, match=r"wear#staging#3 was not made: .* the link signer -> tag is broken"):
        declare(sealed, ReleaseName.parse("v1.0.0", "wear"))
    assert sealed.git("for-each-ref") == before


def test_git_signs_by_itself_where_it_is_set_up_to(
    sealed: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(keys.KEY)
    sealed.git("config", "gpg.format", "ssh")
    sealed.git("config", "user.signingKey", str(tmp_path / "ada"))
    declare(sealed, ReleaseName.parse("v1.0.0", "wear"))
    chain.trusted(sealed.repository, f"wear#{ENVIRONMENT}#3")


def test_a_key_that_is_none_is_said_and_not_shown(sealed: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.KEY, "-----BEGIN planted-and-secret")
    with pytest.raises(SlipwayError) as caught:
        declare(sealed, ReleaseName.parse("v1.0.0", "wear"))
    assert "planted" not in str(caught.value)


def test_where_nobody_is_named_nothing_need_be_signed(
    sealed: Workshop, team: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sealed.root / chain.SIGNERS).unlink()
    monkeypatch.delenv(keys.KEY)
    declare(sealed, ReleaseName.parse("v1.0.0", "wear"))
    assert "SIGNATURE" not in sealed.git("cat-file", "tag", f"wear#{ENVIRONMENT}#3")
    bring(team)


def test_on_this_machine_nobody_is_asked_for_a_signature(
    sealed: Workshop, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(keys.KEY)
    desired.declare(sealed.repository, "local", ReleaseName.parse("v1.0.0", "wear"), "deploy", NOW)
    bring(context)


def test_a_forged_desired_state_is_overtaken_by_the_next_that_counts(team: Context, sealed: Workshop) -> None:
    declares_without_a_signature(sealed, "")
    declare(sealed, ReleaseName.parse("v1.0.0", "wear"))
    chain.trusted(sealed.repository, f"wear#{ENVIRONMENT}#4")
    bring(team)
