"""Logins, and the permissions of every service account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING

from velocast.adapters import google_clients
from velocast.core import kinds, schemas
from velocast_cli.doctor.findings import Finding, unknown
from velocast_cli.doctor.grants import Grant, account_email, read_grants
from velocast_cli.doctor.system import CALL_ERRORS, GoogleApi, System

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

WORKERS = 8
# Permissions by which a role is recognised: those that Velocast's code uses.
TELLING: dict[str, tuple[str, ...]] = {
    "roles/bigquery.dataEditor": ("bigquery.tables.getData", "bigquery.tables.updateData"),
    "roles/bigquery.dataViewer": ("bigquery.tables.getData",),
    "roles/bigquery.jobUser": ("bigquery.jobs.create",),
    "roles/bigquery.readSessionUser": ("bigquery.readsessions.create",),
    "roles/logging.logWriter": ("logging.logEntries.create",),
    "roles/monitoring.metricWriter": ("monitoring.timeSeries.create",),
    "roles/pubsub.publisher": ("pubsub.topics.publish",),
    "roles/run.invoker": ("run.routes.invoke",),
    "roles/run.jobsExecutorWithOverrides": ("run.jobs.run", "run.jobs.runWithOverrides"),
    "roles/run.viewer": ("run.operations.get",),
    "roles/secretmanager.secretAccessor": ("secretmanager.versions.access",),
    "roles/storage.objectUser": (
        "storage.objects.create",
        "storage.objects.delete",
        "storage.objects.get",
        "storage.objects.list",
    ),
    "roles/storage.objectViewer": ("storage.objects.get", "storage.objects.list"),
    "roles/workflows.invoker": ("workflows.executions.create",),
    "roles/workflows.viewer": ("workflows.executions.get",),
}


def examine_logins(system: System) -> list[Finding]:
    """Check that Google and MLflow accept this command's login."""
    findings = []
    try:
        system.api("cloudresourcemanager").get(f"v1/projects/{system.project}")
    except CALL_ERRORS as exc:
        command = "gcloud auth application-default login"
        findings.append(unknown("logins", f"project {system.project}", exc, command))
    try:
        system.registry.get_alias(kinds.FORECAST, "champion")
    except CALL_ERRORS as exc:
        command = (
            f"gcloud run services proxy velocast-mlflow --region={system.location} --port=5000"
        )
        command += "   # with MLFLOW_TRACKING_URI=http://localhost:5000"
        findings.append(unknown("logins", "MLflow", exc, command))
    return findings


def examine_permissions(system: System) -> list[Finding]:
    """Ask on behalf of every service account whether it holds the permissions of its roles (testIamPermissions)."""
    needed = {
        account: list(grants) for account, grants in groupby(read_grants(), lambda g: g.account)
    }
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        answers = dict(
            zip(needed, pool.map(lambda g: _ask(system, g), needed.values()), strict=True)
        )
    refused = {name: answer for name, answer in answers.items() if isinstance(answer, Exception)}
    found = [f for answer in answers.values() if isinstance(answer, list) for f in answer]
    return [*found, *judge_refusals(refused, project=system.project)]


def _ask(system: System, needed: list[Grant]) -> list[Finding] | Exception:
    """Return the findings about one account, or the error for which it could not be asked about."""
    session = google_clients.rest_session(account_email(needed[0].account, system.project))
    findings: list[Finding] = []
    for _, group in groupby(needed, lambda grant: (grant.kind, grant.name)):
        grants = list(group)
        asked = sorted({p for grant in grants for p in TELLING.get(grant.role, ())})
        try:
            held = _held(session, system, grants[0], asked)
        except CALL_ERRORS as exc:
            return exc
        findings += judge_grants(grants, held, project=system.project, location=system.location)
    return findings


def judge_refusals(refused: Mapping[str, Exception], *, project: str) -> list[Finding]:
    """Return one finding about the accounts that could not be asked about; the reason is usually the same for all."""
    if not refused:
        return []
    command = (
        f"gcloud projects add-iam-policy-binding {project} --member=user:YOU "
        "--role=roles/iam.serviceAccountTokenCreator"
    )
    first = next(iter(refused.values()))
    return [unknown("permissions", ", ".join(sorted(refused)), first, command)]


def _held(session: AuthorizedSession, system: System, grant: Grant, asked: list[str]) -> set[str]:
    """Return which of the permissions the session's account holds on the resource of a grant."""
    project = f"projects/{system.project}"
    place = f"{project}/locations/{system.location}"
    match grant.kind:
        case "bucket":
            path = f"storage/v1/b/{system.project}-{grant.name}/iam/testPermissions"
            answer = GoogleApi(session, "storage").get(path, permissions=asked)
            return set(answer.get("permissions", ()))
        case "project":
            service, path = "cloudresourcemanager", f"v1/{project}"
        case "dataset":
            service, path = "bigquery", f"bigquery/v2/{project}/{_any_table(grant.name)}"
        case "topic":
            service, path = "pubsub", f"v1/{project}/topics/{grant.name}"
        case "secret":
            service, path = "secretmanager", f"v1/{project}/secrets/{grant.name}"
        case "job" | "service":
            service, path = "run", f"v2/{place}/{grant.kind}s/{grant.name}"
    answer = GoogleApi(session, service).post(f"{path}:testIamPermissions", {"permissions": asked})
    return set(answer.get("permissions", ()))


def _any_table(dataset: str) -> str:
    """BigQuery tests permissions on tables, not on datasets; those of the dataset apply to its tables."""
    name = next(name for name in schemas.TABLES if name.startswith(f"{dataset}."))
    return f"datasets/{dataset}/tables/{name.split('.')[1]}"


def judge_grants(
    grants: Iterable[Grant], held: set[str], *, project: str, location: str
) -> list[Finding]:
    """Return a finding for each role of an account on one resource of which a telling permission is not held."""
    findings = []
    for grant in grants:
        telling = TELLING.get(grant.role)
        where = f"{grant.kind} {grant.name}".strip()
        subject = f"{grant.account}: {grant.role.removeprefix('roles/')} on {where}"
        if telling is None:
            error = LookupError(f"{grant.role} is not in the doctor's table of roles")
            command = "add the role to TELLING in cli/velocast_cli/doctor/access.py"
            findings.append(unknown("permissions", subject, error, command))
        elif missing := [name for name in telling if name not in held]:
            findings.append(
                Finding(
                    check="permissions",
                    subject=subject,
                    found=f"The account lacks {', '.join(missing)}.",
                    meaning=f"Anything that runs as {grant.account} is denied access and fails.",
                    command=_grant_command(grant, project, location),
                )
            )
    return findings


def _grant_command(grant: Grant, project: str, location: str) -> str:
    member = f"serviceAccount:{account_email(grant.account, project)}"
    if grant.kind == "dataset":
        sql = f'GRANT `{grant.role}` ON SCHEMA `{grant.name}` TO "{member}"'
        return f"bq query --use_legacy_sql=false '{sql}'"
    targets = {
        "project": f"projects add-iam-policy-binding {project}",
        "bucket": f"storage buckets add-iam-policy-binding gs://{project}-{grant.name}",
        "topic": f"pubsub topics add-iam-policy-binding {grant.name}",
        "secret": f"secrets add-iam-policy-binding {grant.name}",
        "job": f"run jobs add-iam-policy-binding {grant.name} --region={location}",
        "service": f"run services add-iam-policy-binding {grant.name} --region={location}",
    }
    return f"gcloud {targets[grant.kind]} --member={member} --role={grant.role}"
