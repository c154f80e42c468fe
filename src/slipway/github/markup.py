"""Makes a stranger's Markdown fit to be said in the bot's name: tables and text stay, and nothing in them acts."""

import re

LIMIT = 65_536
"""The longest body of a comment, an issue or a release, in characters."""

_BREAK = "\u200b"
"""A space of no width. Where it stands in a mark of Markdown, the mark is text, within code and without."""

_ACTING = re.compile(
    r"""
    (?<=<)(?=[A-Za-z/!?])         # HTML, its comments, links in angle brackets
    | (?<=@)(?=[A-Za-z0-9])       # mentions and mail addresses
    | (?<=&)(?=[#A-Za-z])         # character references, which could spell all the others
    | (?<=\])(?=[(:\[])           # the targets of links and pictures, and footnotes
    | (?<=\[)(?=[!^])             # alerts and footnotes
    | (?<=[A-Za-z]:)(?=//)        # addresses
    | (?<=www)(?=\.)
    | (?<=\#)(?=[0-9])            # issues of this repository and of others
    | (?<=\bGH-)(?=[0-9])
    | (?<=```)(?=[^`\n])          # what is drawn from code: diagrams, maps, formulas
    | (?<=~~~)(?=[^~\n])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What is not seen, or turns the direction of what is."""


def harmless(words: str) -> str:
    """The same to read, but nobody is called by it, nothing is fetched, linked or hidden, and no marker is in it."""
    seen = _INVISIBLE.sub("", words)
    return _ACTING.sub(_BREAK, seen)


def fitted(above: str, words: str, cut: str, below: str = "") -> str:
    """`words` between what stands `above` and `below`; where all is too long, their first lines only, and `cut` says so."""
    if len(whole := above + words + below) <= LIMIT:
        return whole
    kept = words[: LIMIT - len(above) - len(cut) - len(below)]
    return above + cut + (kept[: kept.rfind("\n") + 1] or kept) + below
