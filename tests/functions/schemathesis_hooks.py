"""Loaded by Schemathesis: half of its requests name a counter of the made-up city, so that they are answered."""

from __future__ import annotations

from typing import Any

import schemathesis

KNOWN = "c-1"


@schemathesis.hook
def map_path_parameters(_context: Any, values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Name a known counter in half of the paths."""
    return _known(values) if values and _chosen(values) else values


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Name a known counter in half of the valid records."""
    records = body.get("records") if isinstance(body, dict) else None
    if not isinstance(records, list):
        return body
    return {**body, "records": [_known(r) if _chosen(r) else r for r in records]}


def _chosen(values: Any) -> bool:
    return isinstance(values, dict) and len(repr(values)) % 2 == 0


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: KNOWN if _is_id(name, value) else value for name, value in values.items()}


def _is_id(name: str, value: Any) -> bool:
    return name == "counter_id" and isinstance(value, str)
