"""Expressions mean here what they mean to GitHub."""

from __future__ import annotations

from typing import Any

import pytest
from tests.workflows.expressions import Scope, evaluate, fill, holds
from tests.workflows.values import Exact, ExpressionError

CONTEXTS = {
    "github": {"ref": "refs/heads/main", "event": {"pull_request": None, "number": 7, "draft": False}},
    "needs": {"check": {"result": "success", "outputs": {"tag": "v1"}}, "test": {"result": "failure", "outputs": {}}},
    "matrix": {"os": ["Linux", "macOS"], "version": 3.11},
    "env": Exact({"Name": "Ada"}),
    "list": [{"a": 1}, {"b": 2}, {"a": [3, 4]}],
}  # fmt: skip


def scope(**status: bool) -> Scope:
    functions = {name: (lambda value=value: value) for name, value in status.items()}
    return Scope(CONTEXTS, functions)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        # Literals
        ("null", None), ("true", True), ("-9.2", -9.2), ("0xff", 255), ("-2.99e-2", -0.0299),
        ("'It''s open source!'", "It's open source!"), ("'}}'", "}}"),
        # Comparison: strings without case, different kinds as numbers
        ("'Main' == 'main'", True), ("'1' == 1", True), ("'' == 0", True), ("null == 0", True), ("null == ''", True),
        ("true == 1", True), ("'true' == true", False), ("'abc' == 0", False), ("'abc' != 0", True), ("null < 1", True),
        ("'b' > 'A'", True), ("2 >= '2'", True), ("list == list", True), ("matrix.os == list", False), ("list == 0", False),
        # `&&` and `||` give a value, and the one that is not needed is not worked out
        ("'' || 'other'", "other"), ("0 && fromJSON('{')", 0), ("1 || fromJSON('{')", 1), ("'a' && 'b' || 'c'", "b"),
        ("!''", True), ("!list", False), ("!!'0'", True), ("true || false && false", True), ("(true || false) && false", False),
        ("1 == 1 == true", True),
        # Access: no case, null for what is not there
        ("GitHub.REF", "refs/heads/main"), ("github['ref']", "refs/heads/main"), ("github.nothing.at.all", None),
        ("github.event.pull_request.number || github.event.number", 7), ("matrix.os[1]", "macOS"), ("matrix.os[2]", None),
        ("matrix.os['1']", "macOS"), ("env.Name", "Ada"), ("env.name", None), ("github.ref.x", None),
        # Filters
        ("join(needs.*.result, ' ')", "success failure"), ("join(list.*.a)", "1,Array"), ("needs.*.outputs.tag", ["v1"]),
        ("list[*].a", [1, [3, 4]]), ("list.*.a[0]", [3]), ("github.ref.*", []),
        # Functions
        ("contains('Hello', 'ELL')", True), ("contains(matrix.os, 'linux')", True), ("contains(needs.*.result, 'skipped')", False),
        ("startsWith(github.ref, 'REFS/tags/')", False), ("endsWith(github.ref, '/main')", True), ("startsWith(list, 'A')", False),
        ("format('{0} {{0}} {1}', 'a', 3.0)", "a {0} 3"), ("fromJSON('{\"a\": [1]}').a[0]", 1),
        ("fromJSON(toJSON(matrix)).version", 3.11), ("toJSON('a')", '"a"'), ("join('alone')", "alone"),
    ],
)  # fmt: skip
def test_an_expression_has_the_value_that_github_gives_it(source: str, value: Any) -> None:
    found = evaluate(source, scope())

    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    "source",
    [
        '"double quotes"', "1 +", "1 + 1", "github.", "github..ref", "(1", "1)", "", "'open", "nowhere.ref", "0 && nowhere.ref", "1 || upper()", "upper('a')",
        "contains('a')", "format('{1}', 'a')", "format('{', 'a')", "fromJSON('nonsense')", "a b", "github.ref = 'a'", "success()",
        "hashFiles('uv.lock')", "contains('a' 'b')",
    ],
)  # fmt: skip
def test_what_github_refuses_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(source, scope())


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("${{ github.event.draft }}", False),
        ("draft: ${{ github.event.draft }}, ${{ 3.0 }}, ${{ null }}", "draft: false, 3, "),
        ("${{ 'a }} b' }}${{ 1 }}", "a }} b1"),
        ({"a": ["${{ matrix.os }}", 1, True]}, {"a": [["Linux", "macOS"], 1, True]}),
        ("no expression { { }}", "no expression { { }}"),
    ],
)
def test_expressions_are_filled_in_wherever_they_stand(value: Any, filled: Any) -> None:
    assert fill(value, scope()) == filled


def test_an_expression_that_does_not_end_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="does not end"):
        fill("${{ github.ref }} and ${{ github", scope())


@pytest.mark.parametrize(
    ("condition", "when_well", "when_not"),
    [
        (None, True, False),
        (False, False, False),
        ("github.ref == 'refs/heads/main'", True, False),
        ("${{ github.ref == 'refs/heads/main' }}", True, False),
        ("github.ref == 'refs/heads/other'", False, False),
        ("always()", True, True),
        ("Always() && github.event.draft", False, False),
        ("failure()", False, True),
        ("${{ !cancelled() }}", True, True),
        ("success() || failure()", True, True),
        ("'always()'", True, False),
    ],
)
def test_a_condition_without_a_status_asks_for_success(
    condition: Any, *, when_well: bool, when_not: bool
) -> None:
    well = scope(success=True, failure=False, always=True, cancelled=False)
    ill = scope(success=False, failure=True, always=True, cancelled=False)

    assert holds(condition, well) is when_well
    assert holds(condition, ill) is when_not


def test_a_condition_that_is_a_string_is_refused_since_it_would_always_hold() -> None:
    with pytest.raises(ExpressionError, match="always true"):
        holds("${{ github.ref }} == 'refs/heads/other'", scope(success=True))
