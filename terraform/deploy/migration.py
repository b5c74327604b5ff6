"""Upgrades MLflow's tables before its service gets another image: MLflow refuses a database older than itself."""

from __future__ import annotations

from terraform.deploy.command_line import Deployment
from terraform.deploy.plans import Plan
from terraform.deploy.programs import ProgramFailed, Refused, run, say

CONTAINER = "migrate"


def is_needed(plan: Plan) -> bool:
    """Whether an existing service is to get another image."""
    images = plan.mlflow_images()
    return images is not None and images[0] != images[1]


def upgrade_tables(deployment: Deployment, plan: Plan) -> None:
    """Back up the database, give the job the new image and run it; do nothing if the image stays. Raises Refused."""
    images = plan.mlflow_images()
    if images is None or images[0] == images[1]:
        return
    where = (f"--project={deployment.project}", "--quiet")
    region = f"--region={plan.output('location')}"
    job, instance = plan.output("mlflow_migration_job"), plan.output("mlflow_instance")
    say(f"MLflow gets another image: backing up {instance} and upgrading its tables with {job}")
    try:
        run(
            "gcloud", "sql", "backups", "create", f"--instance={instance}", *where,
            f"--description=before {images[1].rpartition('/')[2]}",
        )  # fmt: skip
        run(
            "gcloud", "run", "jobs", "update", job, region, *where,
            f"--container={CONTAINER}", f"--image={images[1]}",
        )  # fmt: skip
        run("gcloud", "run", "jobs", "execute", job, "--wait", region, *where)
    except ProgramFailed as failure:
        raise Refused(
            f"MLflow's tables were not upgraded: {failure}. Nothing was applied, and the service still runs "
            f"{images[0]}. The reason is in the log of job {job}; "
            f"`gcloud sql backups list --instance={instance}` lists the backup"
        ) from failure
