"""GitHub's expressions, `${{ ... }}`: what stands in a workflow, worked out as its runner does.

The semantics are those of GitHub's documentation ("Evaluate expressions in workflows and actions") and, where it is silent, of the
runner's source. What is not in the subset is an `ExpressionError`, not a guess. Values are those of JSON: None, bool, int
and float, str, list, dict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.workflows.values import (
    FUNCTIONS,
    ExpressionError,
    Function,
    equal,
    every,
    index,
    less,
    number,
    text,
    truth,
)

STATUS = frozenset({"success", "failure", "always", "cancelled"})
"""A condition that names none of these is `success() && (condition)`."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>-?(?:0x[0-9a-fA-F]+|0o[0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))(?![\w.])
  | (?P<string>'(?:[^']|'')*')
  | (?P<name>[A-Za-z_][\w-]*)
  | (?P<sign>&&|\|\||==|!=|<=|>=|[<>!().,*]|\[|\])
)""",
    re.VERBOSE,
)
_TEMPLATE = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")


@dataclass(frozen=True)
class Scope:
    """What an expression may name at the place where it stands: contexts by name, and functions beside the usual ones."""

    contexts: Mapping[str, Any]
    functions: Mapping[str, Function] = field(default_factory=dict)

    def context(self, name: str) -> Any:
        for key, value in self.contexts.items():
            if key.lower() == name.lower():
                return value
        raise ExpressionError(f"{name} is not a context that can be named here: {', '.join(self.contexts)}")

    def function(self, name: str) -> Function:
        for key, value in {**FUNCTIONS, **self.functions}.items():
            if key.lower() == name.lower():
                return value
        raise ExpressionError(f"{name}() is not a function that can be called here")


Node = Callable[[Scope], Any]


class _Parser:
    """A recursive descent, from `||` down to a literal."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = [*_tokens(source), ("end", "")]
        self.at = 0
        self.calls: set[str] = set()
        self.names: set[str] = set()

    def whole(self, scope: Scope) -> Node:
        """All of it; every context and function that it names must be there, whether or not it comes to them."""
        node = self.either()
        self.expect("")
        for name in self.names:
            scope.context(name)
        for name in self.calls:
            scope.function(name)
        return node

    def peek(self, *signs: str) -> bool:
        kind, word = self.tokens[self.at]
        return kind in {"sign", "end"} and word in signs

    def take(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, sign: str) -> None:
        if not self.peek(sign):
            found = self.tokens[self.at][1] or "its end"
            raise ExpressionError(f"expected {sign or 'the end'!r}, found {found!r}: {self.source.strip()!r}")
        self.take()

    def either(self) -> Node:
        left = self.both()
        while self.peek("||"):
            self.take()
            left = _or(left, self.both())
        return left

    def both(self) -> Node:
        left = self.equality()
        while self.peek("&&"):
            self.take()
            left = _and(left, self.equality())
        return left

    def equality(self) -> Node:
        left = self.order()
        while self.peek("==", "!="):
            left = _compare(self.take()[1], left, self.order())
        return left

    def order(self) -> Node:
        left = self.negation()
        while self.peek("<", "<=", ">", ">="):
            left = _compare(self.take()[1], left, self.negation())
        return left

    def negation(self) -> Node:
        if self.peek("!"):
            self.take()
            inner = self.negation()
            return lambda scope: not truth(inner(scope))
        return self.access()

    def access(self) -> Node:
        node = self.primary()
        while self.peek(".", "["):
            key = self.property() if self.take()[1] == "." else self.subscript()
            node = _star(node) if key is None else _at(node, key)
        return node

    def property(self) -> Node | None:
        kind, word = self.take()
        if kind != "name" and word != "*":
            raise ExpressionError(f"expected a property, found {word!r}: {self.source.strip()!r}")
        return None if word == "*" else lambda _: word

    def subscript(self) -> Node | None:
        if self.peek("*"):
            self.take()
            self.expect("]")
            return None
        key = self.either()
        self.expect("]")
        return key

    def primary(self) -> Node:
        kind, word = self.take()
        if kind == "number":
            return _literal(number(word))
        if kind == "string":
            return _literal(word[1:-1].replace("''", "'"))
        if kind == "name":
            return self.call(word) if self.peek("(") else self.name(word)
        if word == "(":
            node = self.either()
            self.expect(")")
            return node
        raise ExpressionError(f"unexpected {word or 'end'!r}: {self.source.strip()!r}")

    def name(self, name: str) -> Node:
        constants = {"true": True, "false": False, "null": None, "nan": math.nan, "infinity": math.inf}
        if name.lower() in constants:
            return _literal(constants[name.lower()])
        self.names.add(name)
        return lambda scope: scope.context(name)

    def call(self, name: str) -> Node:
        self.calls.add(name.lower())
        self.expect("(")
        arguments: list[Node] = []
        while not self.peek(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.either())
        self.expect(")")
        return _called(name, arguments)


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if not match or match.lastgroup is None:
            raise ExpressionError(f"unexpected {source[at:].strip()[:1]!r}: {source.strip()!r}")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


