"""One answer of an HTTP source: read whole, or cut into lines while it arrives. Memory is bounded either way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

SHOWN = 200  # characters of an unexpected answer that an error quotes


class TooLong(Exception):
    """A line or a body has more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit:,} bytes")
        self.limit = limit


@dataclass(frozen=True)
class HttpAnswer:
    """An answer that was read to its end.

    place: the address without its query, which may hold a key. body: decompressed.
    """

    place: str
    status: int
    headers: httpx.Headers
    body: bytes
    encoding: str = "utf-8"

    @property
    def text(self) -> str:
        """The body as text; bytes that do not fit the encoding are replaced."""
        return self.body.decode(self.encoding, "replace")

    @property
    def media_type(self) -> str:
        """The Content-Type header."""
        return str(self.headers.get("content-type", "no content type"))

    def json(self) -> Any:
        """Return the body read as JSON. Raises ValueError, or RecursionError when it is nested too deeply."""
        return json.loads(self.body)

    def unexpected(self, needed: str) -> str:
        """Say what arrived from where in place of `needed`, quoting the server's own message if it has one."""
        shown = (self._message() or self.text)[:SHOWN]
        return f"{self.place}: {self.status} ({self.media_type}), needs {needed}: {shown!r}"

    def _message(self) -> str | None:
        """Return what the usual APIs put under message, reason or error; error may be an object with one of them."""
        try:
            found = self.json()
        except (ValueError, RecursionError):
            return None
        if isinstance(found, dict) and isinstance(found.get("error"), dict):
            found = found["error"]
        if not isinstance(found, dict):
            return None
        texts = (found.get(key) for key in ("message", "reason", "error"))
        return next((text for text in texts if isinstance(text, str) and text), None)


def place_of(url: httpx.URL) -> str:
    """Return an address without its query, which may hold a key."""
    return str(url.copy_with(query=None))


def read_whole(answer: httpx.Response, limit: int) -> HttpAnswer:
    """Read an answer to its end. Raises TooLong for a body of more than `limit` bytes, and what httpx raises."""
    encoding = answer.encoding or "utf-8"
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        _check(body, limit)
    place = place_of(answer.url)
    return HttpAnswer(place, answer.status_code, answer.headers, bytes(body), encoding)


def split_lines(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Cut a body at line feeds and only there: JSON may hold other line separators.

    Each byte is looked at once, however the body is cut into chunks. Raises TooLong as soon as a line has more than
    `limit` bytes.
    """
    rest = bytearray()  # the line that is still arriving
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest += first
        _check(rest, limit)
        if not others:
            continue
        yield bytes(rest)
        *lines, last = others
        for line in lines:
            _check(line, limit)
            yield line
        rest = bytearray(last)
        _check(rest, limit)
    yield bytes(rest)


def _check(data: bytes | bytearray, limit: int) -> None:
    if len(data) > limit:
        raise TooLong(limit)


def retry_after_seconds(headers: httpx.Headers) -> float | None:
    """Return how long the Retry-After header asks to wait; None without one that can be read.

    A date is compared with the server's own Date header, so no clock is needed.
    """
    value = headers.get("retry-after", "")
    if value.strip().isdecimal():
        return float(value)
    until, now = _date(value), _date(headers.get("date", ""))
    return max(0.0, (until - now).total_seconds()) if until and now else None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
