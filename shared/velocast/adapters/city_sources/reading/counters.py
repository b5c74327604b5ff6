"""Counters: their ids in the rows of counts, and what a city says about them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.cells import as_day, as_text
from velocast.adapters.city_sources.reading.columns import Columns, field_columns
from velocast.adapters.city_sources.reading.distinct import Distinct, distinct, distinct_rows
from velocast.adapters.city_sources.reading.positions import NOWHERE, place, position_of
from velocast.adapters.city_sources.records import CounterRecord
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city import City
from velocast.core.city.description import Counters
from velocast.core.city.reading import CounterFields
from velocast.core.errors import CityRefused

if TYPE_CHECKING:
    import numpy.typing as npt

_SEPARATORS = re.compile(r"[,\s\u00a0\u202f]")


def read_counters(
    city: City, tables: Iterable[RawTable], fields: CounterFields
) -> list[CounterRecord]:
    """Return the counters of a list, one for each id; records without a usable id are left out.

    A value that cannot be read is None, and so is a place outside the city's bounding box (`outside_city`).
    """
    found: dict[str, CounterRecord] = {}
    for table in tables:
        rows = table.rows.reset_index(drop=True)
        if not len(rows):
            continue
        columns = Columns(rows, city.counts.layout.also_called)
        ids, _ = counter_ids(columns, fields, table.place)
        found |= described_counters(columns, fields, ids, city)
    return list(found.values())


def listed_counters(counters: Counters) -> list[CounterRecord]:
    """Return the counters that a city's file lists itself."""
    return [
        CounterRecord(c.id, c.name, None, None, None, c.latitude, c.longitude)
        for c in counters.listed
    ]


def counter_ids(
    columns: Columns, fields: CounterFields, path: str
) -> tuple[Distinct, npt.NDArray[Any]]:
    """Return the id of each row ('' for a row without one), and the reason of those without one."""
    import numpy as np

    rows = len(columns.rows)
    if fields.id is None:
        return Distinct(np.zeros(rows, "int64"), [_named_id(fields, path)]), _no_reasons(rows)
    parts = distinct_rows([distinct(columns.get_or_empty(name)) for name in fields.id], rows)
    judged = [_judged(values) for values in parts.values]
    ids = Distinct(parts.codes, [counter_id for counter_id, _ in judged])
    reasons = np.array([reason for _, reason in judged] + [""], dtype=object)[parts.codes]
    return ids, reasons


def described_counters(
    columns: Columns, fields: CounterFields, ids: Distinct, city: City
) -> dict[str, CounterRecord]:
    """Return what the rows say about each counter, its last row holding."""
    import numpy as np

    last = np.full(len(ids.values), -1)
    last[ids.codes] = np.arange(len(ids.codes))
    wanted = [(n, counter_id) for n, counter_id in zip(last.tolist(), ids.values, strict=True)]
    wanted = [(n, counter_id) for n, counter_id in wanted if n >= 0 and counter_id]
    rows = [n for n, _ in wanted]
    told = {
        name: columns.get_or_empty(name).iloc[rows].astype(object).tolist()
        for name in field_columns(fields)
    }
    found = {}
    for position, (_, counter_id) in enumerate(wanted):
        values = {name: _present(column[position]) for name, column in told.items()}
        found[counter_id] = _record(counter_id, values, fields, city)
    return found


def _record(
    counter_id: str, values: dict[str, Any], fields: CounterFields, city: City
) -> CounterRecord:
    def told(name: str | None) -> Any:
        return None if name is None else values[name]

    latitude, longitude = _position(told, fields)
    box = city.bounding_box
    outside = (
        box is not None
        and latitude is not None
        and longitude is not None
        and not box.contains(latitude, longitude)
    )
    site_id = as_text(told(fields.site_id))
    return CounterRecord(
        counter_id=counter_id,
        counter_name=as_text(told(fields.name)),
        # some exports write the number with thousands separators
        site_id=_SEPARATORS.sub("", site_id) if site_id else None,
        site_name=as_text(told(fields.site_name)),
        installed_on=as_day(told(fields.installed_on)),
        latitude=None if outside else latitude,
        longitude=None if outside else longitude,
        outside_city=outside,
    )


def _position(told: Any, fields: CounterFields) -> tuple[float | None, float | None]:
    if fields.position is not None:
        found = position_of(told(fields.position), fields.crs)
        if found != NOWHERE:
            return found
    if fields.latitude is not None and fields.longitude is not None:
        return place(told(fields.latitude), told(fields.longitude), fields.crs)
    return NOWHERE


def _named_id(fields: CounterFields, path: str) -> str:
    if fields.from_path is None:
        return fields.constant or ""
    found = re.search(fields.from_path, path)
    counter_id = found.groupdict().get("id") if found else None
    if not counter_id:
        raise CityRefused(
            f"{path}: from_path {fields.from_path!r} finds no counter in this path; it needs a group `id`, "
            "as in /(?P<id>[0-9]+)/"
        )
    return counter_id


def _judged(values: tuple[Any, ...]) -> tuple[str, str]:
    if any(value is None or value == "" for value in values):
        return "", "missing_id"
    texts = [as_text(value) for value in values]
    joined = "-".join(text or "" for text in texts)
    if None in texts or not joined.isprintable():
        return "", "unreadable_id"
    return joined, ""


def _present(value: Any) -> Any:
    missing = value is None or (not isinstance(value, dict | list | str) and value != value)
    return None if missing else value


def _no_reasons(rows: int) -> npt.NDArray[Any]:
    import numpy as np

    return np.full(rows, "", dtype=object)
