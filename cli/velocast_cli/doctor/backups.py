"""Backups: of MLflow's database, and the versions of the models bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from velocast.core.datetimes import parse_instant, rfc3339
from velocast_cli.doctor.deployment import deploy_command
from velocast_cli.doctor.findings import Finding
from velocast_cli.doctor.grants import MLFLOW
from velocast_cli.doctor.system import System
from velocast_cli.operations.restoring.database_backups import Backup, Database, list_instances

# Backups are made once a day, within some hours.
BACKUP_AGE = timedelta(hours=36)
DATABASE = "database "


def examine_backups(system: System) -> list[Finding]:
    """Check the age of the newest backup of MLflow's database, and that the models bucket keeps versions."""
    # A restored database may be an instance of another name, such as velocast-mlflow-2.
    found = [i for i in list_instances(system.settings) if i["name"].startswith(MLFLOW)]
    runs = {i["name"]: _backups(system, i["name"]) for i in found}
    system.bucket.reload(timeout=30)
    versioned = bool(system.bucket.versioning_enabled)
    return [
        *judge_instances(found, deploy=deploy_command(system)),
        *(finding for i in found for finding in judge_backups(i, runs[i["name"]], system.as_of)),
        *judge_versions(system.models.uri(""), versioned=versioned, deploy=deploy_command(system)),
    ]


def _backups(system: System, instance: str) -> list[Backup]:
    with Database(system.settings, instance) as database:
        return database.backups()


def judge_instances(found: Sequence[Mapping[str, Any]], *, deploy: str) -> list[Finding]:
    """Judge the instances of MLflow's database."""
    if found:
        return []
    return [
        Finding(
            check="backups",
            subject=f"database {MLFLOW}",
            found="There is no such database instance.",
            meaning="MLflow has no database: nothing can be trained or promoted.",
            command=deploy,
        )
    ]


def judge_backups(
    instance: Mapping[str, Any], backups: Sequence[Backup], as_of: datetime
) -> list[Finding]:
    """Judge the backups of an instance; one that is younger than a backup may be has none yet."""
    done = [parse_instant(backup.ended) for backup in backups if backup.is_whole]
    newest = max(done, default=None)
    since = newest or parse_instant(instance["createTime"])
    if as_of - since <= BACKUP_AGE:
        return []
    name = instance["name"]
    found = f"The newest backup is of {rfc3339(newest)}." if newest else "There is no backup."
    return [
        Finding(
            check="backups",
            subject=f"{DATABASE}{name}",
            found=f"{found} There should be one each day.",
            meaning="If the database is lost, so is the record of every training since then.",
            command=f"gcloud sql backups create --instance={name}",
            repair="back_up",
        )
    ]


def judge_versions(uri: str, *, versioned: bool, deploy: str) -> list[Finding]:
    """Judge whether the models bucket keeps old versions of its objects."""
    if versioned:
        return []
    return [
        Finding(
            check="backups",
            subject=uri,
            found="The bucket keeps no old versions of its objects.",
            meaning="An overwritten model or manifest cannot be restored.",
            command=deploy,
        )
    ]
