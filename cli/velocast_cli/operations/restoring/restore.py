"""Brings back what was overwritten or deleted: an object's earlier generation, a table as it was, the database.

Nothing is lost by a restore: an object's generations stay, and BigQuery keeps every second of the last seven days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters import google_clients
from velocast.core import schemas
from velocast.core.datetimes import rfc3339
from velocast.core.errors import EventError, ObjectChanged, ObjectMissing
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run

if TYPE_CHECKING:
    from google.cloud import bigquery
    from google.cloud.storage import Blob

CALL_SECONDS = 60.0
JOB_SECONDS = 600.0
TIME_TRAVEL = timedelta(days=7)
COPY_DAYS = 30  # how long the copy of a restored table is kept
# Terraform requires a filter on the partition, and this one lets every row pass.
EVERY_PARTITION = "TIMESTAMP '1900-01-01'"


@dataclass(frozen=True)
class Generation:
    """One content of an object. `is_live`: the one that is read now."""

    generation: int
    written: datetime
    size: int
    is_live: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it with JSON's types; generations as text, since they exceed JavaScript's integers."""
        return vars(self) | {
            "generation": str(self.generation),
            "written": rfc3339(self.written),
        }


class StoredObject:
    """An object of a versioned bucket and its generations. Methods raise GoogleAPICallError."""

    def __init__(self, project: str, bucket: str, name: str) -> None:
        self.bucket = bucket
        self.name = name
        self._bucket = google_clients.storage_client(project).bucket(bucket)

    @property
    def uri(self) -> str:
        """The gs:// address."""
        return f"gs://{self.bucket}/{self.name}"

    def generations(self) -> list[Generation]:
        """Return all contents that are kept, newest first. Raises ObjectMissing if there is none."""
        blobs: list[Blob] = list(
            self._bucket.list_blobs(prefix=self.name, versions=True, timeout=CALL_SECONDS)
        )
        own = [blob for blob in blobs if blob.name == self.name]
        if not own:
            raise ObjectMissing(
                f"{self.uri} has no version that is kept; check the name, or "
                "use `gcloud storage restore` while the object is only soft-deleted"
            )
        live = [blob.generation for blob in own if blob.time_deleted is None]
        found = [
            Generation(int(b.generation), b.time_created, int(b.size), b.generation in live)
            for b in own
        ]
        return sorted(found, key=lambda g: g.generation, reverse=True)

    def restore(self, generation: int, *, replacing: int) -> int:
        """Make an earlier content the live one and return its new generation.

        replacing: the live generation, 0 if the object is deleted. Raises ObjectChanged if it is another by now,
        ObjectMissing if the earlier one is gone.
        """
        from google.api_core.exceptions import NotFound, PreconditionFailed

        source = self._bucket.blob(self.name)
        try:
            copied = self._bucket.copy_blob(
                source,
                self._bucket,
                self.name,
                source_generation=generation,
                if_generation_match=replacing,
                timeout=CALL_SECONDS,
            )
        except PreconditionFailed as exc:
            raise ObjectChanged(
                f"{self.uri} is no longer generation {replacing}; look again before you restore"
            ) from exc
        except NotFound as exc:
            raise ObjectMissing(f"{self.uri} has no generation {generation}") from exc
        return int(copied.generation)


def chosen_generation(
    found: Sequence[Generation], *, generation: int | None, before: datetime | None
) -> Generation:
    """Return the generation to restore: the one named, else the newest not live, written at `before` or earlier.

    found: newest first. Raises EventError when there is none, or it is live already.
    """
    wanted = [g for g in found if generation in (None, g.generation) and not g.is_live]
    wanted = [g for g in wanted if before is None or g.written <= before]
    if wanted:
        return wanted[0]
    names = ", ".join(f"{g.generation}{' (live)' if g.is_live else ''}" for g in found)
    raise EventError(f"no such earlier generation; there is {names}")


@dataclass(frozen=True)
class RestoredTable:
    """A table's number of rows before and after, and the copy that its rows were taken from."""

    table: str
    before: int
    after: int
    copy: str

    def as_dict(self) -> dict[str, Any]:
        """Return it with JSON's types."""
        return dict(vars(self))


