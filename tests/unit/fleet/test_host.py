import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.machine import Host, Server

from slipway.fleet import host as this_host
from slipway.fleet.host import Entry
from slipway.serving.release import ReleaseRecord


def record(label: str) -> ReleaseRecord:
    return ReleaseRecord(model="wear", release=label, commit="c", bundle=f"bundle of {label}", runtime="r")


def entries(*told: str) -> list[Entry]:
    """A log, told as `deploy A`."""
    return [Entry("", action, "", record(label)) for action, label in (entry.split() for entry in told)]


def before(*told: str) -> str | None:
    found = this_host.before(entries(*told))
    return found.release if found else None


# Where a roll-back leads.


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ([], None),
        (["deploy A"], None),
        (["deploy A", "deploy B"], "A"),
        (["deploy A", "deploy B", "deploy C"], "B"),
        (["deploy A", "deploy B", "deploy C", "rollback B"], "A"),
        (["deploy A", "deploy B", "deploy C", "rollback B", "rollback A"], None),
        (["deploy A", "deploy B", "deploy C", "rollback A"], None),
        (["deploy A", "deploy B", "rollback A", "deploy C"], "A"),
        (["deploy A", "deploy B", "rollback A", "deploy B"], "A"),
        (["deploy A", "deploy A"], None),
        (["deploy A", "deploy B", "deploy B"], "A"),
        (["deploy A", "deploy B", "abort A"], None),
        (["deploy A", "deploy B", "deploy C", "abort B"], "A"),
        (["deploy A", "deploy B", "abort A", "deploy B"], "A"),
        (["deploy A", "deploy B", "deploy A"], "B"),
        (["deploy A", "deploy B", "deploy A", "rollback B"], "A"),
        (["deploy A", "deploy B", "deploy A", "deploy C", "rollback A"], "B"),
        (["deploy A", "deploy B", "rollback Z"], "B"),
        (["rollback A"], None),
    ],
    ids=lambda value: ", ".join(value) or "nothing" if isinstance(value, list) else str(value),
)
def test_a_rollback_leads_to_what_was_live_before(log: list[str], expected: str | None) -> None:
    assert before(*log) == expected


labels = st.sampled_from("ABCD")


@given(st.lists(labels, min_size=1, max_size=12))
def test_going_back_again_and_again_goes_through_all_that_was_deployed(deployed: list[str]) -> None:
    log = [f"deploy {label}" for label in deployed]
    changes = [label for number, label in enumerate(deployed) if deployed[number - 1 : number] != [label]]
    for expected in reversed(changes[:-1]):
        assert before(*log) == expected
        log.append(f"rollback {expected}")
    assert before(*log) is None


@given(st.lists(st.tuples(st.sampled_from(["deploy", "rollback", "abort"]), labels), min_size=1))
def test_a_rollback_never_leads_to_what_is_live(log: list[tuple[str, str]]) -> None:
    assert before(*(f"{action} {label}" for action, label in log)) != log[-1][1]


@given(st.lists(st.tuples(st.sampled_from(["deploy", "rollback", "abort"]), labels), min_size=1), labels)
def test_after_a_deploy_a_rollback_leads_to_what_was_live(log: list[tuple[str, str]], new: str) -> None:
    told = [f"{action} {label}" for action, label in log]
    live = log[-1][1]
    assert before(*told, f"deploy {new}") == (live if new != live else before(*told))


@given(st.lists(st.tuples(st.sampled_from(["deploy", "rollback"]), labels), min_size=1), labels)
def test_an_aborted_deploy_leaves_no_trace(log: list[tuple[str, str]], new: str) -> None:
    told = [f"{action} {label}" for action, label in log]
    live = log[-1][1]
    assert before(*told, f"deploy {new}", f"abort {live}") == before(*told)


def test_other_bytes_under_the_same_name_are_another_release() -> None:
    first = Entry("", "deploy", "", record("v1.0.0"))
    other = first._replace(record=record("v1.0.0").model_copy(update={"runtime": "other"}))
    assert this_host.before([first, other]) == first.record


# What the folder tells.


def test_the_log_is_read_in_its_order(host: Host) -> None:
    host.log(("deploy", record("v1.0.0")), ("rollback", record("v0.9.0")))
    assert this_host.log(host.home) == [
        Entry("2026-06-01T12:00:00Z", "deploy", "ada", record("v1.0.0")),
        Entry("2026-06-01T12:00:00Z", "rollback", "ada", record("v0.9.0")),
    ]


