"""Runs `dvc repro` and tells what it does, stage by stage."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from slipway.errors import InputError, Locked, Refused, SlipwayError


class Event(NamedTuple):
    """A stage begins (`running`), or did not need to (`unchanged`, `cached`)."""

    stage: str
    state: str


_STATES = (
    (re.compile(r"^Running stage '(.+)':"), "running"),
    (re.compile(r"^Stage '(.+)' didn't change, skipping"), "unchanged"),
    (re.compile(r"^Stage '(.+)' is cached"), "cached"),
)
_FAILED = re.compile(r"^ERROR: failed to reproduce '(.+?)': (?:failed to run: .*, exited with (\d+)|(.*))")
_NOISE = re.compile(r"^(> |Generating lock|Updating lock|ERROR: |To track|To enable|\s*$)")


def reproduce(root: Path, on_event: Callable[[Event], None], lock: int) -> None:
    """Run the pipeline as far as something has changed.

    Args:
        root: Of the repository.
        on_event: Called as each stage begins, or is found to be unchanged.
        lock: Descriptor that DVC holds as long as it runs.

    Raises:
        SlipwayError: A stage failed: with its own message and exit code.
    """
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    lines: list[str] = []
    with subprocess.Popen(
        [str(binaries / "dvc"), "repro"], cwd=root, env=environment, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=[lock],
    ) as process:  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            for line in process.stdout:
                if event := event_of(line):
                    on_event(event)
                    lines.clear()
                else:
                    lines.append(line.rstrip())
        except BaseException:
            # DVC would leave the stage running: end all that it started.
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode:
        raise failure(lines)


def event_of(line: str) -> Event | None:
    """What a line of DVC's output says of a stage."""
    for pattern, state in _STATES:
        if match := pattern.match(line):
            return Event(match[1], state)
    return None


def failure(lines: Sequence[str]) -> SlipwayError:
    """The error behind the last lines of a failed `dvc repro`: why DVC failed the stage, or what the stage said."""
    failed = next((match for match in map(_FAILED.match, lines) if match), None)
    said = "\n".join(line for line in lines if not _NOISE.match(line))
    if failed is None and any("Unable to acquire lock" in line for line in lines):
        return Locked("another DVC command is at it here", next_command="wait, then the same command again")
    if failed is None:
        reasons = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        return SlipwayError(f"dvc repro failed: {reasons[0] if reasons else said}", next_command="dvc repro")
    message = f"stage {failed[1]}: {failed[3] or said or 'failed without a word'}"
    kind = Refused if failed[2] == str(Refused.exit_code) else InputError
    return kind(message)