class Tables:
    """The tables of a deployment, as they were. Methods raise google.api_core.exceptions.GoogleAPIError."""

    def __init__(self, run: Run[JobSettings]) -> None:
        self._run = run
        self._project = run.settings.project
        self._client: bigquery.Client = google_clients.bigquery_client(
            self._project, run.settings.location
        )

    def rows(self, table: str) -> int:
        """Return how many rows a table holds."""
        return self._count(f"SELECT COUNT(*) AS n FROM {self._quoted(table)}{_where(table)}")

    def copy_of(self, table: str, at: datetime) -> str:
        """Copy a table as it was at `at` (UTC) into a new table beside it, which expires, and return its name.

        Raises EventError when that is longer ago than BigQuery keeps.
        """
        if at < self._run.as_of - TIME_TRAVEL or at > self._run.as_of:
            raise EventError(
                f"BigQuery keeps the last {TIME_TRAVEL.days} days: {rfc3339(at)} is not between "
                f"{rfc3339(self._run.as_of - TIME_TRAVEL)} and {rfc3339(self._run.as_of)}"
            )
        name = f"{table}_as_of_{at:%Y%m%dT%H%M%SZ}"
        self._copy(f"{table}@{int(at.timestamp() * 1000)}", name)
        return name

    def replace_rows(self, table: str, source: str, *, like: str | None = None) -> RestoredTable:
        """Replace a table's rows by those of another table, in one transaction; columns that it lacks become null.

        The table keeps its schema, so rows of an older version of Velocast fit. source: dataset.table. like: the table
        of `schemas` whose columns it has, by default itself.
        """
        known = known_table(like or table)
        before = self.rows(table)
        having = [field.name for field in self._table(source).schema]
        work = replacement_sql(known, self._quoted(table), self._quoted(source), having)
        self._script(";\n".join(["BEGIN TRANSACTION", *work, "COMMIT TRANSACTION;"]))
        return RestoredTable(table, before, self.rows(table), source)

    def snapshot(self, table: str, name: str) -> str:
        """Copy a table as it is now and return the copy's name (dataset.table)."""
        self._copy(table, name)
        return name

    def empty(self, name: str) -> None:
        """Delete all rows of a table that this command made."""
        self._script(f"TRUNCATE TABLE {self._quoted(name)}")

    def drop(self, name: str) -> None:
        """Delete a table that this command made."""
        self._client.delete_table(
            f"{self._project}.{name}", not_found_ok=True, timeout=CALL_SECONDS
        )

    def _copy(self, source: str, name: str) -> None:
        from google.cloud import bigquery

        config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
        self._client.copy_table(
            f"{self._project}.{source}",
            f"{self._project}.{name}",
            job_config=config,
            timeout=CALL_SECONDS,
        ).result(timeout=JOB_SECONDS)
        made = self._table(name)
        made.expires = self._run.as_of + timedelta(days=COPY_DAYS)
        self._client.update_table(made, ["expires"], timeout=CALL_SECONDS)

    def _table(self, name: str) -> bigquery.Table:
        return self._client.get_table(f"{self._project}.{name}", timeout=CALL_SECONDS)

    def _count(self, sql: str) -> int:
        rows = self._client.query(sql, timeout=CALL_SECONDS).result(timeout=JOB_SECONDS)
        return int(next(iter(rows))["n"])

    def _script(self, sql: str) -> None:
        self._client.query(sql, timeout=CALL_SECONDS).result(timeout=JOB_SECONDS)

    def _quoted(self, name: str) -> str:
        return f"`{self._project}.{name}`"


def replacement_sql(table: str, target: str, source: str, having: Sequence[str]) -> list[str]:
    """Return the statements that replace all rows of `target` by those of `source`, both quoted.

    table: the table of `schemas` whose columns the target has; having: the columns of the source.
    """
    schema = schemas.table(table)
    columns = ", ".join(f"`{name}`" for name in schema.columns if name in having)
    field = schema.partition_field
    every = f"`{field}` >= {EVERY_PARTITION}" if field else "TRUE"
    kept = f" WHERE {every}" if field in having else ""
    return [
        f"DELETE FROM {target} WHERE {every}",
        f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {source}{kept}",
    ]


def known_table(table: str) -> str:
    """Return a table's name if it is one of `schemas.TABLES`. Raises EventError."""
    if table not in schemas.TABLES:
        raise EventError(f"{table!r} is none of Velocast's tables: {', '.join(schemas.TABLES)}")
    return table


def _where(table: str) -> str:
    field = schemas.table(table).partition_field if table in schemas.TABLES else None
    return f" WHERE `{field}` >= {EVERY_PARTITION}" if field else ""