def test_before_the_first_rollout_the_log_is_empty(tmp_path: Path) -> None:
    assert this_host.log(tmp_path / "absent") == []


@pytest.mark.parametrize("torn", ['{"at": "2026', "null", "[]", "7", '{"at": "", "action": "deploy"}', ""])
def test_a_line_that_is_no_entry_does_not_count(host: Host, torn: str) -> None:
    host.log(("deploy", record("v1.0.0")))
    with (host.home / "releases.jsonl").open("a") as log:
        log.write(f"{torn}\n")
    host.log(("deploy", record("v1.1.0")))
    assert [entry.record.release for entry in this_host.log(host.home)] == ["v1.0.0", "v1.1.0"]


def test_a_last_line_that_was_cut_short_does_not_count(host: Host) -> None:
    host.log(("deploy", record("v1.0.0")), ("deploy", record("v1.1.0")))
    text = (host.home / "releases.jsonl").read_text()
    (host.home / "releases.jsonl").write_text(text[:-20])
    assert [entry.record.release for entry in this_host.log(host.home)] == ["v1.0.0"]


def test_what_is_installed_whole_is_listed_by_label(host: Host) -> None:
    first, second = host.record("v1.0.0"), host.record("v1.1.0")
    host.install(second)
    host.install(first)
    assert this_host.installed(host.home) == {"v1.0.0": first, "v1.1.0": second}


def test_before_the_first_rollout_nothing_is_installed(tmp_path: Path) -> None:
    assert this_host.installed(tmp_path / "absent") == {}


def test_what_is_installed_by_half_is_not_listed(host: Host) -> None:
    folder = host.install(host.record("v1.0.0"))
    folder.rename(folder.with_name("v1.0.0.partial"))
    assert this_host.installed(host.home) == {}


@pytest.mark.parametrize("spoilt", ["release.json", "bundle/model.onnx", "bundle/manifest.json"])
def test_what_is_damaged_is_not_listed(host: Host, spoilt: str) -> None:
    folder = host.install(host.record("v1.0.0"))
    (folder / spoilt).write_text("{")
    assert this_host.installed(host.home) == {}


def test_what_is_live_is_told_by_the_links(host: Host) -> None:
    host.make_live(host.record("v1.0.0"), "blue")
    host.make_live(host.record("v1.1.0"), "green")
    assert this_host.live(host.home) == ("green", host.record("v1.1.0"))


def test_before_the_first_rollout_nothing_is_live(tmp_path: Path) -> None:
    assert this_host.live(tmp_path / "absent") is None


def test_a_link_to_nothing_is_nothing_live(host: Host) -> None:
    host.make_live(host.record("v1.0.0"))
    (host.home / "slots" / "blue").unlink()
    assert this_host.live(host.home) is None


def test_only_a_candidates_label_is_a_candidates() -> None:
    labels = ["v1.0.0", "v1.0.0-candidate+c0ffee00.b29ebcfe.59d5cdb1"]
    assert [this_host.is_candidate(label) for label in labels] == [False, True]


# What the front door tells.


def test_what_the_front_door_answers_is_told(server: Server) -> None:
    server.answers({"/metadata": {"release": "v1.0.0"}})
    assert this_host.asked(server.url, "/metadata") == {"release": "v1.0.0"}


def test_a_proxy_is_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answers({"/metadata": {"release": "v1.0.0"}})
    assert this_host.asked(server.url, "/metadata") == {"release": "v1.0.0"}


@pytest.mark.parametrize("answer", [(500, b"{}"), (404, b"{}"), (200, b"<html>"), (200, b"[]")], ids=str)
def test_what_is_no_answer_is_none(server: Server, answer: tuple[int, bytes]) -> None:
    server.respond = lambda _path, _body: answer
    assert this_host.asked(server.url, "/metadata") is None


def test_where_nobody_listens_there_is_no_answer() -> None:
    assert this_host.asked("http://127.0.0.1:9", "/metadata") is None


def test_the_log_is_json_lines_as_the_role_writes_them(host: Host) -> None:
    host.log(("deploy", record("v1.0.0")))
    (line,) = (host.home / "releases.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"at", "action", "by", *ReleaseRecord.model_fields}
