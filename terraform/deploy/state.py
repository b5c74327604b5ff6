"""What must hold before a plan: the state's bucket, the lock file, the right environment, Google's service agents."""

from __future__ import annotations

import json

from terraform.deploy.command_line import Deployment
from terraform.deploy.programs import (
    TERRAFORM_FOLDER,
    ProgramFailed,
    Refused,
    read,
    run,
    say,
    succeeds,
    try_again,
)

LOCK = TERRAFORM_FOLDER / ".terraform.lock.hcl"
PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64")
# Google's service agents that the configuration grants roles to, by the API that has them. On an empty project they
# do not exist until somebody asks for them, and a grant to an account that does not exist is refused.
AGENTS = {
    "monitoring.googleapis.com": "gcp-sa-monitoring-notification",
    "pubsub.googleapis.com": "gcp-sa-pubsub",
}


def ensure_bucket(deployment: Deployment) -> None:
    """Create the state's bucket in the chosen region, if there is none. Raises Refused for any verb but up."""
    if _has_bucket(deployment):
        return
    if deployment.verb != "up":
        raise Refused(
            f"gs://{deployment.bucket} does not exist or you have no access to it: "
            f"nothing is deployed in {deployment.project}"
        )
    run("terraform", "-chdir=bootstrap", "init", "-input=false")
    run(
        "terraform", "-chdir=bootstrap", "apply", "-auto-approve", f"-state={deployment.project}.tfstate",
        f"-var=project_id={deployment.project}", f"-var=location={deployment.location}",
    )  # fmt: skip


def _has_bucket(deployment: Deployment) -> bool:
    return succeeds(
        "gcloud", "storage", "buckets", "describe", f"gs://{deployment.bucket}", f"--project={deployment.project}",
    )  # fmt: skip


def init(deployment: Deployment) -> None:
    """Install the providers at the versions in the lock file, which is made for all platforms if there is none."""
    if not LOCK.exists():
        _provide_lock(deployment)
    run(
        "terraform", "init", "-input=false", "-reconfigure",
        f"-backend-config=bucket={deployment.bucket}", "-backend-config=prefix=velocast",
    )  # fmt: skip


def _provide_lock(deployment: Deployment) -> None:
    """Take the lock file of this project's first deployment, or make it from the registry's own hashes."""
    recorded = read_record(deployment, "terraform.lock.hcl")
    if recorded:
        LOCK.write_text(recorded, encoding="utf-8")
        return
    try:
        run("terraform", "get")
        run("terraform", "providers", "lock", *(f"-platform={platform}" for platform in PLATFORMS))
    except ProgramFailed as failure:
        say(
            f"no lock file for all platforms, because {failure}; terraform init makes one for this machine"
        )
        return
    if deployment.verb == "up":
        write_record(deployment, "terraform.lock.hcl", LOCK.read_text(encoding="utf-8"))


def refuse_other_environment(deployment: Deployment) -> None:
    """Raise Refused if the project holds the other environment: its variables would change retention and protection."""
    held = held_environment()
    if held not in ("", deployment.environment):
        raise Refused(
            f"{deployment.project} holds {held}, and ENVIRONMENT is {deployment.environment}. "
            f"A project holds one environment: use ENVIRONMENT={held}, or another project"
        )


def held_environment() -> str:
    """Return dev or prod as recorded in the state, empty if nothing is deployed."""
    text = read("terraform", "state", "pull")
    state = json.loads(text) if text.strip() else {}
    output = state.get("outputs", {}).get("environment", {}).get("value")
    if output:
        return str(output)
    # Deployments of version 0.1 have no such output, and every resource with labels has the environment's.
    for resource in state.get("resources", []):
        for instance in resource.get("instances", []):
            labels = instance.get("attributes", {}).get("terraform_labels") or {}
            if "environment" in labels:
                return str(labels["environment"])
    return ""


def ensure_service_agents(deployment: Deployment) -> None:
    """Create Google's service agents that receive grants; one that exists stays as it is."""
    project = f"--project={deployment.project}"
    run("gcloud", "services", "enable", *sorted(AGENTS), project, "--quiet")
    for service in sorted(AGENTS):
        try_again(
            f"creating the service agent of {service}",
            lambda service=service: run(  # type: ignore[misc]
                "gcloud", "beta", "services", "identity", "create", f"--service={service}", project, "--quiet",
            ),
        )  # fmt: skip


def resources() -> set[str]:
    """Return the addresses in Terraform's state."""
    return set(read("terraform", "state", "list").splitlines())


def read_record(deployment: Deployment, name: str) -> str:
    """Return what an earlier deployment recorded under a name, empty if nothing."""
    try:
        return read("gcloud", "storage", "cat", _record(deployment, name))
    except ProgramFailed:
        return ""


def write_record(deployment: Deployment, name: str, text: str) -> None:
    """Record a text in the state's bucket, for deployments from any machine."""
    run("gcloud", "storage", "cp", "-", _record(deployment, name), "--quiet", given=text)


def _record(deployment: Deployment, name: str) -> str:
    return f"gs://{deployment.bucket}/deployment/{name}"
