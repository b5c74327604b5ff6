"""What a stack holds after it was played: everything that two runs of the same days must agree on."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from velocast.adapters import google_clients
from velocast.adapters.champion_manifest import MANIFESTS, SummaryEntry, read_champion, read_summary
from velocast.adapters.gcs import Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds, schemas
from velocast.core.datetimes import rfc3339
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.stored.run_store import CHAMPION
from velocast_cli.doctor.examination import CHECKS
from velocast_cli.doctor.system import System

# table: (columns of its key, columns that are compared)
KEYED = {
    schemas.COUNTS: (("counter_id", "counted_at"), ("bike_count", "quality")),
    schemas.COUNTERS: (
        ("counter_id",),
        ("counter_name", "site_id", "latitude", "longitude", "first_seen_at", "last_seen_at"),
    ),
    schemas.WEATHER: (
        ("valid_at", "issued_at"),
        ("temperature_c", "precipitation_mm", "wind_kmh", "humidity_pct", "cloud_pct", "source"),
    ),
    schemas.FORECASTS: (
        ("counter_id", "target_at", "origin_at", "model_version"),
        (
            *("predicted_count", "lower", "q25", "q50", "q75", "upper"),
            *("busy_probability", "lead_hours", "basis"),
        ),
    ),
}
DECIDED = ("status", "retrain_decision", "deployment_decision", "r2", "rmse", "drift_share")
# What names the model itself: everything else in a manifest follows from it or is an id that no two runs share.
MANIFEST_FIELDS = ("version", "kind", "sha256", "trained_until", "published_at", "metrics")

# The doctor's checks of what a run leaves; the others are about a deployment, or kept for good (dead letters).
DOCTOR = ("tables", "counts", "forecasts", "artifacts", "agreement", "snapshot", "lease")

Row = tuple[Any, ...]


@dataclass(frozen=True)
class AuditEntry:
    """One audit row. key: component, as_of and what it reports; the ids in its event_id differ from run to run."""

    key: tuple[str, str, str]
    event_id: str
    decided: Row
    error: str | None

    @property
    def day(self) -> str:
        """The day of its as_of."""
        return self.key[1][:10]


@dataclass
class Evidence:
    """tables: key to values for KEYED, repeated keys in `twice`; ingested: count to the as_of that stored it.

    findings: what the doctor has to say.
    """

    tables: dict[str, dict[Row, Row]] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    ingested: dict[Row, str] = field(default_factory=dict)
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    audit: list[AuditEntry] = field(default_factory=list)
    manifests: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    summary: list[SummaryEntry] = field(default_factory=list)
    aliases: dict[str, str | None] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)


def read_evidence(run: Run[JobSettings], stack: dict[str, Any]) -> Evidence:
    """Read everything from a running stack to which this process is connected. run: at its last simulated time."""
    evidence = Evidence()
    rows = {name: _rows(stack, name) for name in schemas.TABLES}
    for name, (key, values) in KEYED.items():
        table = [(_pick(row, key), _pick(row, values)) for row in rows[name]]
        evidence.tables[name] = dict(table)
        seen = Counter(k for k, _ in table)
        evidence.twice += [f"{name} {k}" for k, times in seen.items() if times > 1]
    for row in rows[schemas.COUNTS]:
        key = KEYED[schemas.COUNTS][0]
        evidence.ingested[_pick(row, key)] = _text(row["ingested_at"])
    evidence.rejects = Counter((r["reason"], _text(r["record"])) for r in rows[schemas.REJECTS])
    evidence.audit = [_audit_entry(row) for row in rows[schemas.LOGS]]
    ids = Counter(entry.event_id for entry in evidence.audit)
    evidence.twice += [f"{schemas.LOGS} {k}" for k, times in ids.items() if times > 1]
    trained = _read_models(run, evidence)
    evidence.tables[schemas.FORECASTS] = {
        (*key[:-1], trained.get((kinds.FORECAST, key[-1]), "no training")): row
        for key, row in evidence.tables[schemas.FORECASTS].items()
    }
    found = (finding for name in DOCTOR for finding in CHECKS[name](System(run)))
    evidence.findings = [f"{finding.check} {finding.subject}: {finding.found}" for finding in found]
    evidence.messages = _messages(stack["url"])
    return evidence


def _read_models(run: Run[JobSettings], evidence: Evidence) -> dict[tuple[str, int], str]:
    """Read the models; return the time of each one's training by task and version."""
    models = Objects(run.settings.project, run.settings.models_bucket)
    registry = Registry(run.settings.mlflow_tracking_uri)
    evidence.summary = read_summary(models)
    # By its training: a retraining that was started again makes the same model under another version.
    trained = {(entry.task, entry.version): entry.trained_at for entry in evidence.summary}
    for task in MANIFESTS:
        champion, _ = read_champion(models, task)
        fields = champion.model_dump(include=set(MANIFEST_FIELDS)) if champion else None
        evidence.manifests[task] = fields and fields | {
            "version": trained.get((task, fields["version"]))
        }
        version = registry.get_alias(task, CHAMPION)
        evidence.aliases[task] = trained.get((task, version or 0))
    return trained


def _rows(stack: dict[str, Any], name: str) -> list[dict[str, Any]]:
    client = google_clients.bigquery_client(stack["project"], stack["location"])
    partition = schemas.table(name).partition_field
    where = f" WHERE {partition} > '2000-01-01'" if partition else ""
    job = client.query(f"SELECT * FROM `{stack['project']}.{name}`{where}", timeout=120)
    return [dict(row.items()) for row in job.result(timeout=120)]


def _pick(row: dict[str, Any], names: tuple[str, ...]) -> Row:
    return tuple(
        rfc3339(row[name]) if isinstance(row[name], datetime) else row[name] for name in names
    )


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _audit_entry(row: dict[str, Any]) -> AuditEntry:
    details = row["details"] or {}
    details = json.loads(details) if isinstance(details, str) else details
    parts = row["event_id"].split(":")
    what = _anonymous(details.get("title") or parts[-1])
    decided = tuple(row[name] for name in DECIDED)
    key = (parts[0], rfc3339(row["as_of"]), what)
    return AuditEntry(key, row["event_id"], decided, row["error_message"])


def _messages(url: str) -> Counter[tuple[str, str]]:
    """Return how often each card was sent: by title and time."""
    answer = httpx.get(f"{url}/discord/messages", timeout=30, trust_env=False).json()
    cards = [(m["embeds"] or [{}])[0] for m in answer["messages"]]
    return Counter((_anonymous(c.get("title")), str(c.get("timestamp"))) for c in cards)


def _anonymous(title: Any) -> str:
    return re.sub(r"version \d+", "version", str(title))
