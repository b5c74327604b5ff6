"""Where a city's counts are looked for: files and folders at hand, or an address on the web."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from velocast_cli.city.new_city import Looked, guessed_name


@contextmanager
def look_up(sources: Sequence[str]) -> Iterator[Looked]:
    """Give what is to be looked at. Raises ValueError for addresses beside files."""
    paths = [Path(source) for source in sources]
    yield Looked(paths, " ".join(p.name for p in paths), guessed_name(paths[0]))
