import io
from collections.abc import Callable
from re import fullmatch

import pytest
from rich.console import Console

from slipway.fleet.progress import Progress

Lines = Callable[[], list[str]]


@pytest.fixture
def shown() -> tuple[Progress, Lines]:
    """Progress on what is no terminal, and the lines that it printed."""
    printed = io.StringIO()
    return Progress(Console(file=printed)), lambda: printed.getvalue().splitlines()


def test_what_begins_is_a_line_when_it_ends(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    progress.begin("provision", "terraform")
    assert lines() == []
    progress.end("no changes")
    (line,) = lines()
    assert fullmatch(r"provision  terraform {26} +\d+\.\d s  no changes", line)


def test_the_steps_of_one_thing_are_one_line(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    for task in ("Fetch the bundle", "Unpack the bundle"):
        progress.begin("rollout", "install", f"install: {task}")
    progress.end()
    assert [line.split()[:2] for line in lines()] == [["rollout", "install"]]


def test_what_begins_ends_what_was_under_way(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    progress.begin("rollout", "install")
    progress.begin("rollout", "activate")
    progress.begin("prove", "activate")
    assert [line.split()[:2] for line in lines()] == [["rollout", "install"], ["rollout", "activate"]]


def test_an_end_without_a_beginning_is_nothing(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    progress.end("failed")
    progress.begin("rollout", "install")
    progress.end("done")
    progress.end("done twice")
    assert len(lines()) == 1


def test_words_in_brackets_are_words(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    with progress.shown() as same:
        same.say("desired", "[bold]", "[/] [red]v1.0.0")
    (line,) = lines()
    assert line.split() == ["desired", "[bold]", "[/]", "[red]v1.0.0"]


def test_a_long_line_is_not_cut(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    progress.say("prove", "acceptance rows, live", "x" * 300)
    (line,) = lines()
    assert line.endswith("x" * 300)


def test_a_terminal_obeys_nothing_that_others_have_written(shown: tuple[Progress, Lines]) -> None:
    progress, lines = shown
    progress.say("desired", "wear\x1b[2J", "by \x9b31mAda\x1b]0;title\x07")
    (line,) = lines()
    assert line.split() == ["desired", "wear[2J", "by", "31mAda]0;title"]
