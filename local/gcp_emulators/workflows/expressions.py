"""How `${...}` is evaluated: the emulator's own evaluation bends the language in ways that the product would feel.

workflows-emulator 1.10.0 turns values into YAML text and back (null becomes the text "None", 1e-05 a string), does
not know true, false and null, cannot parse if(), takes `default(false, true)` for true, leaves slashes in
text.url_encode, loses keys called `items` or `keys` behind the dictionary's methods, and lets errors about missing
keys past every `except`. What stands here replaces exactly that.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextvars import copy_context
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus

from workflows_emulator import render  # type: ignore[import-untyped]

WHOLE_EXPRESSION = re.compile(r"\s*\$\{((?:(?!\$\{).)*)\}\s*", re.DOTALL)
PART_EXPRESSION = re.compile(r"\$\{(.*?)\}", re.DOTALL)
# Outside quoted strings: Python has no function of the name `if`, and its operators stand in lower case here too.
_STRING_OR_IF = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\bif\s*\(")


class Map(dict[str, Any]):
    """A dictionary whose keys are read and written as attributes, whatever they are called."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        try:
            return self[name]
        except KeyError:
            raise KeyError(f"key not found: {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def wrap(value: Any) -> Any:
    """Return a copy in which every dictionary is a Map."""
    if isinstance(value, dict):
        return Map({key: wrap(dict.__getitem__(value, key)) for key in dict.keys(value)})
    return [wrap(item) for item in value] if isinstance(value, (list, tuple)) else value


def plain(value: Any) -> Any:
    """Return a copy in which every Map is an ordinary dictionary."""
    if isinstance(value, dict):
        return {key: plain(dict.__getitem__(value, key)) for key in dict.keys(value)}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def evaluate(code: str, context: Mapping[str, Any]) -> Any:
    """Evaluate one expression of the workflow language and return a value of JSON's types (or bytes).

    Raises KeyError for a variable or key that is not there, which a workflow's `except` can catch.
    """
    python = _STRING_OR_IF.sub(
        lambda found: "if_(" if found[0].startswith("if") else found[0], code
    )
    try:
        # The file is the repository's own workflow, and no builtin is in reach of its expressions.
        return plain(eval(python.strip(), {"__builtins__": {}}, _scope(context)))  # nosec B307
    except NameError as exc:
        raise KeyError(f"{exc.args[0]} in ${{{code}}}") from exc
    except AttributeError as exc:
        raise TypeError(f"{exc.args[0]} in ${{{code}}}") from exc


def render_text(value: Any, context: Mapping[str, Any]) -> Any:
    """Return a text with its expressions filled in; an expression that stands alone keeps its type."""
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = WHOLE_EXPRESSION.fullmatch(value)
    if whole:
        return evaluate(whole[1], context)
    return PART_EXPRESSION.sub(lambda part: to_string(evaluate(part[1], context)), value)


def assign(target: str, value: Any, context: Mapping[str, Any]) -> tuple[str, Any]:
    """Carry out `target = value`, with dotted keys and indices; return the root variable and its new value."""
    scope = _scope(context) | {"__value": wrap(value)}
    exec(f"{target} = __value", {"__builtins__": {}}, scope)  # nosec B102
    root = re.split(r"[.\[]", target, maxsplit=1)[0]
    return root, plain(scope[root])


def to_string(value: Any) -> str:
    """Write a value as the language's `string()` does: true, not True."""
    return value if isinstance(value, str) else json.dumps(value)


def _scope(context: Mapping[str, Any]) -> dict[str, Any]:
    parallel = {variable.name: wrap(value) for variable, value in copy_context().items()}
    return {key: wrap(value) for key, value in context.items()} | parallel | library()


def _outside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a library function see ordinary dictionaries, and wrap what it returns."""
    return lambda *args, **kwargs: wrap(function(*plain(args), **plain(kwargs)))


def library() -> dict[str, Any]:
    """Return what the emulator knows by name, each function wrapped."""
    return _LIBRARY


def _wrapped(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _outside(item) if callable(item) else item for name, item in names.items()}


def _public(module: Any) -> dict[str, Any]:
    return {name: item for name, item in vars(module).items() if not name.startswith("_")}


def _default(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


_TYPES = {
    bool: "boolean",
    bytes: "bytes",
    float: "double",
    int: "integer",
    list: "list",
    dict: "map",
    type(None): "null",
    str: "string",
}


def _get_type(value: Any) -> str:
    return _TYPES[type(value)]


def _map_get(source: Any, keys: str | list[str]) -> Any:
    if not isinstance(source, dict):
        raise TypeError(f"map.get: the first argument must be a map, got {type(source).__name__}")
    for key in [keys] if isinstance(keys, str) else keys:
        source = source.get(key) if isinstance(source, dict) else None
    return source


def _json_text(data: Any, indent: Any = None) -> str:
    spaces = indent.get("indent", 4) if isinstance(indent, dict) else (4 if indent else None)
    return json.dumps(data, indent=spaces, ensure_ascii=False)


def _json_bytes(data: Any, indent: Any = None) -> bytes:
    return _json_text(data, indent).encode()


def _time_parse(value: str) -> float:
    return datetime.fromisoformat(value).timestamp()


def _retryable(error: Any, codes: list[int], tags: list[str]) -> bool:
    if not isinstance(error, dict):
        return False
    return error.get("code") in codes or bool(set(tags) & set(error.get("tags", [])))


def _policy(codes: list[int], tags: list[str]) -> dict[str, Any]:
    # The emulator's own predicates break on an error without a code.
    step = {"check": {"return": f"${{retryable_(e, {codes}, {tags})}}"}}
    backoff = {"initial_delay": 1, "max_delay": 60, "multiplier": 1.25}
    return {"predicate": {"params": ["e"], "steps": [step]}, "max_retries": 5, "backoff": backoff}


_IDEMPOTENT = _policy(
    [429, 502, 503, 504], ["ConnectionError", "ConnectionFailedError", "TimeoutError"]
)
_NON_IDEMPOTENT = _policy([429, 503], ["ConnectionFailedError"])

_CURES: dict[str, dict[str, Any]] = {
    "http": {
        "default_retry": _IDEMPOTENT,
        "default_retry_predicate": _IDEMPOTENT["predicate"],
        "default_retry_non_idempotent": _NON_IDEMPOTENT,
        "default_retry_predicate_non_idempotent": _NON_IDEMPOTENT["predicate"],
    },
    "json": {"encode": _json_bytes, "encode_to_string": _json_text},
    "map": {"get": _map_get},
    "text": {
        "url_encode": lambda source: quote(source, safe=""),
        "url_encode_plus": lambda source: quote_plus(source, safe=""),
    },
    "time": {"parse": _time_parse},
    "base64": {
        "encode": lambda data: base64.b64encode(data).decode(),
        "decode": base64.b64decode,
    },
    "hash": {
        "compute_checksum": lambda data, algorithm: hashlib.new(algorithm.lower(), data).digest()
    },
}
_BUILT_IN: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "if_": lambda condition, yes, no: yes if condition else no,
    "default": _default,
    "get_type": _get_type,
    "string": to_string,
    "keys": list,
    "retryable_": _retryable,
}


def _build() -> dict[str, Any]:
    modules = {
        name: _public(item) for name, item in render.STANDARD_LIBRARY.items() if not callable(item)
    }
    functions = {name: item for name, item in render.STANDARD_LIBRARY.items() if callable(item)}
    merged = {name: modules.get(name, {}) | _CURES.get(name, {}) for name in {*modules, *_CURES}}
    namespaces = {name: SimpleNamespace(**_wrapped(members)) for name, members in merged.items()}
    for policy in _CURES["http"]:
        setattr(namespaces["http"], policy, wrap(_CURES["http"][policy]))
    return _wrapped(functions | {n: f for n, f in _BUILT_IN.items() if callable(f)}) | {
        "true": True,
        "false": False,
        "null": None,
        **namespaces,
    }


_LIBRARY = _build()


def replace(namespace: str, **functions: Callable[..., Any]) -> None:
    """Put functions of the stack in the place of library functions, for example `sys.now`."""
    for name, function in functions.items():
        setattr(_LIBRARY[namespace], name, _outside(function))
