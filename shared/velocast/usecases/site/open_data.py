"""The site's data as files for others: CSV, Parquet and GeoJSON, described by a data package and by DCAT."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from velocast.core.datetimes import HOUR, rfc3339
from velocast.usecases.site.accuracy import measure_accuracy, pairs
from velocast.usecases.site.catalogue import Listed, describe_dataset
from velocast.usecases.snapshot_format import CounterSnapshot, Snapshot

FOLDER = "open/"
_HOUR = ("at", "datetime", "Start of the hour, UTC.")
_ID = ("counter_id", "string", "The city's id of the counter.")
_INTERVAL = (
    ("predicted_count", "number", "Forecast number of bikes in the hour."),
    ("lower", "number", "Lower end of the 90 % interval."),
    ("upper", "number", "Upper end of the 90 % interval."),
)
_KIND = (
    "kind",
    "string",
    "`counter`, or `sum` of several counters, which must not be added to them.",
)
FORECASTS = (
    _ID,
    _HOUR,
    *_INTERVAL,
    ("busy_probability", "number", "Probability that the count is above the counter's 75th percentile of 28 days."),
    ("usual_count", "number", "Median of the same local hour and weekday of the eight weeks before."),
    ("basis", "string", "What the forecast is based on."),
    _KIND,
)  # fmt: skip
PAST = (
    _ID,
    _HOUR,
    ("bike_count", "number", "Bikes counted in the hour; empty where there is no usable count."),
    *(
        (name, kind, f"{text[:-1]}, as it was made on the hour's own day.")
        for name, kind, text in _INTERVAL
    ),
    _KIND,
)
DAYS = (
    _ID,
    ("date", "date", "Local day."),
    (
        "bike_count",
        "integer",
        "Bikes counted in the day's usable hours; empty where there is none.",
    ),
    ("hours_counted", "integer", "Number of the day's hours with a usable count."),
    (
        "estimated_count",
        "integer",
        "Bikes estimated for hours without a usable count; not in bike_count, and no count.",
    ),
    ("hours_estimated", "integer", "Number of the day's hours with such an estimate."),
    (
        "estimated_share",
        "number",
        "Share of estimated bikes in bike_count and estimated_count together.",
    ),
    _KIND,
)
TITLES = {
    "forecasts": "Forecasts of the coming days",
    "past": "Forecasts of the last 14 days beside the counts",
    "days": "Bikes per day of two years",
    "counters": "Places of the counters, and the accuracy of their forecasts of the last 14 days",
}
_TYPES = {
    "date": pa.date32(), "integer": pa.int64(),
    "string": pa.string(), "number": pa.float64(), "datetime": pa.timestamp("s", tz="UTC"),
}  # fmt: skip
CsvColumns = Sequence[tuple[str, str, str]]
Values = list[list[Any]]  # of each column of a table


def make_open_data(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the files by name, each below FOLDER; `datapackage.json` and `catalogue.jsonld` describe the others."""
    tables = {
        "forecasts": (FORECASTS, _forecasts(snapshot)),
        "past": (PAST, _past(snapshot)),
        "days": (DAYS, _days(snapshot)),
    }
    made: dict[str, bytes] = {}
    for name, (columns, values) in tables.items():
        schema = pa.schema([(column, _TYPES[kind]) for column, kind, _ in columns])
        table = pa.table(values, schema=schema)
        made[f"{name}.csv"] = _csv(table)
        sink = io.BytesIO()
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        made[f"{name}.parquet"] = sink.getvalue()
    made["counters.geojson"] = _json(_places(snapshot))
    package = _package(snapshot, made)
    files = [Listed(name, TITLES[name.split(".", 1)[0]], len(data)) for name, data in made.items()]
    made["datapackage.json"] = _json(package)
    made["catalogue.jsonld"] = _json(
        describe_dataset(
            snapshot, files, title=package["title"], description=package["description"]
        )
    )
    return {FOLDER + name: data for name, data in made.items()}


def _forecasts(snapshot: Snapshot) -> Values:
    zone = ZoneInfo(snapshot.city.time_zone)
    local = [hour.astimezone(zone) for hour in snapshot.hours]
    slots = [at.weekday() * 24 + at.hour for at in local]
    none = [None] * len(slots)
    found = _empty(FORECASTS)
    for c in snapshot.counters:
        if not c.predicted:
            continue
        _append(
            found,
            len(slots),
            c.counter_id,
            snapshot.hours,
            *(_rounded(values) for values in (c.predicted, c.lower, c.upper)),
            c.busy or none,
            [c.typical_week[slot] for slot in slots] if c.typical_week else none,
            c.basis,
            _kind(c),
        )
    return found


