"""The contents of the local Cloud Storage: SQLite for metadata, one file per generation for the bytes."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.storage.preconditions import Preconditions, condition_not_met
from gcp_emulators.storage.resources import (
    Checksums,
    ObjectGeneration,
    Resource,
    check_announced,
    merged,
    new_bucket,
    new_object,
)

_TABLES = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, resource TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
  bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, live INTEGER NOT NULL,
  file TEXT NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (bucket, name, generation));
CREATE UNIQUE INDEX IF NOT EXISTS one_live ON objects (bucket, name) WHERE live = 1;
"""


class ObjectStore:
    """Buckets and objects under `folder`, kept across restarts.

    One lock is held from the check of a precondition to the write that it guards, so exactly one of several racing
    writers with the same precondition succeeds. now: gives the times in the metadata.
    """

    def __init__(
        self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._files = folder / "generations"
        self._files.mkdir(parents=True, exist_ok=True)
        self._now = now
        self._lock = threading.RLock()
        self._garbage: list[str] = []
        self._database = sqlite3.connect(
            folder / "metadata.sqlite", check_same_thread=False, isolation_level=None
        )
        self._database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES
        )
        newest = self._database.execute("SELECT max(generation) FROM objects").fetchone()[0]
        self._generation = int(newest or 0)

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        with self._lock:
            self._database.close()

    def ensure_bucket(
        self, name: str, *, versioning: bool = False, location: str = "EU"
    ) -> Resource:
        """Return the bucket with that name; create it if it does not exist."""
        with self._lock:
            if self._bucket(name) is None:
                self.create_bucket(
                    {"name": name, "versioning": {"enabled": versioning}, "location": location}
                )
            return self.bucket(name)

    def create_bucket(self, resource: Resource) -> Resource:
        """Create a bucket; raises 400 for an invalid name and 409 if it exists."""
        name = str(resource.get("name") or "")
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name):
            raise GoogleApiError(400, f"Invalid bucket name: '{name}'", reason="invalid")
        made = new_bucket(name, resource, self._timestamp())
        with self._lock:
            if self._bucket(name) is not None:
                raise GoogleApiError(409, f"The bucket exists already: {name}", reason="conflict")
            self._database.execute("INSERT INTO buckets VALUES (?, ?)", (name, json.dumps(made)))
        return made

    def bucket(self, name: str) -> Resource:
        """Return a bucket's resource; raises 404 if it does not exist."""
        found = self._bucket(name)
        if found is None:
            raise GoogleApiError(
                404, f"The specified bucket does not exist: {name}", reason="notFound"
            )
        return found

    def is_versioned(self, name: str) -> bool:
        """Return whether a bucket keeps overwritten and deleted generations."""
        return bool(self.bucket(name).get("versioning", {}).get("enabled", False))

    def buckets(self, prefix: str = "") -> list[Resource]:
        """Return all buckets whose name starts with `prefix`, sorted by name."""
        with self._lock:
            rows = self._database.execute("SELECT resource FROM buckets ORDER BY name").fetchall()
        return [b for b in (json.loads(row[0]) for row in rows) if b["name"].startswith(prefix)]

    def update_bucket(self, name: str, changes: Resource, conditions: Preconditions) -> Resource:
        """Overwrite fields of a bucket's resource; raises 412 if the metageneration is stale."""
        with self._lock:
            found = self.bucket(name)
            have = int(found["metageneration"])
            if conditions.metageneration not in (None, have):
                raise condition_not_met(f"{name}: metageneration is {have}")
            found |= changes | {"metageneration": str(have + 1), "updated": self._timestamp()}
            self._database.execute(
                "UPDATE buckets SET resource = ? WHERE name = ?", (json.dumps(found), name)
            )
        return found

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket; raises 409 if it is not empty."""
        with self._lock:
            if self.objects(name, versions=True):
                raise GoogleApiError(409, f"The bucket is not empty: {name}", reason="conflict")
            self._database.execute("DELETE FROM buckets WHERE name = ?", (name,))

    def empty_bucket(self, name: str) -> None:
        """Delete every generation of every object in a bucket."""
        with self._transaction():
            for stored in self.objects(name, versions=True):
                self._remove(stored)

    def put(
        self, bucket: str, name: str, data: bytes, metadata: Resource, conditions: Preconditions
    ) -> ObjectGeneration:
        """Write a new generation of an object and return it; raises 412, or 400 for a wrong checksum."""
        if not name:
            raise GoogleApiError(400, f"gs://{bucket}: an object needs a name", reason="required")
        sums = check_announced(Checksums(data).encoded(), metadata)
        file = self.new_file()
        file.write_bytes(data)
        return self.put_file(bucket, name, file, metadata | sums, conditions)

    def new_file(self) -> Path:
        """Return the path of a new file, for bytes that arrive in pieces."""
        return self._files / uuid.uuid4().hex

    def put_file(
        self, bucket: str, name: str, file: Path, metadata: Resource, conditions: Preconditions
    ) -> ObjectGeneration:
        """Write a new generation from a `new_file`, with the checksums in `metadata`; otherwise like `put`."""
        if not name:
            raise GoogleApiError(400, f"gs://{bucket}: an object needs a name", reason="required")
        try:
            with self._transaction():
                size = file.stat().st_size
                return self._put(bucket, name, file.name, size, metadata, conditions)
        except GoogleApiError:
            file.unlink()
            raise

    def copy(
        self,
        original: ObjectGeneration,
        target: tuple[str, str],
        metadata: Resource,
        conditions: Preconditions,
    ) -> ObjectGeneration:
        """Give an object's bytes another name, without reading them, as Cloud Storage does; raises as `put`."""
        file = self.new_file()
        with self._lock:
            file.hardlink_to(self._files / original.file)
        return self.put_file(*target, file, metadata, conditions)

    def _put(
        self,
        bucket: str,
        name: str,
        file: str,
        size: int,
        metadata: Resource,
        conditions: Preconditions,
    ) -> ObjectGeneration:
        versioned = self.is_versioned(bucket)
        current = self.find(bucket, name)
        conditions.check(f"gs://{bucket}/{name}", current)
        if current:
            self._retire(current, keep=versioned)
        self._generation = max(self._generation + 1, int(self._now().timestamp() * 1_000_000))
        resource = new_object(bucket, name, self._generation, metadata, self._timestamp())
        resource["size"] = str(size)
        stored = ObjectGeneration(bucket, name, self._generation, True, file, resource)
        self._database.execute(
            "INSERT INTO objects VALUES (?, ?, ?, 1, ?, ?)",
            (bucket, name, stored.generation, file, json.dumps(resource)),
        )
        return stored

    def find(
        self, bucket: str, name: str, generation: int | None = None
    ) -> ObjectGeneration | None:
        """Return the live or the given generation of an object; None if it does not exist."""
        where, value = ("live", 1) if generation is None else ("generation", generation)
        with self._lock:
            row = self._database.execute(
                f"SELECT * FROM objects WHERE bucket = ? AND name = ? AND {where} = ?",
                (bucket, name, value),
            ).fetchone()
        return ObjectGeneration.from_row(row) if row else None

    def get(
        self, bucket: str, name: str, conditions: Preconditions, generation: int | None = None
    ) -> ObjectGeneration:
        """Return an object; raises 404, 412 or 304."""
        stored = self._existing(bucket, name, generation)
        conditions.check(f"gs://{bucket}/{name}", stored, reading=True)
        return stored

    def read(
        self, bucket: str, name: str, conditions: Preconditions, generation: int | None = None
    ) -> tuple[ObjectGeneration, bytes]:
        """Return an object and its bytes; raises 404, 412 or 304."""
        stored, file = self.open(bucket, name, conditions, generation)
        with file:
            return stored, file.read()

    def open(
        self, bucket: str, name: str, conditions: Preconditions, generation: int | None = None
    ) -> tuple[ObjectGeneration, IO[bytes]]:
        """Return an object and its bytes as an open file; raises 404, 412 or 304."""
        with self._lock:
            stored = self.get(bucket, name, conditions, generation)
            return stored, (self._files / stored.file).open("rb")

    def update(
        self,
        bucket: str,
        name: str,
        changes: Resource,
        conditions: Preconditions,
        generation: int | None = None,
    ) -> ObjectGeneration:
        """Change editable metadata and increment the metageneration; raises 404 or 412."""
        with self._transaction():
            stored = self._existing(bucket, name, generation)
            conditions.check(f"gs://{bucket}/{name}", stored)
            resource = merged(stored.resource, changes)
            resource["metageneration"] = str(stored.metageneration + 1)
            resource["updated"] = self._timestamp()
            self._save(replace(stored, resource=resource))
            return replace(stored, resource=resource)

    def delete(
        self, bucket: str, name: str, conditions: Preconditions, generation: int | None = None
    ) -> None:
        """Delete an object (in a versioned bucket: make it noncurrent) or one of its generations; raises 404 or 412."""
        with self._transaction():
            versioned = self.is_versioned(bucket)
            stored = self._existing(bucket, name, generation)
            conditions.check(f"gs://{bucket}/{name}", stored)
            self._retire(stored, keep=versioned and generation is None)

    def objects(self, bucket: str, *, versions: bool = False) -> list[ObjectGeneration]:
        """Return a bucket's objects, sorted by name and generation; only live ones unless `versions`."""
        with self._lock:
            self.bucket(bucket)
            rows = self._database.execute(
                "SELECT * FROM objects WHERE bucket = ? AND (live = 1 OR ?) ORDER BY name, generation",
                (bucket, versions),
            ).fetchall()
        return [ObjectGeneration.from_row(row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                self._garbage.clear()
                raise
            self._database.execute("COMMIT")
            for file in self._garbage:
                (self._files / file).unlink(missing_ok=True)
            self._garbage.clear()

    def _bucket(self, name: str) -> Resource | None:
        with self._lock:
            row = self._database.execute(
                "SELECT resource FROM buckets WHERE name = ?", (name,)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def _existing(self, bucket: str, name: str, generation: int | None) -> ObjectGeneration:
        stored = self.find(bucket, name, generation)
        if stored is None:
            self.bucket(bucket)
            raise GoogleApiError(404, f"No such object: {bucket}/{name}", reason="notFound")
        return stored

    def _retire(self, stored: ObjectGeneration, *, keep: bool) -> None:
        if not keep:
            self._remove(stored)
            return
        gone = stored.resource | {"timeDeleted": self._timestamp()}
        self._save(replace(stored, live=False, resource=gone))

    def _save(self, stored: ObjectGeneration) -> None:
        self._database.execute(
            "UPDATE objects SET live = ?, resource = ? WHERE bucket = ? AND name = ? AND generation = ?",
            (
                stored.live,
                json.dumps(stored.resource),
                stored.bucket,
                stored.name,
                stored.generation,
            ),
        )

    def _remove(self, stored: ObjectGeneration) -> None:
        self._database.execute(
            "DELETE FROM objects WHERE bucket = ? AND name = ? AND generation = ?",
            (stored.bucket, stored.name, stored.generation),
        )
        # the bytes are deleted after the commit: a process killed in between leaves the object whole
        self._garbage.append(stored.file)

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
