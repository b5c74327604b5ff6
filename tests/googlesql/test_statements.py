"""Every statement that is sent to BigQuery passes Google's own analyzer, with the parameters' declared types.

The analyzer checks names, types, functions and grouping. It runs nothing, and knows no partition filter and no quota.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.googlesql.analyzer import Analyzer, Statement, missing_programs
from velocast.adapters.bigquery import sql_templates, staging
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.jobs import Jobs
from velocast.adapters.bigquery.revisions import Remembering
from velocast.core import schemas
from velocast.usecases.forecasting import stored_rows
from velocast.usecases.histories import decisions
from velocast.usecases.ingest import fetch, gaps, verdicts, weather
from velocast_cli.operations.restoring import restore

MISSING = missing_programs()
pytestmark = [
    pytest.mark.googlesql,
    pytest.mark.skipif(bool(MISSING), reason=f"Google's analyzer needs {' and '.join(MISSING)}"),
]
PROJECT = "p"
FROZEN = "bike_traffic_raw.frozen"
KEPT = "bike_traffic_raw.kept"
MADE = "bike_traffic_raw.made"
VIEWS = Path(__file__).parents[2] / "terraform" / "modules" / "warehouse" / "views"


def sql_files() -> list[str]:
    """Return the names of the product's SQL files."""
    folder = files("velocast").joinpath("sql")
    return sorted(f.name.removesuffix(".sql") for f in folder.iterdir() if f.name.endswith(".sql"))


def rows_of(table: str) -> pa.Table:
    """Return one row of a table with a value in every column."""
    values = {
        "STRING": "x",
        "INTEGER": 1,
        "FLOAT": 1.5,
        "BOOLEAN": True,
        "TIMESTAMP": datetime(2026, 3, 1, tzinfo=UTC),
        "DATE": datetime(2026, 3, 1, tzinfo=UTC).date(),
        "JSON": "{}",
    }
    row = {f.name: values[f.type] for f in schemas.table(table).fields}
    return pa.Table.from_pylist([row], schema=schemas.arrow(table))


# The type in which the use cases send each parameter; one name has one type in all files.
PARAMETERS = {
    "affected": "ARRAY<STRING>",
    "always": "ARRAY<STRING>",
    "as_of": "TIMESTAMP",
    "busy_since": "TIMESTAMP",
    "closed_counters": "ARRAY<STRING>",
    "closed_since": "ARRAY<TIMESTAMP>",
    "closed_until": "ARRAY<TIMESTAMP>",
    "component": "STRING",
    "counter_id": "STRING",
    "counter_ids": "ARRAY<STRING>",
    "ended": "ARRAY<STRING>",
    "event_type": "STRING",
    "execution_id": "STRING",
    "first_hour": "TIMESTAMP",
    "first_lag": "TIMESTAMP",
    "first_origin": "DATE",
    "holidays": "ARRAY<DATE>",
    "instead": "STRING",
    "keep_one_in": "INT64",
    "kept_from": "TIMESTAMP",
    "kept_until": "TIMESTAMP",
    "known_at": "TIMESTAMP",
    "last_origin": "DATE",
    "last_target": "TIMESTAMP",
    "later_hours": "BOOL",
    "lead_days": "INT64",
    "learned_until": "TIMESTAMP",
    "look_from": "TIMESTAMP",
    "mark_from": "TIMESTAMP",
    "min_weeks": "INT64",
    "most": "INT64",
    "name": "STRING",
    "newest": "INT64",
    "one_lead": "BOOL",
    "origin_at": "TIMESTAMP",
    "recent_hour": "TIMESTAMP",
    "repeated": "ARRAY<TIMESTAMP>",
    "scan_from": "TIMESTAMP",
    "scan_until": "TIMESTAMP",
    "since": "TIMESTAMP",
    "spike_days": "INT64",
    "spike_factor": "FLOAT64",
    "spike_margin": "FLOAT64",
    "status": "STRING",
    "term_counters": "ARRAY<STRING>",
    "term_parts": "ARRAY<STRING>",
    "term_since": "ARRAY<TIMESTAMP>",
    "term_sizes": "ARRAY<INT64>",
    "term_until": "ARRAY<TIMESTAMP>",
    "until": "TIMESTAMP",
    "version": "INT64",
    "with_busy": "BOOL",
    "zone": "STRING",
}
# How the use cases merge into each table: keys, compared columns and columns that are never updated.
MERGES: list[tuple[str, dict[str, Any]]] = [
    (schemas.COUNTS, {"keys": fetch.KEY, "update": ["bike_count"], "insert_only": ["quality"]}),
    (schemas.WEATHER, {"keys": weather.KEY}),
    (schemas.COUNTERS, {"keys": ["counter_id"]}),
    (schemas.VERDICTS, {"keys": verdicts.KEY, "update": verdicts.COMPARED}),
    (schemas.CONTINUATIONS, {"keys": decisions.KEY, "update": decisions.COMPARED}),
    (schemas.COUNT_ESTIMATES, {"keys": gaps.KEY}),
    (schemas.FORECASTS, {"keys": stored_rows.KEY, "update": stored_rows.COMPARED}),
    (schemas.LOGS, {"keys": ["event_id"]}),
]


