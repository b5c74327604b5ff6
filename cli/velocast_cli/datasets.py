"""What an operator does with frozen datasets: freeze a new baseline, list all datasets, verify them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, Literal

from velocast.adapters import champion_manifest
from velocast.adapters.gcs import JSON_TYPE, Objects
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import EventError, ObjectMissing
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases import audit
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import baseline as baselines
from velocast.usecases.training.datasets import (
    count_rows,
    frozen_counts,
    frozen_weather,
    parquet_objects,
)
from velocast.usecases.training.datasets.baseline import BASELINE, BASELINES, Baseline
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import DAY
from velocast.usecases.training.stored import run_store

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Role = Literal["counts", "train_baseline", "test_baseline", "weather", "unknown"]
Copy = Literal["intact", "absent", "differs", "none"]
ORDER = ("counts", "train_baseline", "test_baseline", "weather", "unknown")
LAST_HOUR = datetime(9999, 12, 31, tzinfo=UTC)
HALVES = ("train_baseline", "test_baseline")


class Dataset(Message):
    """One frozen object. `first` and `last` are local days, both included; null when no record describes the object.

    in_force: one of the two halves on which challengers are judged now. used_by: model versions; `forecast/3` is
    version 3 of the forecast model.
    """

    sha256: str
    role: Role
    uri: str
    rows: int | None = None
    first: date | None = None
    last: date | None = None
    in_force: bool = False
    used_by: tuple[str, ...] = ()


class Verification(Message):
    """The state of one dataset in Cloud Storage and in BigQuery; `faults` says what is wrong.

    An absent table has expired; it is loaded again from the object when it is needed. Halves have no table.
    """

    dataset: Dataset
    object_copy: Copy
    table_copy: Copy
    faults: tuple[str, ...] = ()


def freeze_baseline(run: Run[JobSettings]) -> tuple[Baseline, bool]:
    """Freeze all counts before the run's origin as the new baseline; return it and whether it is new.

    The previous baseline is kept, and versions judged on it still refer to it. Counts that give the same bytes change
    nothing. Raises TooLittleHistory; EventError when the counts end before those of the baseline in force;
    ObjectChanged when another baseline was frozen meanwhile.
    """
    bucket = _bucket(run)
    current, generation = _current(bucket)
    made = baselines.cut_baseline(run, frozen_counts.freeze_counts(run))
    if current is not None:
        bucket.write_once(current.name, _bytes(current), JSON_TYPE)
        if made.same_bytes(current):
            return current, False
        if parse_instant(made.counts.last) < parse_instant(current.counts.last):
            raise EventError(
                f"the baseline in force ends with the count of {current.counts.last}, but the counts known at "
                f"{rfc3339(run.as_of)} end with that of {made.counts.last}; freeze as of a later time"
            )
    bucket.write_once(made.name, _bytes(made), JSON_TYPE)
    bucket.write(BASELINE, _bytes(made), content_type=JSON_TYPE, if_generation=generation)
    audit.write(run.warehouse, [_audit_row(run, made)], environment=run.settings.environment)
    return made, True


def list_datasets(run: Run[JobSettings]) -> list[Dataset]:
    """Return every frozen object in the datasets bucket and every one that a record names, even if it is missing.

    Sorted by last day, role and hash. Records are the baselines and what each training execution froze.
    """
    models, bucket = Objects(run.settings.project, run.settings.models_bucket), _bucket(run)
    used = _users(models)
    described = {d.sha256: d for d in _described(run, models, bucket)}
    for name in (
        *bucket.names(f"{count_rows.FOLDER}/"),
        *bucket.names(f"{frozen_weather.FOLDER}/"),
    ):
        sha256 = name.split("/")[1].removesuffix(".parquet")
        stray = Dataset(sha256=sha256, role="unknown", uri=bucket.uri(name))
        described.setdefault(sha256, stray)
    for sha256 in used.keys() - described.keys():
        uri = bucket.uri(f"{count_rows.FOLDER}/{sha256}.parquet")
        described[sha256] = Dataset(sha256=sha256, role="unknown", uri=uri)
    found = [
        d.model_copy(update={"used_by": tuple(used.get(d.sha256, ()))}) for d in described.values()
    ]
    return sorted(found, key=lambda d: (d.last or date.min, ORDER.index(d.role), d.sha256))


def verify_datasets(run: Run[JobSettings], chosen: Sequence[str] = ()) -> Iterator[Verification]:
    """Compare each frozen object with its hash and its record, and the table loaded from it with its rows.

    chosen: hash prefixes; empty for all datasets. Raises ObjectMissing when a prefix matches no dataset.
    """
    known = list_datasets(run)
    for start in chosen:
        if not any(d.sha256.startswith(start) for d in known):
            raise ObjectMissing(
                f"no frozen dataset has a hash that starts with {start!r}; `velocast dataset list` shows all hashes"
            )
    starts = tuple(chosen)
    for dataset in known:
        if not starts or dataset.sha256.startswith(starts):
            yield _verified(run, dataset)


def _verified(run: Run[JobSettings], dataset: Dataset) -> Verification:
    bucket = _bucket(run)
    try:
        with bucket.open(dataset.uri.removeprefix(bucket.uri(""))) as file:
            return _compared(run, dataset, file)
    except ObjectMissing as exc:
        return Verification(
            dataset=dataset, object_copy="absent", table_copy="none", faults=(f"{exc}; restore it",)
        )


def _compared(run: Run[JobSettings], dataset: Dataset, file: IO[bytes]) -> Verification:
    """Compare an object with its hash, its record and its table, in pieces of bounded size."""
    import pyarrow.parquet as pq

    found = parquet_objects.hash_of(file)
    if found != dataset.sha256:
        fault = f"{dataset.uri} has SHA-256 {found}; restore the generation that was frozen"
        return Verification(
            dataset=dataset, object_copy="differs", table_copy="none", faults=(fault,)
        )
    file.seek(0)
    stored, faults = pq.ParquetFile(file), []
    rows = stored.metadata.num_rows
    if dataset.rows is not None and rows != dataset.rows:
        faults.append(f"{dataset.uri} has {rows} rows, but its record says {dataset.rows}")
    table, fault = _table_copy(run, dataset, stored)
    faults += [fault] if fault else []
    return Verification(
        dataset=dataset, object_copy="intact", table_copy=table, faults=tuple(faults)
    )


def _table_copy(
    run: Run[JobSettings], dataset: Dataset, stored: pq.ParquetFile
) -> tuple[Copy, str]:
    if dataset.role in HALVES:
        return "none", ""
    weather = dataset.uri == _bucket(run).uri(f"{frozen_weather.FOLDER}/{dataset.sha256}.parquet")
    owner = frozen_weather.weather_table_name if weather else frozen_counts.counts_table_name
    table = owner(dataset.sha256)
    if not run.warehouse.table_exists(table):
        return "absent", ""
    loaded = _weather_rows(run, table) if weather else _count_rows(run, table)
    if _same_rows(stored, loaded):
        return "intact", ""
    return (
        "differs",
        f"table {table} differs from {dataset.uri}; drop the table, it is loaded again when needed",
    )


def _weather_rows(run: Run[JobSettings], table: str) -> Iterator[pa.Table]:
    columns = schemas.table(schemas.WEATHER).columns
    yield frozen_weather.sorted_weather(run.warehouse.read(table, columns=columns))


def _count_rows(run: Run[JobSettings], table: str) -> Iterator[pa.Table]:
    counters = count_rows.read_counted(run, table, until=LAST_HOUR)
    return count_rows.sorted_rows(run.warehouse, table, counters)


def _same_rows(stored: pq.ParquetFile, loaded: Iterator[pa.Table]) -> bool:
    """Tell whether a table's rows, sorted, are those of an object, whatever pieces they come in."""
    schema = stored.schema_arrow
    frozen = (stored.read_row_group(number) for number in range(stored.num_row_groups))
    pieces = zip_longest(
        parquet_objects.row_groups(frozen, schema), parquet_objects.row_groups(loaded, schema)
    )
    return all(one is not None and one.equals(other) for one, other in pieces)


