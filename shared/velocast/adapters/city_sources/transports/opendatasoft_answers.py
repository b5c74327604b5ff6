"""Answers of an Opendatasoft API that hold no records, and the records of an export."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from velocast.adapters.http_answer import SHOWN, HttpAnswer
from velocast.core.errors import CityRefused, CityTruncated

INTERRUPTED = b"Streaming interrupted"


def reset_time(answer: HttpAnswer) -> str:
    """Return when the API accepts requests again, as stated in a 429."""
    try:
        told = answer.json()["reset_time"]
    except (ValueError, KeyError, TypeError, RecursionError):
        told = answer.headers.get("x-ratelimit-reset") or answer.headers.get("retry-after")
    return str(told or "a time it does not name")


def json_lines(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Return the lines of an export that are not blank.

    Raises CityTruncated at the text that the API writes where its stream broke off, CityRefused for an HTML page.
    """
    first = True
    for line in filter(bytes.strip, lines):
        if INTERRUPTED in line and not _is_json(line):
            found = line[line.index(INTERRUPTED) :][:SHOWN].decode("utf-8", "replace")
            raise CityTruncated(f"{name}: the export broke off: {found!r}; fetch the window again")
        if first and line.lstrip().startswith(b"<"):
            raise CityRefused(
                f"{name}: an HTML page came instead of JSON lines: {line[:SHOWN]!r}; "
                "check base_url in the city's file under cities/"
            )
        first = False
        yield line


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
