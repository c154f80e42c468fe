"""What a stranger writes is read, and does nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markdown_it import MarkdownIt

from slipway.github.markup import _BREAK, harmless
from slipway.report.markdown import plain, table

ACTS = {"html_block", "html_inline", "link_open", "image"}
MENTION = re.compile(r"@[A-Za-z0-9]|#[0-9]|\bGH-[0-9]|https?://|www\.", re.IGNORECASE)
PIECES = [
    *"<>@&#![]():*`~$\\|\n 1a",
    "@octo/team", "<img src=x>", "<!--", "-->", "![a](https://e.test/i)", "[a]: //e.test\n\n", "![a]", "[a]: /x\n\n[a]", "[a]", "[^1]:",
    "https://e.test", "www.e.test", "&#64;", "&commat;octo", "&lt;b&gt;", "```mermaid\n", "~~~ geojson\n", "o/r#1", "GH-1",
    "<https://e.test>", "\u200b", "\u202e", "\\", "> [!WARNING]\n> ", "$x$", "\n\n", "    ", "<details>", "a@e.test",
]  # fmt: skip


def seen(markdown: str) -> tuple[set[str], str, set[str]]:
    """The kinds of tokens of a Markdown text, its words, and what is drawn of its code."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    kinds, words, drawn = set(), [], set()
    for block in parser.parse(markdown):
        for token in [block, *(block.children or [])]:
            kinds.add(token.type)
            words.append(
                token.content if token.type in {"text", "code_inline", "fence", "code_block"} else ""
            )
            drawn |= set(token.info.split()[:1]) if token.type == "fence" else set()
    return kinds, "\n".join(words), drawn


def assert_does_nothing(words: str) -> None:
    kinds, text, drawn = seen(harmless(words))
    assert kinds & ACTS == set()
    assert MENTION.findall(text) == []
    assert {each for each in drawn if not each.startswith(_BREAK)} == set()


@given(some.lists(some.sampled_from(PIECES), max_size=12).map("".join))
def test_nothing_acts_however_it_is_put_together(words: str) -> None:
    assert_does_nothing(words)


@pytest.mark.parametrize("words", PIECES)
def test_each_of_them_does_nothing_by_itself(words: str) -> None:
    assert_does_nothing(words)


def test_the_reader_of_these_tests_sees_what_acts() -> None:
    kinds, text, drawn = seen("<b>x</b> ![a](x) [b](y) &#64;octo\n\n<!-- x -->\n\n```mermaid\nx\n```\n")
    assert kinds >= ACTS
    assert MENTION.search(text)
    assert drawn == {"mermaid"}


def test_a_report_reads_as_it_did() -> None:
    cells = ("C: 1.0 -> 0.3", "a|b", "<b> & [x](y) *z* ~w~ !", "0.9502 (+0.0010)")
    report = f"## ✅ Fine: {plain('Less & <more>')}\n\n{table(('one', 'two', 'three', 'four'), [cells])}\n"

    before, after = seen(report), seen(harmless(report))

    assert after[0] == before[0] >= {"table_open", "td_open", "heading_open"}
    assert after[1].replace(_BREAK, "") == before[1]
    assert all(cell in before[1] for cell in cells)


def test_the_direction_of_words_is_not_turned() -> None:
    assert harmless("fine\u202e\u2066\x1b[31m\u200f") == "fine[31m"
