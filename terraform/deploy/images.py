"""Builds the images that are missing, each from the archive that `make package` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping

from terraform.deploy import base_images
from terraform.deploy.command_line import Deployment
from terraform.deploy.plans import Plan
from terraform.deploy.programs import TERRAFORM_FOLDER, Refused, run, say, succeeds, try_again

PACKAGES = TERRAFORM_FOLDER.parent / "build/packages"


def build_missing(deployment: Deployment, plan: Plan, digests: Mapping[str, str]) -> None:
    """Build every planned image that the registry does not have. Raises Refused."""
    archives = _archives()
    base = json.loads(base_images.LISTED.read_text(encoding="utf-8"))["base"]
    for name, image in sorted(plan.output("images").items()):
        if succeeds(
            "gcloud",
            "artifacts",
            "docker",
            "images",
            "describe",
            image,
            f"--project={deployment.project}",
        ):
            continue
        say(f"building {image}")
        command = (
            "gcloud", "builds", "submit", str(PACKAGES / archives[name]), f"--project={deployment.project}",
            f"--region={image.partition('-docker.pkg.dev/')[0]}", "--config=cloudbuild.yaml",
            f"--substitutions=_IMAGE={image},_BASE_IMAGE={base_images.by_digest(base, digests['base'])}",
            f"--service-account={plan.output('build_account')}",
            f"--gcs-source-staging-dir=gs://{deployment.project}-sources/builds",
        )  # fmt: skip
        try_again(f"building {name}", lambda command=command: run(*command))  # type: ignore[misc]


def _archives() -> dict[str, str]:
    """The archive of each image; the API's image is made from the function's zip, which has a Dockerfile."""
    file = PACKAGES / "packages.json"
    if not file.exists():
        raise Refused(f"{file} does not exist: `make package` writes it")
    packages = json.loads(file.read_text(encoding="utf-8"))
    return {**packages["functions"], **packages["images"]}
