"""Files that are downloaded over HTTPS and read as tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx

from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable
from velocast.adapters.city_sources.transports.portal import Portal
from velocast.adapters.http_source import BadStatus
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.errors import CityRefused, CityTruncated

FILE_BYTES = 400_000_000  # a function keeps its temporary files in its memory


class Download(Portal):
    """A portal that also, or only, has files.

    A file that arrives shorter than its Content-Length, or whose last chunk is missing, is an answer that broke off.
    """

    needs = "a file"

    def __init__(self, city: City, file: FileFormat, **timing: Any) -> None:
        super().__init__(city, **timing)
        self._file = file

    def read_file(self, url: str) -> Iterator[RawTable]:
        """Download a file and give its tables.

        Raises the errors of `HttpSource.opened`, and CityRefused for an HTML page in place of the file.
        """
        with tempfile.TemporaryDirectory(prefix="velocast-") as folder:
            path = Path(folder) / f"file{PurePosixPath(urlsplit(url).path).suffix[:16]}"
            with self.opened([url], {}) as answer:
                self._save(answer, path)
            yield from read_tables(path, url, self._file)

    def _save(self, answer: httpx.Response, path: Path) -> None:
        size, head = 0, b""
        with path.open("wb") as file:
            for chunk in answer.iter_bytes():
                head = (head + chunk)[:512] if len(head) < 512 else head
                size += len(chunk)
                if size > FILE_BYTES:
                    raise CityTruncated(
                        f"{self.name}: {answer.url}: the file is longer than {FILE_BYTES:,} bytes, so it was given up; "
                        "ask for less of it, for instance by one file a year"
                    )
                file.write(chunk)
        if _is_html(head):
            raise CityRefused(
                f"{self.name}: {answer.url}: an HTML page came instead of a file: {head[:200]!r}; "
                f"check {self.setting} in the city's file"
            )


def is_missing(error: CityRefused) -> bool:
    """Return whether the server said that there is no such file."""
    cause = error.__cause__
    return isinstance(cause, BadStatus) and cause.status in (
        httpx.codes.NOT_FOUND,
        httpx.codes.GONE,
    )


def _is_html(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))
