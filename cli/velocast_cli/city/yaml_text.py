"""Write nested values as YAML that a person likes to read: comments above keys, short parts on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

WIDTH = 100


def yaml_text(values: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Return YAML. comments: dotted key -> text that is written above it."""
    return "\n".join(_lines(values, comments, "", 0)) + "\n"


def _lines(
    values: Mapping[str, Any], comments: Mapping[str, str], path: str, depth: int
) -> list[str]:
    indent = "  " * depth
    made: list[str] = []
    for key, value in values.items():
        here = f"{path}{key}"
        made += [f"{indent}# {line}" for line in comments.get(here, "").splitlines()]
        flow = f"{indent}{_flow(key)}: {_flow(value)}"
        commented = any(other.startswith(f"{here}.") for other in comments)
        if (
            not isinstance(value, dict | list)
            or not value
            or (len(flow) <= WIDTH and not commented)
        ):
            made.append(flow)
        elif isinstance(value, dict):
            made += [f"{indent}{_flow(key)}:", *_lines(value, comments, f"{here}.", depth + 1)]
        else:
            made += [f"{indent}{_flow(key)}:", *[f"{indent}  - {_flow(each)}" for each in value]]
    return made


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()