def type_of(sent: dict[str, Any]) -> str:
    """Return the name of a parameter's type as it is sent."""
    if sent["type"] == "ARRAY":
        return f"ARRAY<{type_of(sent['arrayType'])}>"
    if sent["type"] == "STRUCT":
        fields = [f"{each['name']} {type_of(each['type'])}" for each in sent["structTypes"]]
        return f"STRUCT<{', '.join(fields)}>"
    return str(sent["type"])


class RecordedJobs(Jobs):
    """Jobs that are not sent: it keeps the statements and the columns of the tables they make."""

    def __init__(self) -> None:
        super().__init__(PROJECT, "europe-west1")
        self.statements: list[Statement] = []
        self.tables: dict[str, dict[str, str]] = {
            f"{PROJECT}.{name}": {f.name: f.type for f in schemas.table(name).fields}
            for name in schemas.TABLES
        }

    def create(self, name: str, schema: pa.Schema, *, hours: int) -> None:
        made = staging.create_sql(sql_templates.quoted(PROJECT, name), schema, hours)
        self.statements.append(Statement(made))
        fields = re.search(r"\((.*?)\)", made)
        assert fields
        columns = [field.split() for field in fields[1].split(", ")]
        self.tables[f"{PROJECT}.{name}"] = dict(columns)

    def append(self, name: str, rows: pa.Table) -> None:
        assert f"{PROJECT}.{name}" in self.tables

    def run(self, text: str, parameters: dict[str, Any], *, page_rows: int | None = None) -> Any:
        sent = [each.to_api_repr() for each in sql_templates.query_parameters(parameters)]
        types = {each["name"]: type_of(each["parameterType"]) for each in sent}
        # the analyzer takes a script apart into statements
        for one in text.split(";\n") if text.startswith("BEGIN TRANSACTION") else [text]:
            self.statements.append(Statement(one.removesuffix(";"), types))
        return [{"inserted": 1, "updated": 1}]

    def change(self, text: str, parameters: dict[str, Any]) -> int:
        self.run(text, parameters)
        return 2

    @contextmanager
    def scratch(self, dataset: str, *, kept: bool = False) -> Iterator[str]:
        yield f"{dataset}.staging_1"


