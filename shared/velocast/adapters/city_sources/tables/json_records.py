"""JSON as tables: one object a line, or a document with a list of records in it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.records import Reject
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.errors import CityRefused, CityTruncated

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK_ROWS = 20_000


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_LENIENT = (b"NaN", b"Inf")  # Arrow takes them for numbers

# created once: json.loads with an argument creates a decoder on every call
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def tables_of_lines(lines: Iterable[bytes], place: str) -> Iterator[RawTable]:
    """Give JSON lines, blank ones left out, as tables with their texts. A line that is no object becomes a reject."""
    filled = filter(None, map(bytes.strip, lines))
    while chunk := list(itertools.islice(filled, CHUNK_ROWS)):
        yield _parsed_at_once(chunk, place) or _parsed_by_line(chunk, place)


def tables_of_document(body: bytes, place: str, records: str | None) -> Iterator[RawTable]:
    """Give the records of a JSON document as tables. records: where its list is, found by looking if None.

    Raises CityTruncated for a document that breaks off, CityRefused for one without a list of records.
    """
    document = _document(body, place)
    found = _at(document, find_records_in(document, place) if records is None else records, place)
    for start in range(0, len(found), CHUNK_ROWS):
        chunk = found[start : start + CHUNK_ROWS]
        good = [_flat(record) for record in chunk if isinstance(record, dict)]
        bad = [Reject("not_a_record", _text(r)) for r in chunk if not isinstance(r, dict)]
        yield RawTable(_frame(good), place, unreadable=tuple(bad))


def find_records(body: bytes, place: str, *, required: bool = True) -> str | None:
    """Return where the list of records is in a JSON document, as `FileFormat.records` names it.

    Raises as `tables_of_document`; with required=False, None is returned for a document without a list of records.
    """
    document = _document(body, place)
    try:
        return find_records_in(document, place)
    except CityRefused:
        if required:
            raise
        return None


def find_records_in(document: Any, place: str) -> str:
    """Return the dotted path of the longest list of objects; '' for a document that is itself the list."""
    lists = list(_lists(document, ""))
    if not lists:
        raise CityRefused(
            f"{place}: no list of records in the JSON document {_text(document)[:80]!r}"
        )
    return max(lists, key=lambda found: found[1])[0]


def is_json(text: str | bytes) -> bool:
    """Return whether a text is one JSON value."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _lists(value: Any, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, list) and (not value or isinstance(value[0], dict)):
        yield path, len(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _lists(inner, f"{path}.{key}" if path else key)


def _at(document: Any, path: str, place: str) -> list[Any]:
    value = document
    for key in filter(None, path.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, list):
        raise CityRefused(f"{place}: no list of records at {path!r}; correct `records` of the file")
    return value


def _document(body: bytes, place: str) -> Any:
    text = body.decode("utf-8-sig", "replace")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, json.JSONDecodeError) and exc.pos >= len(text.rstrip()) - 1:
            raise CityTruncated(
                f"{place}: the JSON document broke off: {exc}; get it again"
            ) from exc
        raise CityRefused(f"{place}: no JSON document: {exc}") from exc


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of a GeoJSON feature beside its geometry, and any other record as it is."""
    if record.get("type") == "Feature" and isinstance(record.get("properties"), dict):
        properties: dict[str, Any] = record["properties"]
        return properties | {"geometry": record.get("geometry")}
    return record


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _parsed_at_once(lines: list[bytes], place: str) -> RawTable | None:
    """Parse lines by Arrow, ten times faster than one by one; None where a line is not what the others are."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import json as arrow_json

    body = b"\n".join(lines)
    if not all(line.startswith(b"{") for line in lines) or any(word in body for word in _LENIENT):
        return None
    try:
        body.decode("utf-8")
        first = _DECODER.decode(lines[0].decode("utf-8"))
        texts = [name for name, value in first.items() if isinstance(value, str)]
        table = _arrow_table(arrow_json, body, texts)
        # Arrow takes a text that looks like a time for one, and its offset is lost
        if times := [field.name for field in table.schema if pa.types.is_temporal(field.type)]:
            table = _arrow_table(arrow_json, body, [*texts, *times])
    except (ValueError, AttributeError, RecursionError, pa.ArrowException):
        return None
    if table.num_rows != len(lines) or len(set(table.column_names)) < table.num_columns:
        return None
    rows = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return RawTable(rows, place, lines)


def _arrow_table(arrow_json: Any, body: bytes, texts: list[str]) -> pa.Table:
    import pyarrow as pa

    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema([(name, pa.string()) for name in texts])
    )
    whole = arrow_json.ReadOptions(use_threads=False, block_size=len(body) + 1)
    return arrow_json.read_json(pa.BufferReader(body), whole, options)


def _parsed_by_line(lines: list[bytes], place: str) -> RawTable:
    records, texts, bad = [], [], []
    for line in lines:
        try:
            record = _DECODER.decode(line.decode("utf-8"))
        except (ValueError, RecursionError):
            bad.append(Reject("not_json", line.decode("utf-8", "replace")))
            continue
        if isinstance(record, dict):
            records.append(_flat(record))
            texts.append(line)
        else:
            bad.append(Reject("not_a_record", line.decode("utf-8", "replace")))
    return RawTable(_frame(records), place, texts, tuple(bad))


def _frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    names = dict.fromkeys(name for record in records for name in record)
    columns = {
        name: pd.Series([record.get(name) for record in records], dtype=object) for name in names
    }
    return pd.DataFrame(columns, index=range(len(records)))
