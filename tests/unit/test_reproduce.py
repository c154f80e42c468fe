from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.machine import lives, until
from tests.unit.workshop import Workshop, hermetic, workshop

from slipway.errors import InputError, Locked, Refused, SlipwayError
from slipway.pipeline.reproduce import Event, event_of, failure, reproduce

__all__ = ["hermetic", "workshop"]

Run = Callable[[], list[Event]]


@pytest.fixture
def run(workshop: Workshop) -> Run:
    """Runs the pipeline of the fixture repository; what it told."""

    def run() -> list[Event]:
        told: list[Event] = []
        with (workshop.root / "lock").open("w") as lock:
            reproduce(workshop.root, told.append, lock.fileno())
        return told

    return run


def stage(workshop: Workshop, program: str) -> None:
    """Put a stage in the place of the first one."""
    workshop.write({"stage.py": program})
    text = (workshop.root / "dvc.yaml").read_text()
    command = "cp source/rows.txt data/acceptance.parquet"
    assert command in text
    workshop.write({"dvc.yaml": text.replace(command, "python stage.py")})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Running stage 'train':\n", Event("train", "running")),
        ("Stage 'train' didn't change, skipping\n", Event("train", "unchanged")),
        ("Stage 'train' is cached - skipping run, checking out outputs\n", Event("train", "cached")),
        ("> python -m slipway.pipeline.train\n", None),
        ("Updating lock file 'dvc.lock'\n", None),
        ("  Running stage 'train':\n", None),
        ("", None),
    ],
)
def test_a_line_of_dvc_is_told_from_a_stages_own(line: str, expected: Event | None) -> None:
    assert event_of(line) == expected


# Recorded from DVC 3.67.1, after the line `Running stage ...`.
GATE = """\
> python -m slipway.pipeline.evaluate
training on 398 rows
the model misses its success criteria; nothing is packaged:
  recall is 0.5000, must be >= 0.9 (evaluate.gates.recall_minimum)
ERROR: failed to reproduce 'evaluate': failed to run: python -m slipway.pipeline.evaluate, exited with 3
"""
CRASH = """\
> python gate.py
Traceback (most recent call last):
  File "/tmp/gate.py", line 1, in <module>
    raise KeyError("mean_radius")
KeyError: 'mean_radius'
ERROR: failed to reproduce 'evaluate': failed to run: python gate.py, exited with 1
"""
SILENT = """\
> exit 3
ERROR: failed to reproduce 'a': failed to run: exit 3, exited with 3
"""
KILLED = """\
> sh -c "kill -9 $$"
ERROR: failed to reproduce 'a': failed to run: sh -c "kill -9 $$", exited with -9
"""
NO_OUTPUT = """\
WARNING: 'absent.txt' is empty.
> python gate.py
WARNING: 'absent.txt' is empty.
ERROR: failed to reproduce 'evaluate': output 'never' does not exist
"""
NO_DEPENDENCY = "ERROR: failed to reproduce 'evaluate': dependency 'absent.txt' does not exist\n"
NO_REPOSITORY = "ERROR: you are not inside of a DVC repository (checked up to mount point '/')\n"
NO_YAML = "'./dvc.yaml' is invalid.\n\nWhile parsing a flow node, in line 2, column 1\n"
LOCKED = (
    "ERROR: Unable to acquire lock. Most likely another DVC process is running or was terminated abruptly. "
    "Check the page <https://dvc.org/doc/user-guide/troubleshooting#lock-issue> for other possible reasons.\n"
)