class Recorder(Warehouse):
    """A warehouse that sends nothing."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        super().__init__(PROJECT, "europe-west1")
        self._jobs = jobs = RecordedJobs()
        self.statements, self.tables = jobs.statements, jobs.tables

    def refusals(self) -> list[str]:
        """Return why the analyzer refuses statements, with their text."""
        answers = self._analyzer.refusals(self.tables, self.statements)
        return [f"{why}\n{s.sql}" for s, why in zip(self.statements, answers, strict=True) if why]


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer() as running:
        yield running


@pytest.fixture
def recorder(analyzer: Analyzer) -> Recorder:
    return Recorder(analyzer)


@pytest.mark.parametrize("name", sql_files())
def test_a_file_is_valid(name: str, recorder: Recorder) -> None:
    for table in (FROZEN, KEPT):
        recorder.tables[f"{PROJECT}.{table}"] = recorder.tables[f"{PROJECT}.{schemas.COUNTS}"]
    recorder.tables[f"{PROJECT}.{MADE}"] = recorder.tables[f"{PROJECT}.{schemas.COUNT_ESTIMATES}"]
    text = sql_templates.statement(name, PROJECT, {"frozen": FROZEN, "kept": KEPT, "made": MADE})
    used = {n: t for n, t in PARAMETERS.items() if re.search(rf"@{n}\b", text)}
    recorder.statements.append(Statement(text, used))
    assert recorder.refusals() == []


@pytest.mark.parametrize("file", sorted(VIEWS.glob("*.sql")), ids=lambda f: f.stem)
def test_a_view_is_valid(file: Path, recorder: Recorder) -> None:
    text = file.read_text(encoding="utf-8").replace("${project}", PROJECT)
    recorder.statements.append(Statement(f"CREATE VIEW {FROZEN} AS\n{text}"))
    assert recorder.refusals() == []


@pytest.mark.parametrize("way", ["passed", "staged"])
@pytest.mark.parametrize(("table", "how"), MERGES, ids=[name for name, _ in MERGES])
def test_a_merge_is_valid(
    table: str, how: dict[str, Any], way: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "staged":
        monkeypatch.setattr(sql_templates, "PASSED_ROWS", 0)
    recorder.merge(table, rows_of(table), **how)
    kinds = [s.sql.split()[0] for s in recorder.statements]
    assert kinds == [*(["CREATE"] if way == "staged" else []), "SELECT", "MERGE"]
    assert recorder.refusals() == []


@pytest.mark.parametrize("rows", [0, 1])
def test_a_deletion_is_valid_with_the_rows_it_is_passed(rows: int, recorder: Recorder) -> None:
    made = sql_templates.RowsParameter(rows_of(schemas.COUNT_ESTIMATES)[:rows])
    hour = datetime(2026, 3, 1, tzinfo=UTC)
    recorder.execute("estimates_delete", tables={"made": made}, since=hour, until=hour)
    assert recorder.refusals() == []


@pytest.mark.parametrize("update", [["bike_count", "quality"], ["quality"]])
def test_a_merge_that_remembers_is_valid(update: list[str], recorder: Recorder) -> None:
    rows = rows_of(schemas.COUNTS)
    others = [c for c in ("bike_count", "ingested_at") if update == ["quality"]]
    history = Remembering(datetime(2026, 3, 1, tzinfo=UTC))
    replaced = {"quality": ("incomplete",)}
    recorder.merge(
        schemas.COUNTS,
        rows,
        keys=fetch.KEY,
        update=update,
        insert_only=others,
        replaced=replaced,
        history=history,
    )
    kinds = [s.sql.split()[0] for s in recorder.statements]
    assert kinds == ["CREATE", "SELECT", "BEGIN", "MERGE", "MERGE", "COMMIT"]
    assert recorder.refusals() == []


def test_an_append_is_valid(recorder: Recorder) -> None:
    recorder.append_once(schemas.REJECTS, rows_of(schemas.REJECTS), "reject_id")
    assert recorder.refusals() == []


@pytest.mark.parametrize("table", schemas.TABLES)
def test_the_restoration_of_a_table_is_valid(table: str, recorder: Recorder) -> None:
    copy = f"{table}_as_of"
    columns = recorder.tables[f"{PROJECT}.{table}"]
    recorder.tables[f"{PROJECT}.{copy}"] = columns
    target, source = (sql_templates.quoted(PROJECT, name) for name in (table, copy))
    for text in restore.replacement_sql(table, target, source, list(columns)):
        recorder.statements.append(Statement(text))
    assert len(recorder.statements) == 2
    assert recorder.refusals() == []


def test_freezing_is_valid(recorder: Recorder) -> None:
    hour = datetime(2026, 1, 5, tzinfo=UTC)
    bounds: dict[str, Any] = dict.fromkeys(("first_hour", "until", "kept_from", "kept_until"), hour)
    kept = {"kept": schemas.COUNTS}
    with recorder.temporary(
        "freeze_counts", tables=kept, clustered_by="counter_id", **bounds
    ) as made:
        recorder.tables[f"{PROJECT}.{made}"] = recorder.tables[f"{PROJECT}.{schemas.COUNTS}"]
        recorder.copy_table(FROZEN, made, expires_days=14, clustered_by="counter_id")
    assert len(recorder.statements) == 2
    assert all("CLUSTER BY counter_id" in statement.sql for statement in recorder.statements)
    assert recorder.refusals() == []


def test_every_table_is_merged_into() -> None:
    assert {name for name, _ in MERGES} | {schemas.REJECTS, schemas.REVISIONS} == {*schemas.TABLES}


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("SELECT bike_cuont FROM {counts} WHERE counted_at > @until", {"until": "TIMESTAMP"}, "bike_cuont"),
        ("SELECT 1 AS a FROM {counts} WHERE counted_at > @until", {"until": "DATE"}, "No matching signature"),
        ("SELECT counter_id, MAX(bike_count) AS a FROM {counts}", {}, "neither grouped nor aggregated"),
        ("SELECT 1 AS a FROM {counts} WHERE counted_at > @until", {}, "until"),
        ("SELECT LEN(counter_id) AS a FROM {counts}", {}, "Function not found"),
    ],
)  # fmt: skip
def test_the_analyzer_refuses_what_bigquery_refuses(
    sql: str, parameters: dict[str, str], message: str, recorder: Recorder
) -> None:
    table = sql_templates.quoted(PROJECT, schemas.COUNTS)
    recorder.statements.append(Statement(sql.replace("{counts}", table), parameters))
    (refusal,) = recorder.refusals()
    assert message in refusal
