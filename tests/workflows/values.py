"""Values of GitHub's expressions: when one is true, what it is as a string or a number, and how two compare."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Function = Callable[..., Any]
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d+)\}|[{}]")


class ExpressionError(Exception):
    """An expression that GitHub would refuse, or that this evaluator does not know."""


class Filtered(list[Any]):
    """What `*` gives: a property of it is the property of each of its items that has one."""


class Exact(dict[str, Any]):
    """An object whose keys have a case: `env` on Linux. All others have none."""


def truth(value: Any) -> bool:
    """Falsy are false, 0, NaN, the empty string and null; an empty list or object is not."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return isinstance(value, list | dict) or bool(value)


def text(value: Any) -> str:
    """A value within a string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return "NaN" if math.isnan(value) else f"{value:.15g}"
    if isinstance(value, str):
        return value
    return "Array" if isinstance(value, list) else "Object"


def number(value: Any) -> float:
    """What a value is when it is compared with one of another kind."""
    if value is None or isinstance(value, bool | int | float):
        return float(value or 0)
    if isinstance(value, str):
        return _parsed(value.strip())
    return math.nan


def _parsed(digits: str) -> float:
    if re.fullmatch(r"0x[0-9a-fA-F]+|0o[0-7]+", digits):
        return float(int(digits, 0))
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", digits):
        return float(digits)
    return {"": 0.0, "Infinity": math.inf, "-Infinity": -math.inf}.get(digits, math.nan)


def equal(left: Any, right: Any) -> bool:
    """`==`: strings without their case, different kinds as numbers, lists and objects by identity."""
    left, right = _alike(left, right)
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return left is right
    return bool(left == right)


def less(left: Any, right: Any) -> bool:
    left, right = _alike(left, right)
    if isinstance(left, str) != isinstance(right, str) or isinstance(left, list | dict):
        return False
    return bool(left < right)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    if isinstance(left, str) and isinstance(right, str):
        return left.upper(), right.upper()
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        return left, right
    return number(left), number(right)


def _contains(search: Any, item: Any) -> bool:
    if isinstance(search, list):
        return any(equal(item, each) for each in search)
    return _plain(search, item) and text(item).lower() in text(search).lower()


def _starts_with(search: Any, start: Any) -> bool:
    return _plain(search, start) and text(search).lower().startswith(text(start).lower())


def _ends_with(search: Any, end: Any) -> bool:
    return _plain(search, end) and text(search).lower().endswith(text(end).lower())


def _plain(*values: Any) -> bool:
    return not any(isinstance(each, list | dict) for each in values)


def _format(pattern: Any, *values: Any) -> str:
    def fill(match: re.Match[str]) -> str:
        if match[0] in {"{{", "}}"}:
            return match[0][0]
        if match[1] is None or int(match[1]) >= len(values):
            raise ExpressionError(f"format: {match[0]} has no value in {text(pattern)!r}")
        return text(values[int(match[1])])

    return _PLACEHOLDER.sub(fill, text(pattern))


def _join(items: Any, separator: Any = ",") -> str:
    if isinstance(items, list):
        return text(separator).join(map(text, items))
    return text(items) if _plain(items) else ""


def _from_json(document: Any) -> Any:
    try:
        return json.loads(text(document))
    except ValueError as error:
        raise ExpressionError(f"fromJSON: {error}: {text(document)!r}") from error


FUNCTIONS: Mapping[str, Function] = {
    "contains": _contains,
    "startsWith": _starts_with,
    "endsWith": _ends_with,
    "format": _format,
    "join": _join,
    "toJSON": lambda value: json.dumps(value, indent=2),
    "fromJSON": _from_json,
}


def index(value: Any, key: Any) -> Any:
    """`value.key` or `value[key]`: null where there is none."""
    if isinstance(value, Filtered):
        found = (_index(each, key) for each in value)
        return Filtered(each for each in found if each is not None)
    return _index(value, key)


def _index(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and not isinstance(key, list | dict):
        name = text(key)
        if name in value or isinstance(value, Exact):
            return value.get(name)
        return next((found for each, found in value.items() if each.lower() == name.lower()), None)
    if isinstance(value, list) and not isinstance(key, list | dict):
        place = number(key)
        inside = not math.isnan(place) and 0 <= place < len(value)
        return value[int(place)] if inside else None
    return None


def every(value: Any) -> Filtered:
    """`value.*`."""
    if isinstance(value, Filtered):
        return Filtered(each for part in value for each in every(part))
    return Filtered(value.values() if isinstance(value, dict) else value if isinstance(value, list) else [])
