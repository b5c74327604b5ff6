"""The functions that an expression can call: those of workflows-emulator 1.10.0, with corrections.

The emulator's own versions read `default(false, true)` as true, leave slashes in text.url_encode, write 1e-05 as a
string, and its retry predicates fail on an error that has no code.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, quote_plus

from workflows_emulator import render

# Google's names. The emulator's modules hold more, such as `sys.os`, which no expression may reach.
_MEMBERS = {
    "base64": "decode encode",
    "hash": "compute_checksum",
    "http": "delete get patch post put request default_retry default_retry_predicate"
    " default_retry_non_idempotent default_retry_predicate_non_idempotent",
    "json": "decode encode encode_to_string",
    "list": "concat prepend",
    "map": "delete get merge merge_nested",
    "math": "abs floor max min",
    "retry": "always default_backoff never",
    "sys": "get_env log now sleep sleep_until",
    "text": "decode encode find_all find_all_regex match_regex replace_all replace_all_regex split substring"
    " to_lower to_upper url_decode url_encode url_encode_plus",
    "time": "format parse",
    "uuid": "generate",
}
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


@dataclass(frozen=True)
class Namespace:
    """Functions and constants that share a prefix, such as `text` or `http`."""

    name: str
    members: dict[str, Any]

    def member(self, name: str) -> Any:
        """Return a function or constant; raises TypeError for a name that the namespace does not have."""
        if name not in self.members:
            raise TypeError(f"{self.name} has no function '{name}'")
        return self.members[name]


def type_name(value: Any) -> str:
    """Return the language's name for the type of a value, as `get_type()` does."""
    return _TYPES.get(type(value), "function")


def to_string(value: Any) -> str:
    """Write a value as the language's `string()` does: true, not True."""
    return value if isinstance(value, str) else json.dumps(value)


def replace_functions(namespace: str, **functions: Callable[..., Any]) -> None:
    """Replace functions of a namespace in this process, for example `sys.now`."""
    LIBRARY[namespace].members.update(functions)


def _default(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


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
    step = {"check": {"return": f"${{retryable_(e, {codes}, {tags})}}"}}
    backoff = {"initial_delay": 1, "max_delay": 60, "multiplier": 1.25}
    return {"predicate": {"params": ["e"], "steps": [step]}, "max_retries": 5, "backoff": backoff}


_IDEMPOTENT = _policy(
    [429, 502, 503, 504], ["ConnectionError", "ConnectionFailedError", "TimeoutError"]
)
_NON_IDEMPOTENT = _policy([429, 503], ["ConnectionFailedError"])
_CORRECTED: dict[str, dict[str, Any]] = {
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
_WITHOUT_PREFIX: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "default": _default,
    "double": float,
    "get_type": type_name,
    "if_": lambda condition, yes, no: yes if condition else no,
    "int": int,
    "keys": list,
    "len": len,
    "retryable_": _retryable,
    "string": to_string,
}


def _namespace(name: str, members: str) -> Namespace:
    ours = _CORRECTED.get(name, {})
    module = render.STANDARD_LIBRARY.get(name)
    return Namespace(
        name, {m: ours[m] if m in ours else getattr(module, m) for m in members.split()}
    )


# name: a function, a constant or a Namespace
LIBRARY: dict[str, Any] = _WITHOUT_PREFIX | {
    name: _namespace(name, members) for name, members in _MEMBERS.items()
}
