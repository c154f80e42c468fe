import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.machine import Program

from slipway.fleet import playbook
from slipway.fleet.environment import Environment
from slipway.fleet.playbook import Step, TaskFailed
from slipway.release.keys import KEY

TASKS = "/repo/ansible/roles/model_server/tasks"


def start(name: str, path: str) -> dict[str, Any]:
    """The event of a task that begins, as ansible.posix.jsonl writes it (ansible-core 2.19)."""
    task = {
        "duration": {"start": "2026-11-20T22:27:17.212281Z"},
        "id": "02fc0000-0001",
        "name": name,
        "path": path,
    }
    return {
        "_event": "v2_playbook_on_task_start", "_timestamp": "2026-11-20T22:27:17.212289Z", "hosts": {}, "task": task,
    }  # fmt: skip


def failed(name: str, result: dict[str, Any], how: str = "v2_runner_on_failed") -> dict[str, Any]:
    """The event of a task that failed on one host."""
    return {
        **start(name, f"{TASKS}/install.yml:1"),
        "_event": how,
        "hosts": {"local-1": {"changed": True, **result}},
    }


FAILED = failed(
    "model_server : Fetch the bundle",
    {"failed": True, "msg": "non-zero return code", "rc": 2, "stderr": "no space left\n", "stdout": ""},
)
UNREACHABLE = failed(
    "model_server : Observe the host",
    {
        "changed": False,
        "msg": "Failed to connect to the host via ssh: Connection refused",
        "unreachable": True,
    },
    "v2_runner_on_unreachable",
)
RESCUED = failed("model_server : Say what failed", {"failed": True, "msg": "Fetch the bundle: no space left"})
STATS: dict[str, Any] = {
    "_event": "v2_playbook_on_stats",
    "custom_stats": {},
    "stats": {
        "local-1": {
            "changed": 3,
            "failures": 0,
            "ignored": 0,
            "ok": 4,
            "rescued": 0,
            "skipped": 0,
            "unreachable": 0,
        },
        "local-2": {
            "changed": 4,
            "failures": 0,
            "ignored": 0,
            "ok": 4,
            "rescued": 0,
            "skipped": 0,
            "unreachable": 0,
        },
    },
}
OK = failed("model_server : Fetch the bundle", {"rc": 0}, "v2_runner_on_ok")


def test_the_command_line_names_inventories_variables_and_playbook(
    environment: Environment, tmp_path: Path
) -> None:
    argv = playbook.command(environment, "rollout", tmp_path / "given.json")
    ansible = environment.repository.root / "ansible"
    assert Path(argv[0]).name == "ansible-playbook"
    assert argv[1:] == [
        f"--inventory={ansible}/inventory/local/hosts.yml",
        f"--inventory={tmp_path}/workshop/.slipway/local/inventory.yml",
        f"--extra-vars=@{tmp_path}/given.json",
        f"{ansible}/playbooks/rollout.yml",
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            start("model_server : Fetch the bundle", f"{TASKS}/install.yml:12"),
            Step("install", "Fetch the bundle"),
        ),
        (start("model_server : Start", f"{TASKS}/supervisord/configure.yml:2"), Step("", "Start")),
        (start("Say hello", "/repo/ansible/playbooks/rollout.yml:7"), Step("", "Say hello")),
        (OK, None),
        (FAILED, None),
        (STATS, None),
        ({}, None),
    ],
    ids=["of a phase", "of a folder below", "of a playbook", "ok", "failed", "stats", "none"],
)
def test_a_task_that_begins_is_a_step_of_its_phase(event: dict[str, Any], expected: Step | None) -> None:
    assert playbook.step_of(event) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (FAILED, "local-1: Fetch the bundle: no space left"),
        (RESCUED, "local-1: Fetch the bundle: no space left"),
        (UNREACHABLE, "local-1: Observe the host: Failed to connect to the host via ssh: Connection refused"),
        (failed("Ask", {"msg": "Status code was 503"}), "local-1: Ask: Status code was 503"),
        (failed("Ask", {"stderr": "", "msg": ""}), "local-1: Ask: no reason given"),
    ],
    ids=["by stderr", "by the role", "unreachable", "by message", "without a reason"],
)
def test_a_failure_names_host_task_and_reason(event: dict[str, Any], expected: str) -> None:
    ((host, failure),) = playbook.failures_of(event).items()
    assert isinstance(failure, TaskFailed)
    assert (host, str(failure)) == ("local-1", expected)


@pytest.mark.parametrize("event", [OK, STATS, start("x", "x:1"), {}], ids=["ok", "stats", "start", "none"])
def test_what_did_not_fail_is_no_failure(event: dict[str, Any]) -> None:
    assert playbook.failures_of(event) == {}


def test_changes_are_counted_over_all_hosts() -> None:
    assert [playbook.changes_of(event) for event in (STATS, OK, {})] == [7, 0, 0]


# Run, with a program in the place of ansible-playbook.


def ended(**counts: int) -> dict[str, Any]:
    """The last event of a playbook, with counts of the first host."""
    stats = {**STATS["stats"], "local-1": {**STATS["stats"]["local-1"], **counts}}
    return {**STATS, "stats": stats}


def tells(*events: dict[str, Any], code: int = 0) -> str:
    """Python that writes events as Ansible does, and ends."""
    lines = "".join(json.dumps(event) + "\n" for event in events)
    return f"sys.stdout.write({lines!r}); sys.stdout.flush(); sys.exit({code})"


def run(environment: Environment, lock: int = 0) -> tuple[playbook.Outcome, list[Step]]:
    environment.prepare()
    steps: list[Step] = []
    return playbook.run(environment, "rollout", {}, steps.append, [lock]), steps