def _kind(counter: CounterSnapshot) -> str:
    return "sum" if counter.sum_of else "counter"


def _past(snapshot: Snapshot) -> Values:
    found = _empty(PAST)
    for c in snapshot.counters:
        if c.recent_from is None:
            continue
        none = [None] * len(c.recent)
        _append(
            found,
            len(c.recent),
            c.counter_id,
            [c.recent_from + i * HOUR for i in range(len(c.recent))],
            c.recent,
            *(
                _rounded(values) if values else none
                for values in (c.past_predicted, c.past_lower, c.past_upper)
            ),
            _kind(c),
        )
    return found


def _days(snapshot: Snapshot) -> Values:
    found = _empty(DAYS)
    for c in snapshot.counters:
        if c.days_from is None:
            continue
        nothing = [0] * len(c.days)
        estimated = c.days_estimated or nothing
        _append(
            found,
            len(c.days),
            c.counter_id,
            [c.days_from + timedelta(i) for i in range(len(c.days))],
            c.days,
            c.day_hours,
            estimated,
            c.day_hours_estimated or nothing,
            [
                round(more / ((bikes or 0) + more), 4) if more else 0.0
                for bikes, more in zip(c.days, estimated, strict=True)
            ],
            _kind(c),
        )
    return found


def _empty(columns: CsvColumns) -> Values:
    return [[] for _ in columns]


def _append(values: Values, rows: int, *of_counter: Any) -> None:
    """Append one counter's rows to the columns. of_counter: each column's values, or a text for all rows."""
    for column, more in zip(values, of_counter, strict=True):
        column.extend([more] * rows if isinstance(more, str) else more)


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 1) for value in values]


def _csv(table: pa.Table) -> bytes:
    if "at" in table.column_names:
        at = pa.compute.strftime(table["at"], format="%Y-%m-%dT%H:%M:%SZ")
        table = table.set_column(table.schema.get_field_index("at"), "at", at)
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    pyarrow.csv.write_csv(table, sink, options)
    return sink.getvalue()


def _places(snapshot: Snapshot) -> dict[str, Any]:
    """Return the counters as GeoJSON (RFC 7946); one without a place has no geometry."""
    features = []
    for c in snapshot.counters:
        placed = c.latitude is not None and c.longitude is not None
        properties = {
            "counter_id": c.counter_id,
            "counter_name": c.counter_name,
            "last_counted_at": c.last_counted_at and rfc3339(c.last_counted_at),
            "last_count": c.last_count,
            "kind": _kind(c),
            "sum_of": list(c.sum_of),
            "continues": [each.counter_id for each in c.continues],
            **(measure_accuracy(pairs(c)) or {}),
        }
        geometry = {"type": "Point", "coordinates": [c.longitude, c.latitude]} if placed else None
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _package(snapshot: Snapshot, made: dict[str, bytes]) -> dict[str, Any]:
    city = snapshot.city
    licence = {"title": city.licence, "name": city.licence, "path": city.licence_url}
    licence = {key: value for key, value in licence.items() if value}
    package: dict[str, Any] = {
        "profile": "data-package",
        "name": "velocast-forecasts",
        "title": f"Bike forecasts for {city.name}",
        "description": "Hourly forecasts of bikes at every counter, those of the last 14 days beside the counts, "
        "and the bikes of each day of two years.",
        "created": rfc3339(snapshot.published_at),
        "resources": [
            _resource(name, extension, columns, made)
            for name, columns in (("forecasts", FORECASTS), ("past", PAST), ("days", DAYS))
            for extension in ("csv", "parquet")
        ]
        + [
            {
                "profile": "data-resource",
                "name": "counters",
                "path": "counters.geojson",
                "format": "geojson",
                "mediatype": "application/geo+json",
                "bytes": len(made["counters.geojson"]),
                "description": f"{TITLES['counters']}.",
            }
        ],
    }
    if licence:
        package["licenses"] = [licence]
    if city.attribution:
        source = {"title": city.attribution} | (
            {"path": city.attribution_url} if city.attribution_url else {}
        )
        package["sources"] = [source]
    return package


def _resource(
    name: str, extension: str, columns: CsvColumns, made: dict[str, bytes]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "profile": "tabular-data-resource" if extension == "csv" else "data-resource",
        "name": name if extension == "csv" else f"{name}-{extension}",
        "path": f"{name}.{extension}",
        "format": extension,
        "bytes": len(made[f"{name}.{extension}"]),
        "schema": {
            "fields": [
                {"name": column, "type": kind, "description": text}
                for column, kind, text in columns
            ],
            "primaryKey": [column for column, *_ in columns[:2]],
        },
    }
    return described | (
        {"encoding": "utf-8", "mediatype": "text/csv"} if extension == "csv" else {}
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8")
