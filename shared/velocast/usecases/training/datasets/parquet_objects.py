"""Parquet objects of the datasets bucket under the hash of their bytes, written and read in pieces of bounded size."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Protocol

from velocast.adapters.gcs import PIECE_BYTES, Objects
from velocast.core.errors import ModelUnusable

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET_TYPE = "application/vnd.apache.parquet"
# pyarrow's own, so that the bytes are those of one `pq.write_table` of all rows: however the rows were read, the same
# rows have the same hash.
ROW_GROUP = 1 << 20
PARTIAL = "partial/"  # objects whose hash is not known yet; the bucket's lifecycle deletes what a killed job leaves
HELD_BYTES = 32 << 20  # a smaller object is written at once, under its name


class ParquetObject(Protocol):
    """Any record of a stored object: the hash of its bytes, and where it is."""

    @property
    def sha256(self) -> str:
        """Hash of its bytes."""

    @property
    def uri(self) -> str:
        """Its gs:// address."""


def store(
    bucket: Objects, pieces: Iterable[pa.Table], schema: pa.Schema, *, folder: str
) -> tuple[str, str]:
    """Write rows, given in pieces of any size, into `folder/<hash>.parquet`; return (sha256, uri)."""
    import pyarrow.parquet as pq

    with _HashedObject(bucket) as file:
        # No Arrow schema in the file: its bytes then follow from the rows and the writer's version alone.
        with pq.ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer:
            for group in row_groups(pieces, schema):
                writer.write_table(group, row_group_size=ROW_GROUP)
        sha256 = file.hash.hexdigest()
        name = f"{folder}/{sha256}.parquet"
        file.keep(name)
    return sha256, bucket.uri(name)


def row_groups(pieces: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows in tables of ROW_GROUP rows, the last one shorter; one empty table for no rows."""
    import pyarrow as pa

    held = schema.empty_table()
    none = True
    for piece in pieces:
        held = pa.concat_tables([held, piece])
        while held.num_rows >= ROW_GROUP:
            yield held.slice(0, ROW_GROUP).combine_chunks()
            held, none = held.slice(ROW_GROUP), False
    if none or held.num_rows:
        yield held.combine_chunks()


@contextmanager
def open_checked(bucket: Objects, stored: ParquetObject) -> Iterator[IO[bytes]]:
    """Yield an object as a file, after its bytes were read once to compare their hash.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    with bucket.open(stored.uri.removeprefix(bucket.uri(""))) as file:
        found = hash_of(file)
        if found != stored.sha256:
            raise ModelUnusable(
                f"{stored.uri} has SHA-256 {found}; it was frozen as {stored.sha256}: restore the object"
            )
        file.seek(0)
        yield file


def hash_of(file: IO[bytes]) -> str:
    """Return the SHA-256 of the rest of a file."""
    made = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        made.update(piece)
    return made.hexdigest()


def read(bucket: Objects, stored: ParquetObject) -> pa.Table:
    """Return all rows of an object, for small ones. Raises as `open_checked`."""
    import pyarrow.parquet as pq

    with open_checked(bucket, stored) as file:
        return pq.read_table(io.BytesIO(file.read()))


class _HashedObject(io.RawIOBase):
    """A file that becomes the object `keep` names. It is held in memory up to HELD_BYTES, then in a partial object."""

    def __init__(self, bucket: Objects) -> None:
        super().__init__()
        self.hash = hashlib.sha256()
        self._bucket = bucket
        self._held = io.BytesIO()
        self._partial = f"{PARTIAL}{uuid.uuid4().hex}"
        self._file: IO[bytes] | None = None
        self._stack = ExitStack()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.hash.update(data)
        if self._file is None and self._held.tell() + len(data) > HELD_BYTES:
            writing = self._bucket.create(self._partial, content_type=PARQUET_TYPE)
            self._file = self._stack.enter_context(writing)
            self._file.write(self._held.getvalue())
            self._held = io.BytesIO()
        (self._file or self._held).write(data)
        return len(data)

    def keep(self, name: str) -> None:
        if self._file is None:
            self._bucket.write_once(name, self._held.getvalue(), PARQUET_TYPE)
            return
        self._stack.close()
        self._bucket.move_once(self._partial, name)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._stack.__exit__(kind, error, traceback)  # type: ignore[arg-type]
