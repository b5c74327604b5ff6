"""Where a city's counts are looked for: files and folders at hand, or an address on the web."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from velocast_cli.city.new_city import Looked, guessed_name


@contextmanager
def look_up(sources: Sequence[str]) -> Iterator[Looked]:
    """Give what is to be looked at. Raises ValueError for an address beside other sources, and as `find_dataset`."""
    addresses = [s for s in sources if s.startswith(("https://", "http://"))]
    if not addresses:
        paths = [Path(source) for source in sources]
        yield Looked(paths, " ".join(p.name for p in paths), guessed_name(paths[0]))
        return
    if len(sources) > 1:
        raise ValueError(f"{addresses[0]}: give one address, or files; not several")
    from velocast_cli.city.portals import find_dataset

    with tempfile.TemporaryDirectory(prefix="velocast-") as folder:
        found = find_dataset(addresses[0], Path(folder))
        name = guessed_name(Path(found.title))
        yield Looked(
            [found.sample], addresses[0], name, source=found.source, known=found.known, sure=False
        )
