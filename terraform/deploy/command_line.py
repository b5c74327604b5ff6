"""The command line of a deployment, and what it says about the project."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from terraform.deploy.programs import TERRAFORM_FOLDER, Refused

ENVIRONMENTS = ("dev", "prod")
APPROVED = "-auto-approve"


@dataclass(frozen=True)
class Deployment:
    """What is to be done, and where. arguments: those for terraform, such as -var=... and -auto-approve.

    city: a name, or the path of a city's own file.
    """

    verb: str
    project: str
    environment: str
    arguments: tuple[str, ...] = ()
    refresh_base_images: bool = False
    location: str = field(default="")
    city: str = field(default="")

    @property
    def bucket(self) -> str:
        """The bucket of the state, and of what deployments record."""
        return f"{self.project}-terraform-state"

    @property
    def variables(self) -> tuple[str, ...]:
        """The arguments for every terraform command that reads variables."""
        kept = [a for a in self.arguments if a != APPROVED]
        return (
            f"-var=project_id={self.project}",
            f"-var-file=environments/{self.environment}.tfvars",
            *kept,
        )

    @property
    def city_file(self) -> Path | None:
        """The city's own file, which is packaged with the library; None for a packaged city."""
        if not self.city.endswith((".yaml", ".yml")):
            return None
        return TERRAFORM_FOLDER.parent / self.city

    @property
    def is_approved(self) -> bool:
        """Whether nobody is to be asked."""
        return APPROVED in self.arguments


def parse(arguments: Sequence[str]) -> Deployment:
    """Read the command line. Raises Refused naming what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python3 -m terraform.deploy",
        usage="%(prog)s up|plan|apply|down PROJECT [dev|prod] [--refresh-base-images] [arguments for terraform]",
        description=(
            "up: plan, ask, apply, and release the API. plan: write the plan to build/deploy. "
            "apply: apply the plan that `plan` wrote, and release. down: destroy."
        ),
        allow_abbrev=False,
    )
    parser.add_argument("verb", choices=("up", "plan", "apply", "down"))
    parser.add_argument("project")
    parser.add_argument("environment", nargs="?", default="dev")
    parser.add_argument(
        "--refresh-base-images",
        action="store_true",
        help="find the newest digests of the base images, and build from them",
    )
    known, rest = parser.parse_known_args(arguments)
    if not known.project:
        raise Refused("no project: make deploy PROJECT=my-project ENVIRONMENT=dev")
    if known.environment not in ENVIRONMENTS:
        raise Refused(f"ENVIRONMENT must be dev or prod, got {known.environment!r}")
    return Deployment(
        verb=known.verb,
        project=known.project,
        environment=known.environment,
        arguments=tuple(rest),
        refresh_base_images=known.refresh_base_images,
        location=find_variable("location", known.environment, rest),
        city=find_variable("city", known.environment, rest),
    )


def find_variable(name: str, environment: str, arguments: Sequence[str]) -> str:
    """Return a variable as Terraform reads it: -var, -var-file, the environment's file, TF_VAR_..., the default.

    The bootstrap needs the region before Terraform has a state, and packaging needs the city before any plan.
    """
    found = ""
    for argument in arguments:
        option, _, value = argument.lstrip("-").partition("=")
        if option == "var" and value.startswith(f"{name}="):
            found = value.partition("=")[2]
        if option == "var-file":
            found = _in_file(name, TERRAFORM_FOLDER / value) or found
    return (
        found
        or _in_file(name, TERRAFORM_FOLDER / f"environments/{environment}.tfvars")
        or os.environ.get(f"TF_VAR_{name}")
        or _default(name)
    )


def _in_file(name: str, file: Path) -> str | None:
    if not file.exists():
        return None
    found = re.search(
        rf'^\s*{name}\s*=\s*"([^"]+)"', file.read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else None


def _default(name: str) -> str:
    text = (TERRAFORM_FOLDER / "variables.tf").read_text(encoding="utf-8")
    match = re.search(rf'variable "{name}" \{{.*?default\s*=\s*"([^"]+)"', text, re.DOTALL)
    if match is None:
        raise Refused(f'terraform/variables.tf has no default for "{name}"; pass -var={name}=...')
    return match[1]
