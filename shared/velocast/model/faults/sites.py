"""Which counters are directions of one place, where a city says so by a site's id or only by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from velocast.core.city import ListedSite

# words and marks with which names of directions begin: "Pont Tabarly vers Nord", "Bd Voltaire N-S", "Canal [in]"
_DIRECTION = re.compile(
    r"\s*(?:"
    r"\b(?:vers|sortie|direction|sens|towards?|to|hacia|dir\.|richtung|fahrtrichtung|stadteinwärts|stadtauswärts|"
    r"inbound|outbound|northbound|southbound|eastbound|westbound|nord|sud|süd|ost|est|ouest|west|north|south|east|in|"
    r"out)\b.*"
    r"|[(\[-]?\s*\b[NSEWO]{1,2}\s*[-–>/]+\s*[NSEWO]{1,2}\b[)\]]?"
    r"|[(\[](?:in|out|fwd|bwd|[nsewo]{1,2})[)\]]"
    r")\s*$",
    re.IGNORECASE,
)


def sites_of(counters: pd.DataFrame, listed: Sequence[ListedSite] = ()) -> dict[str, str]:
    """Return the site of each counter that shares one with others.

    counters: counter_id, and where known site_id and counter_name. listed: by the city's file, which outranks all else.
    A site's id shared by several counters takes precedence; otherwise, counters whose names differ only in a direction
    at the end belong to one place.
    """
    rows = [
        (str(row["counter_id"]), _text(row, "site_id"), _text(row, "counter_name"))
        for row in counters.to_dict("records")
    ]
    by_id = {counter: f"site {site}" for counter, site, _ in rows if site}
    stems = {counter: stem for counter, _, name in rows if (stem := _stem(name or counter))}
    by_name = {counter: f"name {stem}" for counter, stem in stems.items()}
    by_file = {counter: f"listed {site.id}" for site in listed for counter in site.counters}
    others = {**_shared(by_name), **_shared(by_id)}
    return {**_shared({k: v for k, v in others.items() if k not in by_file}), **by_file}


def _text(row: Mapping[object, object], column: str) -> str | None:
    value = row.get(column)
    return value if isinstance(value, str) and value else None


def _stem(name: str) -> str | None:
    """Return a name without the direction at its end; None where it has none."""
    stem = _DIRECTION.sub("", name).strip(" -,;:").casefold()
    return stem if len(stem) >= 3 and stem != name.strip(" -,;:").casefold() else None


def _shared(sites: Mapping[str, str]) -> dict[str, str]:
    sizes = Counter(sites.values())
    return {counter: site for counter, site in sites.items() if sizes[site] > 1}
