"""Plans, what they say, and how they are applied."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terraform.deploy.command_line import Deployment
from terraform.deploy.programs import TERRAFORM_FOLDER, ProgramFailed, Refused, read, run, try_again

PLANS = TERRAFORM_FOLDER.parent / "build/deploy"
REGISTRY = 'module.builder.google_artifact_registry_repository.this["velocast-images"]'
MLFLOW = "module.mlflow.google_cloud_run_v2_service.this"
MIGRATION = "module.mlflow.google_cloud_run_v2_job.migrate"


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource: create, update, delete, no-op, and its values before and after."""

    actions: tuple[str, ...]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Plan:
    """A saved plan: its file, the outputs that it knows, and its changes by address."""

    file: Path
    outputs: Mapping[str, Any]
    changes: Mapping[str, Change]

    def creates(self, address: str) -> bool:
        """Whether a resource is to be created."""
        change = self.changes.get(address)
        return change is not None and "create" in change.actions

    @property
    def creates_anything(self) -> bool:
        """Whether anything is to be created, so that a first attempt may come before its grants take effect."""
        return any("create" in change.actions for change in self.changes.values())

    def output(self, name: str) -> Any:
        """Return an output's planned value. Raises Refused when it is not known yet."""
        if name not in self.outputs:
            raise Refused(f"the plan does not know the output {name!r}; run `make deploy`")
        return self.outputs[name]

    def mlflow_images(self) -> tuple[str, str] | None:
        """Return MLflow's image before and after; None if the service is not there yet."""
        change = self.changes.get(MLFLOW)
        if change is None or change.before is None or change.after is None:
            return None
        return _image(change.before), _image(change.after)


def _image(service: Mapping[str, Any]) -> str:
    return str(service["template"][0]["containers"][0]["image"])


def make(deployment: Deployment, digests: Mapping[str, str]) -> Plan:
    """Plan everything, show the plan and keep it in build/deploy. Raises ProgramFailed."""
    PLANS.mkdir(parents=True, exist_ok=True)
    file = PLANS / f"{deployment.project}.tfplan"
    run(
        "terraform", "plan", "-input=false", f"-out={file}", *deployment.variables, _base_images(digests),
    )  # fmt: skip
    return load(file)


def saved(deployment: Deployment) -> Plan:
    """Return the plan that `plan` wrote. Raises Refused when there is none."""
    file = PLANS / f"{deployment.project}.tfplan"
    if not file.exists():
        raise Refused(f"{file} does not exist: `plan` writes it, and `apply` applies it")
    return load(file)


def load(file: Path) -> Plan:
    """Read a saved plan."""
    return from_json(file, json.loads(read("terraform", "show", "-json", str(file))))


def from_json(file: Path, shown: Mapping[str, Any]) -> Plan:
    """Read Terraform's JSON of a plan."""
    outputs = shown.get("output_changes", {})
    changes = {
        change["address"]: Change(
            tuple(change["change"]["actions"]),
            change["change"]["before"],
            change["change"]["after"],
        )
        for change in shown.get("resource_changes", [])
    }
    known = {
        n: change["after"] for n, change in outputs.items() if change["after_unknown"] is False
    }
    return Plan(file, known, changes)


def apply_targets(
    deployment: Deployment, digests: Mapping[str, str], targets: Sequence[str]
) -> None:
    """Create what must exist before the rest can be planned. Raises Refused."""
    try_again(
        f"creating {' and '.join(targets)}",
        lambda: run(
            "terraform", "apply", "-input=false", "-auto-approve", *(f"-target={t}" for t in targets),
            *deployment.variables, _base_images(digests),
        ),
    )  # fmt: skip


def approve(deployment: Deployment) -> None:
    """Ask whether the plan that was shown is to be applied. Raises Refused for any answer but yes."""
    if deployment.is_approved:
        return
    sys.stderr.write(f"\nApply this plan to {deployment.project}? Only 'yes' is accepted: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise Refused("not applied")


def apply(deployment: Deployment, plan: Plan, digests: Mapping[str, str]) -> None:
    """Apply a plan. After a failure the rest is planned and applied again, if anything is created. Raises Refused."""
    attempts = 0

    def attempt() -> None:
        nonlocal attempts
        attempts += 1
        # A plan can be applied once, also when it fails half way.
        current = plan if attempts == 1 else make(deployment, digests)
        run("terraform", "apply", "-input=false", str(current.file))

    try:
        try_again("terraform apply", attempt, tries=None if plan.creates_anything else 1)
    finally:
        plan.file.unlink(missing_ok=True)


def destroy(deployment: Deployment) -> None:
    """Remove everything. Raises Refused while the project is protected."""
    protected = read("terraform", "output", "-json")
    if json.loads(protected or "{}").get("deletion_protection", {}).get("value") is True:
        raise Refused(
            f"{deployment.project} has deletion protection. To remove it: make deploy PROJECT={deployment.project} "
            f"ENVIRONMENT={deployment.environment} ARGS=-var=deletion_protection=false"
        )
    try:
        run(
            "terraform",
            "destroy",
            *deployment.variables,
            *(("-auto-approve",) * deployment.is_approved),
        )
    except ProgramFailed as failure:
        raise Refused(f"{failure}. The same command continues from here") from failure


def _base_images(digests: Mapping[str, str]) -> str:
    return f"-var=base_images={json.dumps(dict(digests))}"