def _literal(value: Any) -> Node:
    return lambda _: value


def _at(node: Node, key: Node) -> Node:
    return lambda scope: index(node(scope), key(scope))


def _star(node: Node) -> Node:
    return lambda scope: every(node(scope))


def _or(left: Node, right: Node) -> Node:
    def work_out(scope: Scope) -> Any:
        value = left(scope)
        return value if truth(value) else right(scope)

    return work_out


def _and(left: Node, right: Node) -> Node:
    def work_out(scope: Scope) -> Any:
        value = left(scope)
        return right(scope) if truth(value) else value

    return work_out


def _compare(sign: str, left: Node, right: Node) -> Node:
    compare: Mapping[str, Callable[[Any, Any], bool]] = {
        "==": equal,
        "!=": lambda one, other: not equal(one, other),
        "<": less,
        ">": lambda one, other: less(other, one),
        "<=": lambda one, other: less(one, other) or equal(one, other),
        ">=": lambda one, other: less(other, one) or equal(one, other),
    }
    return lambda scope: compare[sign](left(scope), right(scope))


def _called(name: str, arguments: Sequence[Node]) -> Node:
    def work_out(scope: Scope) -> Any:
        function = scope.function(name)
        values = [argument(scope) for argument in arguments]
        try:
            return function(*values)
        except TypeError as error:
            raise ExpressionError(f"{name}() does not take {len(values)} values") from error

    return work_out


def evaluate(source: str, scope: Scope) -> Any:
    """The value of an expression, without its `${{ }}`."""
    return _Parser(source).whole(scope)(scope)


def fill(value: Any, scope: Scope) -> Any:
    """A value of a workflow with every `${{ }}` in it replaced; one that is a whole string keeps its kind."""
    if isinstance(value, dict):
        return {text(fill(key, scope)): fill(each, scope) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, scope) for each in value]
    if not isinstance(value, str):
        return value
    whole = _TEMPLATE.fullmatch(value.strip())
    if whole:
        return evaluate(whole[1], scope)
    if value.count("${{") != len(_TEMPLATE.findall(value)):
        raise ExpressionError(f"an expression that does not end: {value!r}")
    return _TEMPLATE.sub(lambda match: text(evaluate(match[1], scope)), value)


def holds(condition: Any, scope: Scope) -> bool:
    """Whether an `if:` holds, with the `success()` that GitHub adds where it names no status; none is `success()`."""
    if not isinstance(condition, str):
        condition = "success()" if condition is None else text(condition)
    whole = _TEMPLATE.fullmatch(condition.strip())
    if whole is None and "${{" in condition:
        raise ExpressionError(f"a condition that is a string is always true: {condition!r}")
    parser = _Parser(whole[1] if whole else condition)
    node = parser.whole(scope)
    if not parser.calls & STATUS and not scope.function("success")():
        return False
    return truth(node(scope))
