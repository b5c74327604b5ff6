"""What `--fix` does. Nothing here deletes data, grants a role or changes which model serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.pubsub import Publisher
from velocast.adapters.retrain_lease import LEASE
from velocast.core import kinds, schemas
from velocast.core.audit_row import AuditRow
from velocast.core.errors import WarehouseError
from velocast.core.requests import FetchRequest, Message, PredictRequest
from velocast.usecases import audit
from velocast.usecases.training.champion_agreement import follow_manifest
from velocast_cli.doctor import champion as champions
from velocast_cli.doctor.backups import DATABASE
from velocast_cli.doctor.data import add_column_sql
from velocast_cli.doctor.findings import Finding, Repair
from velocast_cli.doctor.operations import holder_state, judge_lease, read_lease
from velocast_cli.doctor.system import System
from velocast_cli.operations.restoring.database_backups import Database

RUN_SECONDS = 900.0
POLL_SECONDS = 1.0
Mender = Callable[[System, Sequence[Finding]], None]


def add_columns(system: System, findings: Sequence[Finding]) -> None:
    """Add missing nullable columns, empty."""
    for finding in findings:
        table, _, column = finding.subject.rpartition(".")
        field = next(f for f in schemas.table(table).fields if f.name == column)
        system.bigquery.query_and_wait(
            add_column_sql(system.project, table, field), wait_timeout=60
        )


def restore_artifacts(system: System, findings: Sequence[Finding]) -> None:
    """Copy the intact generation of an artifact over the flipped one, which stays as an older generation."""
    for task in kinds.TASKS:
        champion, _ = champion_manifest.read_champion(system.models, task)
        if champion is None or champion.artifact_uri not in {f.subject for f in findings}:
            continue
        generation = champions.intact_generation(system, champion)
        if generation is not None:
            name = champion.artifact_uri.removeprefix(system.models.uri(""))
            blob = system.bucket.blob(name)
            system.bucket.copy_blob(blob, system.bucket, name, source_generation=generation)


def heal_splits(system: System, findings: Sequence[Finding]) -> None:
    """Make summary, MLflow and audit trail name the version of the manifest, which is what serves."""
    for task in kinds.TASKS:
        champion, _ = champion_manifest.read_champion(system.models, task)
        places = [f.subject for f in findings if f.subject.startswith(f"{task}: ")]
        if champion is None or not places:
            continue
        if places != [f"{task}: audit"]:
            follow_manifest(system.models, system.registry, task)
        if f"{task}: audit" in places:
            rows = [_audit_row(system, champion, places)]
            audit.write(system.warehouse, rows, environment=system.settings.environment)


def _audit_row(system: System, champion: Champion, places: Sequence[str]) -> AuditRow:
    return AuditRow(
        event_id=f"{system.run.execution_id}:{champion.task}:healed",
        timestamp=system.as_of,
        event_type="DEPLOYMENT",
        as_of=system.as_of,
        execution_id=system.run.execution_id,
        new_champion_run_id=champion.run_id,
        deployment_decision="DEPLOY",
        details={
            "task": champion.task,
            "version": champion.version,
            "champion": champion.model_dump(mode="json"),
            "reason": "velocast doctor --fix: the manifest already named this version",
            "healed": list(places),
        },
    )


def release_leases(system: System, _findings: Sequence[Finding]) -> None:
    """Delete the lease if its holder is still over; whoever took it in the meantime keeps it."""
    lease = read_lease(system)
    if lease is None:
        return
    state = None if lease.expires_at is None else holder_state(system, lease.owner)
    if any(f.repair for f in judge_lease(lease, state, system.as_of, uri=LEASE)):
        system.models.delete(LEASE, if_generation=lease.generation)


def run_fetch(system: System, _findings: Sequence[Finding]) -> None:
    """Run `fetch` and wait for it."""
    _run(system, "velocast-fetch", FetchRequest())


def run_predict(system: System, _findings: Sequence[Finding]) -> None:
    """Run `predict`, which makes today's forecasts and publishes the snapshot, and wait for it."""
    _run(system, "velocast-predict", PredictRequest())


def _run(system: System, topic: str, request: Message) -> None:
    """Publish an event and wait for the audit row of its run. Raises WarehouseError when it failed or none came."""
    message_id = Publisher(system.project).publish(topic, request)
    deadline = time.monotonic() + RUN_SECONDS
    for _ in count():
        rows = system.warehouse.query("doctor_run", execution_id=message_id)
        if len(rows) and rows.iloc[0]["status"] != "FAILED":
            return
        if len(rows):
            raise WarehouseError(
                f"the run that {topic} started failed: {rows.iloc[0]['error_message']}"
            )
        if time.monotonic() > deadline:
            raise WarehouseError(
                f"the run that message {message_id} on {topic} started left no audit row within {RUN_SECONDS:g} s; "
                "see the function's log"
            )
        time.sleep(POLL_SECONDS)


def back_up(system: System, findings: Sequence[Finding]) -> None:
    """Ask Cloud SQL for a backup of MLflow's database, and wait until it is done."""
    for finding in findings:
        with Database(system.settings, finding.subject.removeprefix(DATABASE)) as database:
            database.back_up()


# In the order in which they are made: a run needs tables, an intact artifact and one champion.
MENDERS: dict[Repair, Mender] = {
    "add_column": add_columns,
    "restore_artifact": restore_artifacts,
    "heal_split": heal_splits,
    "release_lease": release_leases,
    "run_fetch": run_fetch,
    "run_predict": run_predict,
    "back_up": back_up,
}
