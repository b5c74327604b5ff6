"""Objects of one Cloud Storage bucket, read and written with generations.

Cloud Storage gives every content of an object a number, its generation; 0 means that there is no object. A write that
names the generation it replaces fails if someone else wrote in between. When the service itself fails, Google's own
errors (google.api_core.exceptions.GoogleAPICallError) are raised, after at most RETRY_SECONDS of retries.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from velocast.adapters import google_clients
from velocast.core.errors import ObjectChanged, ObjectMissing

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket

CALL_SECONDS = 60.0
RETRY_SECONDS = 60.0
JSON_TYPE = "application/json"
PIECE_BYTES = 16 << 20  # of an object that is read or written piece by piece; a multiple of 256 KiB
_WRITE_MARK = "velocast-write"


@dataclass(frozen=True)
class ObjectContent:
    """An object's bytes and their generation."""

    data: bytes
    generation: int


@dataclass(frozen=True)
class ObjectVersion:
    """A listed object: its generation, when that was written, its size in bytes, and the headers it is served with.

    md5: digest of the stored bytes, base64; None for an object that was composed of others. metadata: what its writer
    says of it.
    """

    name: str
    generation: int
    updated: datetime
    size: int
    md5: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    cache_control: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)

    def holds(self, data: bytes) -> bool:
        """Return whether these are the stored bytes, by size and MD5; never of a composed object."""
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        return self.size == len(data) and self.md5 == base64.b64encode(digest).decode()