def _described(run: Run[JobSettings], models: Objects, bucket: Objects) -> Iterator[Dataset]:
    """Yield the datasets that records describe. When two records describe an object, the later one yielded wins."""
    runs = models.names("runs/")
    for name in (n for n in runs if n.endswith(f"/{run_store.FREEZE}")):
        yield _counts(run, FrozenCounts.model_validate(models.read_json(name)[0]))
    for name in (n for n in runs if n.endswith(f"/{run_store.WEATHER}")):
        frozen = FrozenWeather.model_validate(models.read_json(name)[0])
        yield Dataset(sha256=frozen.sha256, role="weather", uri=frozen.uri, rows=frozen.rows)
    of_runs = [models.read_json(n)[0] for n in runs if n.endswith(f"/{run_store.BASELINE}")]
    kept = [bucket.read_json(n)[0] for n in bucket.names(BASELINES)]
    pairs = [Baseline.model_validate(value) for value in (*of_runs, *kept)]
    current, _ = _current(bucket)
    for pair in [*pairs, *([current] if current else [])]:
        yield _counts(run, pair.counts)
        yield from _halves(pair, in_force=current is not None and pair.same_bytes(current))


def _counts(run: Run[JobSettings], frozen: FrozenCounts) -> Dataset:
    days = frozen.known(run)
    return Dataset(
        sha256=frozen.sha256,
        role="counts",
        uri=frozen.uri,
        rows=frozen.rows,
        first=days.first,
        last=days.until - DAY,
    )


def _halves(pair: Baseline, *, in_force: bool) -> Iterator[Dataset]:
    roles: tuple[tuple[Role, frozen_counts.BaselineHalf], ...] = (
        ("train_baseline", pair.train),
        ("test_baseline", pair.test),
    )
    for role, half in roles:
        yield Dataset(
            sha256=half.sha256,
            role=role,
            uri=half.uri,
            rows=half.rows,
            first=half.days.first,
            last=half.days.until - DAY,
            in_force=in_force,
        )


def _users(models: Objects) -> dict[str, list[str]]:
    """Return hash to the versions that name it."""
    used: dict[str, list[str]] = {}
    for entry in champion_manifest.read_summary(models):
        for sha256 in sorted(set(entry.dataset_hashes.values())):
            used.setdefault(sha256, []).append(f"{entry.task}/{entry.version}")
    return used


def _current(bucket: Objects) -> tuple[Baseline | None, int]:
    try:
        value, generation = bucket.read_json(BASELINE)
    except ObjectMissing:
        return None, 0
    return Baseline.model_validate(value), generation


def _bytes(baseline: Baseline) -> bytes:
    return baseline.model_dump_json(indent=1).encode()


def _audit_row(run: Run[JobSettings], made: Baseline) -> AuditRow:
    return AuditRow(
        event_id=f"freeze:{made.train.sha256[:16]}-{made.test.sha256[:16]}",
        timestamp=run.as_of,
        event_type="TRAINING",
        as_of=run.as_of,
        execution_id=run.execution_id,
        details={"baseline": made.model_dump(mode="json")},
    )


def _bucket(run: Run[JobSettings]) -> Objects:
    return Objects(run.settings.project, run.settings.datasets_bucket)
