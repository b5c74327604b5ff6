"""A Cloud Storage bucket into which a city drops files.

An object that was last written before a time range holds no count of it, since nothing is counted before it happens; it
is not read. One that the city replaces, for instance with corrected counts, is read again: its new generation was
written now. Each object is read in the generation that was listed, and listing is strongly consistent
(https://docs.cloud.google.com/storage/docs/consistency), so an answer is complete or changed while it was read.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Self, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.adapters.city_sources.transports.download import FILE_BYTES
from velocast.adapters.gcs import Objects, ObjectVersion
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.city.sources import Bucket
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable, ObjectChanged

TRIES = 3
AnswerT = TypeVar("AnswerT")


class BucketTransport:
    """The objects below one prefix. Google's client has limits and retries of its own."""

    def __init__(
        self,
        city: City,
        source: Bucket,
        file: FileFormat,
        *,
        sleep: Callable[[float], None] = time.sleep,
        **_unused: object,
    ) -> None:
        bucket, _, self._prefix = source.prefix.removeprefix("gs://").partition("/")
        self.name = city.name
        self._source = source
        self._file = file
        self._objects = Objects(None, bucket)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def ask(self, question: Callable[[], AnswerT]) -> AnswerT:
        """Return what `question` returns; it is asked again, up to twice, when an object changed meanwhile."""
        retrying = Retrying(
            sleep=self._sleep,
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(multiplier=1.0, max=30.0),
            retry=retry_if_exception_type(CityTruncated),
            reraise=True,
        )
        return retrying(question)

    def tables(
        self,
        hours: TimeRange | None,
        columns: tuple[str, ...] | None,  # noqa: ARG002 - all come, whatever is needed
    ) -> Iterator[RawTable]:
        """Give the tables of every object that may hold hours of the range. As `Transport.tables`."""
        since = hours.since if hours is not None else None
        for version in self._listed(since):
            uri = self._objects.uri(version.name)
            if version.size > FILE_BYTES:
                raise CityRefused(
                    f"{self.name}: {uri} has {version.size:,} bytes, at most {FILE_BYTES:,} are read; cut it by year"
                )
            with tempfile.TemporaryDirectory(prefix="velocast-") as folder:
                path = Path(folder) / f"file{PurePosixPath(version.name).suffix[:16]}"
                self._download(version, path)
                yield from read_tables(path, uri, self._file)

    def _listed(self, since: datetime | None) -> list[ObjectVersion]:
        from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound

        try:
            versions = self._objects.versions(self._prefix)
        except (NotFound, Forbidden) as exc:
            raise CityRefused(
                f"{self.name}: {self._source.prefix} cannot be listed: {exc.message}; check prefix in the city's file, "
                "and that the account of fetch has roles/storage.objectViewer on the bucket"
            ) from exc
        except GoogleAPICallError as exc:
            raise CityUnreachable(f"{self.name}: {self._source.prefix}: {exc.message}") from exc
        wanted = [each for each in versions if self._is_wanted(each.name)]
        if not wanted:
            pattern = f" that match {self._source.pattern!r}" if self._source.pattern else ""
            raise CityRefused(
                f"{self.name}: {self._source.prefix} has no objects{pattern}, but {len(versions)} others; "
                "check prefix and pattern in the city's file"
            )
        return [each for each in wanted if since is None or each.updated >= since]

    def _is_wanted(self, name: str) -> bool:
        """Return whether an object is a file of the city; names that end in a slash are folders of the console."""
        rest = name.removeprefix(self._prefix)
        if name.endswith("/"):
            return False
        return self._source.pattern is None or re.fullmatch(self._source.pattern, rest) is not None

    def _download(self, version: ObjectVersion, path: Path) -> None:
        from google.api_core.exceptions import GoogleAPICallError

        try:
            self._objects.download(version, path)
        except ObjectChanged as exc:
            raise CityTruncated(
                f"{self.name}: {self._objects.uri(version.name)} changed while the bucket was read; fetch again"
            ) from exc
        except GoogleAPICallError as exc:
            raise CityUnreachable(
                f"{self.name}: {self._objects.uri(version.name)}: {exc.message}"
            ) from exc