class Objects:
    """One bucket. The storage library is imported and the client created at first use.

    project: whose quota is used; None: that of the environment. It need not be the bucket's.
    """

    def __init__(self, project: str | None, bucket: str) -> None:
        self.project = project
        self.bucket = bucket

    @cached_property
    def _bucket(self) -> Bucket:
        return google_clients.storage_client(self.project).bucket(self.bucket)

    @cached_property
    def _bounds(self) -> dict[str, Any]:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return {"timeout": CALL_SECONDS, "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}

    def uri(self, name: str) -> str:
        """Return the gs:// address of an object."""
        return f"gs://{self.bucket}/{name}"

    def read(self, name: str) -> ObjectContent:
        """Return an object's bytes and their generation. Raises ObjectMissing."""
        from google.api_core.exceptions import NotFound

        blob = self._bucket.blob(name)
        try:
            data = blob.download_as_bytes(**self._bounds)
        except NotFound as exc:
            raise ObjectMissing(f"{self.uri(name)} does not exist") from exc
        return ObjectContent(data, int(blob.generation))

    def read_unless(self, name: str, generation: int) -> ObjectContent | None:
        """Return an object as `read` does, or None without a download if it still has that generation (0: never)."""
        from google.api_core.exceptions import NotFound, NotModified

        blob = self._bucket.blob(name)
        try:
            data = blob.download_as_bytes(
                if_generation_not_match=generation or None, **self._bounds
            )
        except NotModified:
            return None
        except NotFound as exc:
            raise ObjectMissing(f"{self.uri(name)} does not exist") from exc
        return ObjectContent(data, int(blob.generation))

    def read_json(self, name: str) -> tuple[Any, int]:
        """Return an object parsed as JSON, and its generation. Raises ObjectMissing; ValueError if it is not JSON."""
        stored = self.read(name)
        try:
            return json.loads(stored.data), stored.generation
        except (ValueError, RecursionError) as exc:
            raise ValueError(
                f"{self.uri(name)} (generation {stored.generation}) is not JSON: {exc}"
            ) from exc

    def write(
        self,
        name: str,
        data: bytes,
        *,
        content_type: str,
        if_generation: int | None = None,
        content_encoding: str | None = None,
        cache_control: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Write an object and return its new generation.

        if_generation: the generation that the object must have now; 0: it must not exist; None: write in any case.
        content_encoding, cache_control: headers for readers over HTTP; `data` is encoded already. metadata: what
        `describe` tells without a download.
        Raises ObjectChanged if the precondition fails.
        """
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(name)
        blob.content_encoding, blob.cache_control = content_encoding, cache_control
        mark = uuid.uuid4().hex
        blob.metadata = {**(metadata or {}), _WRITE_MARK: mark}
        try:
            blob.upload_from_string(
                data, content_type=content_type, if_generation_match=if_generation, **self._bounds
            )
        except PreconditionFailed as exc:
            return self._own_generation(name, mark, if_generation, exc)
        return int(blob.generation)

    def _own_generation(self, name: str, mark: str, wanted: int | None, cause: Exception) -> int:
        """Return the generation of our own write, if its answer was lost and the retry then met the new object."""
        now = self._bucket.get_blob(name, **self._bounds)
        if now is not None and (now.metadata or {}).get(_WRITE_MARK) == mark:
            return int(now.generation)
        raise self._changed(name, wanted, int(now.generation) if now else 0) from cause

    def write_json(self, name: str, value: Any, *, if_generation: int | None = None) -> int:
        """Write a value as JSON. Returns and raises as `write` does."""
        text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
        return self.write(
            name, text.encode("utf-8"), content_type=JSON_TYPE, if_generation=if_generation
        )

    def write_once(self, name: str, data: bytes, content_type: str) -> None:
        """Write an object whose name identifies its content. An existing object is left unchanged."""
        try:
            self.write(name, data, content_type=content_type, if_generation=0)
        except ObjectChanged:
            return

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Yield an object as a file that is read piece by piece, as it is now.

        Raises ObjectMissing; ObjectChanged when this generation is deleted meanwhile.
        """
        from google.api_core.exceptions import NotFound

        blob = self._bucket.blob(name)
        try:
            blob.reload(**self._bounds)
        except NotFound as exc:
            raise ObjectMissing(f"{self.uri(name)} does not exist") from exc
        try:
            # reads the generation that is known since `reload`
            with blob.open("rb", chunk_size=PIECE_BYTES, **self._bounds) as file:
                yield cast("IO[bytes]", file)
        except NotFound as exc:
            raise self._changed(name, int(blob.generation), None) from exc

    @contextmanager
    def create(self, name: str, *, content_type: str) -> Iterator[IO[bytes]]:
        """Yield a file that is written piece by piece. The object appears at the end of the block, unless it raises.

        Raises ObjectChanged if it exists by then.
        """
        from google.api_core.exceptions import from_http_response
        from google.cloud.storage.exceptions import InvalidResponse

        new = {"if_generation_match": 0, **self._bounds}
        file = self._bucket.blob(name).open(
            "wb", chunk_size=PIECE_BYTES, content_type=content_type, **new
        )
        try:
            yield cast("IO[bytes]", file)
            file.close()
        except InvalidResponse as exc:  # which is no GoogleAPICallError
            file.terminate()
            if exc.response.status_code == HTTPStatus.PRECONDITION_FAILED:
                raise self._changed(name, 0, None) from exc
            raise from_http_response(exc.response) from exc  # type: ignore[no-untyped-call]
        except BaseException:
            file.terminate()
            raise

    def move_once(self, name: str, to: str) -> None:
        """Give an object another name, without its bytes passing through here. An existing object is left unchanged.

        The old object is deleted without leaving an older version of it.
        """
        from google.api_core.exceptions import PreconditionFailed

        source, target = self._bucket.blob(name), self._bucket.blob(to)
        source.reload(**self._bounds)
        token, same = (
            None,
            {"if_generation_match": 0, "if_source_generation_match": source.generation},
        )
        try:
            while True:
                token, *_ = target.rewrite(source, token=token, **same, **self._bounds)
                if token is None:
                    break
        except PreconditionFailed:
            pass
        self._bucket.delete_blob(name, generation=source.generation, **self._bounds)

    def exists(self, name: str) -> bool:
        """Return whether an object exists."""
        return bool(self._bucket.blob(name).exists(**self._bounds))

    def describe(self, name: str) -> ObjectVersion:
        """Return what is known of an object without its bytes. Raises ObjectMissing."""
        blob = self._bucket.get_blob(name, **self._bounds)
        if blob is None:
            raise ObjectMissing(f"{self.uri(name)} does not exist")
        return _version_of(blob)

    def names(self, prefix: str) -> list[str]:
        """Return the names of the objects that begin with `prefix`, sorted."""
        return sorted(blob.name for blob in self._bucket.list_blobs(prefix=prefix, **self._bounds))

    def versions(self, prefix: str) -> list[ObjectVersion]:
        """Return the objects that begin with `prefix`, sorted by name."""
        listed = self._bucket.list_blobs(prefix=prefix, **self._bounds)
        return sorted(map(_version_of, listed), key=lambda version: version.name)

    def download(self, version: ObjectVersion, path: Path) -> None:
        """Write a listed object to a file. Raises ObjectChanged when it was written again or deleted since."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        blob = self._bucket.blob(version.name)
        try:
            blob.download_to_filename(
                str(path), if_generation_match=version.generation, **self._bounds
            )
        except (NotFound, PreconditionFailed) as exc:
            raise self._changed(version.name, version.generation, None) from exc

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Delete an object; it may be missing already. Raises ObjectChanged if the precondition fails."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        try:
            self._bucket.blob(name).delete(if_generation_match=if_generation, **self._bounds)
        except NotFound:
            return
        except PreconditionFailed as exc:
            raise self._changed(name, if_generation, None) from exc

    def _changed(self, name: str, wanted: int | None, found: int | None) -> ObjectChanged:
        has = "" if found is None else f", but is {found}"
        return ObjectChanged(
            f"{self.uri(name)}: generation should be {wanted}{has} (0 = no object); "
            "someone else wrote it, so read it again"
        )


def _version_of(blob: Blob) -> ObjectVersion:
    return ObjectVersion(
        blob.name,
        int(blob.generation),
        blob.updated,
        int(blob.size),
        blob.md5_hash,
        blob.content_type,
        blob.content_encoding,
        blob.cache_control,
        blob.metadata or {},
    )


def read_address(address: str) -> bytes:
    """Return the content of the object at a gs:// address. Raises ObjectMissing."""
    bucket, _, name = address.removeprefix("gs://").partition("/")
    return Objects(None, bucket).read(name).data
