"""Tests of Ctrl-C do not depend on the shell that starts them."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('not heard')"


def test_what_tests_start_hears_ctrl_c() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "")


def test_a_shell_that_has_it_ignored_does_not_matter() -> None:
    this = f"{__file__}::{test_what_tests_start_hears_ctrl_c.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this]
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