@pytest.mark.parametrize(
    ("output", "kind", "message"),
    [
        (
            GATE,
            Refused,
            (
                "stage evaluate: training on 398 rows\n"
                "the model misses its success criteria; nothing is packaged:\n"
                "  recall is 0.5000, must be >= 0.9 (evaluate.gates.recall_minimum)"
            ),
        ),
        (
            CRASH,
            InputError,
            (
                "stage evaluate: Traceback (most recent call last):\n"
                '  File "/tmp/gate.py", line 1, in <module>\n'
                '    raise KeyError("mean_radius")\n'
                "KeyError: 'mean_radius'"
            ),
        ),
        (SILENT, Refused, "stage a: failed without a word"),
        (KILLED, InputError, 'stage a: failed to run: sh -c "kill -9 $$", exited with -9'),
        (NO_OUTPUT, InputError, "stage evaluate: output 'never' does not exist"),
        (NO_DEPENDENCY, InputError, "stage evaluate: dependency 'absent.txt' does not exist"),
        (
            NO_REPOSITORY,
            SlipwayError,
            (
                "dvc repro failed: you are not inside of a DVC repository (checked up to mount point '/')\n"
                "  next: dvc repro"
            ),
        ),
        (
            NO_YAML,
            SlipwayError,
            (
                "dvc repro failed: './dvc.yaml' is invalid.\n"
                "While parsing a flow node, in line 2, column 1\n  next: dvc repro"
            ),
        ),
        (LOCKED, Locked, "another DVC command is at it here\n  next: wait, then the same command again"),
    ],
    ids=["gate", "crash", "silent", "killed", "no output", "no dependency", "no dvc", "no yaml", "locked"],
)
def test_a_failure_says_why_in_the_words_of_who_knows(
    output: str, kind: type[SlipwayError], message: str
) -> None:
    error = failure(output.splitlines())
    assert type(error) is kind
    assert str(error) == message


def test_each_stage_is_told_as_it_begins_or_is_passed_over(workshop: Workshop, run: Run) -> None:
    assert run() == [Event(name, "unchanged") for name in ("split", "evaluate", "package", "runtime")]
    workshop.write({"source/model.txt": "model 9\n"})
    assert [event for event in run() if event.state != "unchanged"] == [Event("package", "running")]
    assert (workshop.root / "artifacts/bundle.tar").read_text() == "bundle of model 9\ncontract 1\n"


def test_a_gate_that_refuses_ends_with_its_own_words_and_code(workshop: Workshop, run: Run) -> None:
    stage(workshop, "import sys; print('recall is too low', file=sys.stderr); sys.exit(3)")
    with pytest.raises(Refused) as caught:
        run()
    assert (caught.value.exit_code, str(caught.value)) == (3, "stage split: recall is too low")


def test_a_stage_that_crashes_is_no_refusal(workshop: Workshop, run: Run) -> None:
    stage(workshop, "raise SystemExit('the data is partial')")
    with pytest.raises(InputError) as caught:
        run()
    assert (caught.value.exit_code, str(caught.value)) == (1, "stage split: the data is partial")


def test_what_an_earlier_stage_said_is_not_blamed(workshop: Workshop, run: Run) -> None:
    stage(workshop, "print('all is well'); open('data/acceptance.parquet', 'w').close()")
    workshop.write({"make.py": "raise SystemExit('no space left')"})
    with pytest.raises(InputError) as caught:
        run()
    assert str(caught.value) == "stage package: no space left"


def test_an_interrupt_ends_the_stage_that_is_under_way(workshop: Workshop, tmp_path: Path) -> None:
    stage(workshop, "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)")

    def interrupt(event: Event) -> None:
        if event.state == "running":
            until(lambda: bool(pid_file.is_file() and pid_file.read_text()))
            raise KeyboardInterrupt

    pid_file = workshop.root / "pid"
    with (tmp_path / "lock").open("w") as lock, pytest.raises(KeyboardInterrupt):
        reproduce(workshop.root, interrupt, lock.fileno())
    until(lambda: not lives(int(pid_file.read_text())))


def test_dvc_and_its_stages_hold_the_lock(workshop: Workshop, tmp_path: Path) -> None:
    """So that a pipeline whose command was killed keeps the environment."""
    lock = tmp_path / "lock"
    names = (
        "[os.path.realpath(f'/proc/{os.getppid()}/fd/{fd}') for fd in os.listdir(f'/proc/{os.getppid()}/fd')]"
    )
    stage(workshop, f"import os; open('data/acceptance.parquet', 'w').write('\\n'.join({names}))")
    workshop.write(
        {
            "dvc.yaml": (workshop.root / "dvc.yaml")
            .read_text()
            .replace("python stage.py", "exec python stage.py")
        }
    )
    with lock.open("w") as held:
        reproduce(workshop.root, lambda _: None, held.fileno())
    assert str(lock.resolve()) in (workshop.root / "data/acceptance.parquet").read_text().splitlines()
