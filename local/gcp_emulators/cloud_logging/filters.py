"""The part of Cloud Logging's query language that has comparisons of texts, AND, OR and brackets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gcp_emulators.core.errors import GoogleApiError

Entry = dict[str, Any]
Filter = Callable[[Entry], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<bracket>[()])
    | (?P<operator>>=|<=|!=|=|>|<)
    | (?P<word>(?:[A-Za-z_][\w/-]*|"(?:[^"\\]|\\.)*")(?:\.(?:[\w/-]+|"(?:[^"\\]|\\.)*"))*)
    )""",
    re.VERBOSE,
)
_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([\w/-]+)')
# Texts compare like the times and ids that they hold: RFC 3339 with Z sorts as text.
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "=": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have <= want,
    ">": lambda have, want: have > want,
    "<": lambda have, want: have < want,
}


def parse_filter(text: str) -> Filter:
    """Return a filter as a function of an entry; an empty one accepts all. Raises 400 for what is not understood."""
    tokens = _tokens(text)
    if not tokens:
        return lambda _entry: True
    parsed, rest = _either(tokens)
    if rest:
        raise GoogleApiError(400, f"Unparseable filter: unexpected {rest[0]!r} in {text!r}")
    return parsed


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if not found:
            raise GoogleApiError(400, f"Unparseable filter at {text[position : position + 20]!r}")
        tokens.append(found[0].strip())
        position = found.end()
    return tokens


def _either(tokens: list[str]) -> tuple[Filter, list[str]]:
    first, rest = _all(tokens)
    parts = [first]
    while rest and rest[0] == "OR":
        part, rest = _all(rest[1:])
        parts.append(part)
    return (lambda entry: any(part(entry) for part in parts)), rest


def _all(tokens: list[str]) -> tuple[Filter, list[str]]:
    first, rest = _one(tokens)
    parts = [first]
    while rest and rest[0] not in ("OR", ")"):
        part, rest = _one(rest[1:] if rest[0] == "AND" else rest)
        parts.append(part)
    return (lambda entry: all(part(entry) for part in parts)), rest


def _one(tokens: list[str]) -> tuple[Filter, list[str]]:
    if tokens and tokens[0] == "(":
        inner, rest = _either(tokens[1:])
        if not rest or rest[0] != ")":
            raise GoogleApiError(400, "Unparseable filter: a bracket is not closed")
        return inner, rest[1:]
    if len(tokens) < 3 or tokens[1] not in _COMPARE:
        raise GoogleApiError(400, f"Unparseable filter at {' '.join(tokens[:3])!r}")
    path, compare, value = _segments(tokens[0]), _COMPARE[tokens[1]], _segments(tokens[2])
    wanted = ".".join(value)

    def accepts(entry: Entry) -> bool:
        have = _look_up(entry, path)
        return have is not None and compare(have, wanted)

    return accepts, tokens[3:]


def _segments(word: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", quoted) or plain for quoted, plain in _SEGMENT.findall(word)]


def _look_up(entry: Entry, path: list[str]) -> str | None:
    value: Any = entry
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return str(value)
