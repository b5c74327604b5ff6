"""The version of the running code."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

SOURCES = (".py", ".sql", ".yaml", ".json")


@cache
def code_version() -> str:
    """Return the library's version, a plus and a hash of its sources, since two builds of one version may differ."""
    digest = hashlib.sha256()
    for name, source in sorted(_sources(files("velocast"), "")):
        digest.update(f"{name}\0".encode() + source.read_bytes() + b"\0")
    return f"{version('velocast')}+{digest.hexdigest()[:12]}"


def _sources(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for item in folder.iterdir():
        name = f"{prefix}{item.name}"
        if item.is_dir():
            found += _sources(item, f"{name}/")
        elif name.endswith(SOURCES):
            found.append((name, item))
    return found