def test_a_run_tells_its_steps_and_counts_its_changes(environment: Environment, ansible: Program) -> None:
    ansible.does(tells(start("model_server : Fetch", f"{TASKS}/install.yml:12"), OK, STATS))
    assert run(environment) == (playbook.Outcome(7, OK["hosts"], {}), [Step("install", "Fetch")])


def test_what_is_no_event_is_passed_over(environment: Environment, ansible: Program) -> None:
    ansible.does(f"print('[WARNING]: something'); print('[1, 2]'); print(); {tells(STATS)}")
    assert run(environment) == (playbook.Outcome(7, {}, {}), [])


def test_a_run_that_failed_says_where_the_role_says_why(environment: Environment, ansible: Program) -> None:
    ansible.does(tells(FAILED, RESCUED, ended(failures=1), code=2))
    with pytest.raises(TaskFailed) as caught:
        run(environment)
    assert str(caught.value) == "local-1: Fetch the bundle: no space left"


def test_a_run_that_failed_on_two_hosts_names_both(environment: Environment, ansible: Program) -> None:
    both = {**FAILED, "hosts": {"local-1": {"stderr": "no space left"}, "local-2": {"msg": "no such file"}}}
    ansible.does(tells(both, code=2))
    with pytest.raises(TaskFailed) as caught:
        run(environment)
    assert str(caught.value).splitlines() == [
        "local-1: Fetch the bundle: no space left",
        "  local-2: Fetch the bundle: no such file",
    ]


def test_an_attempt_tells_what_each_host_returned_and_which_is_lost(
    environment: Environment, ansible: Program
) -> None:
    lost = {**UNREACHABLE, "hosts": {"local-2": {"msg": "No route to host"}}}
    ansible.does(tells(OK, lost, code=4))
    environment.prepare()
    outcome = playbook.run(environment, "collect", {}, lambda _: None, [0], may_fail=True)
    assert outcome.results == OK["hosts"]
    assert {name: failure.unreachable for name, failure in outcome.failures.items()} == {"local-2": True}


def test_what_a_host_got_over_is_no_failure_where_another_failed(
    environment: Environment, ansible: Program
) -> None:
    other = {**FAILED, "hosts": {"local-2": {"msg": "no such file"}}}
    stats = ended(failures=0)
    stats["stats"]["local-2"] = {**stats["stats"]["local-1"], "failures": 1}
    ansible.does(tells(FAILED, other, stats, code=2))
    with pytest.raises(TaskFailed) as caught:
        run(environment)
    assert str(caught.value) == "local-2: Fetch the bundle: no such file"


def test_only_the_hosts_that_are_named_take_part(environment: Environment) -> None:
    assert "--limit=a,b" in playbook.command(environment, "rollout", Path("given"), ["a", "b"])
    assert not any(
        part.startswith("--limit") for part in playbook.command(environment, "rollout", Path("given"))
    )


def test_a_failure_that_the_play_got_over_is_none(environment: Environment, ansible: Program) -> None:
    ansible.does(tells(FAILED, STATS))
    assert run(environment) == (playbook.Outcome(7, {}, {}), [])


def test_a_run_that_ends_without_an_event_shows_ansibles_last_words(
    environment: Environment, ansible: Program
) -> None:
    ansible.does("print('[WARNING]: x', file=sys.stderr); sys.exit('ERROR! the playbook could not be found')")
    with pytest.raises(TaskFailed) as caught:
        run(environment)
    assert str(caught.value) == "ansible: ERROR! the playbook could not be found"


def test_a_run_that_ends_without_a_word_shows_its_code(environment: Environment, ansible: Program) -> None:
    ansible.does("sys.exit(4)")
    with pytest.raises(TaskFailed) as caught:
        run(environment)
    assert str(caught.value) == "ansible: exit code 4"


def test_a_playbook_holds_the_lock_as_long_as_it_runs(
    environment: Environment, ansible: Program, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    with (tmp_path / "lock").open("w") as lock:
        ansible.does(f"open({str(seen)!r}, 'w').write(os.readlink('/proc/self/fd/{lock.fileno()}'))")
        run(environment, lock.fileno())
    assert seen.read_text() == str((tmp_path / "lock").resolve())


def test_a_playbook_runs_with_the_repositorys_settings_and_no_other_folder(
    environment: Environment, ansible: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "of nobody else's business")
    seen = tmp_path / "seen"
    ansible.does(f"json.dump(dict(os.environ), open({str(seen)!r}, 'w'))")
    run(environment)
    variables = json.loads(seen.read_text())
    assert variables["ANSIBLE_CONFIG"] == f"{environment.repository.root}/ansible/ansible.cfg"
    assert variables["ANSIBLE_HOME"] == f"{environment.folder}/ansible"
    assert variables["ANSIBLE_STDOUT_CALLBACK"] == "ansible.posix.jsonl"
    assert KEY not in variables


def test_an_interrupt_waits_until_the_playbook_has_ended(
    environment: Environment, ansible: Program, tmp_path: Path
) -> None:
    """Then a host is never left by half."""
    over = tmp_path / "over"
    event = json.dumps(start("model_server : Fetch", f"{TASKS}/install.yml:12"))
    ansible.does(f"print({event!r}, flush=True); time.sleep(0.5); open({str(over)!r}, 'w')")
    environment.prepare()

    def interrupt(_: Step) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        playbook.run(environment, "rollout", {}, interrupt, [0])
    assert over.exists()
    assert time.monotonic() - started < 5
