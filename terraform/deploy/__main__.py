"""Run a deployment; `python3 -m terraform.deploy --help` lists the arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from terraform.deploy import (
    adoption,
    base_images,
    command_line,
    images,
    migration,
    plans,
    release,
    state,
)
from terraform.deploy.command_line import Deployment
from terraform.deploy.plans import Plan
from terraform.deploy.programs import ProgramFailed, Refused, require, run, say


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say. Returns the exit code."""
    try:
        deployment = command_line.parse(arguments)
        require("terraform", "gcloud")
        package_own_city(deployment)
        state.ensure_bucket(deployment)
        state.init(deployment)
        state.refuse_other_environment(deployment)
        {"up": up, "plan": plan_only, "apply": apply_saved, "down": down}[deployment.verb](
            deployment
        )
    except (Refused, ProgramFailed) as failure:
        say(str(failure))
        return 1
    return 0


def package_own_city(deployment: Deployment) -> None:
    """Package everything again with the city's own file, if it has one. Raises Refused when there is no such file."""
    file = deployment.city_file
    if file is None:
        return
    if not file.is_file():
        raise Refused(f"city {deployment.city}: {file} does not exist; paths start at the checkout")
    run(sys.executable, "package.py", f"--city={file}")


def up(deployment: Deployment) -> None:
    """Create or update everything."""
    state.ensure_service_agents(deployment)
    adoption.adopt_function(deployment)
    release.hold_traffic(deployment, adoption.NAME, deployment.location)
    digests = base_images.pinned(deployment)
    plan = planned_with_images(deployment, digests)
    plans.approve(deployment)
    finish(deployment, plan, digests)


def planned_with_images(deployment: Deployment, digests: Mapping[str, str]) -> Plan:
    """Plan, and build the planned images. What these or a migration need is created first if it is missing."""
    plan = plans.make(deployment, digests)
    if plan.creates(plans.REGISTRY):
        plans.apply_targets(deployment, digests, ("module.project", "module.builder"))
        plan = plans.make(deployment, digests)
    images.build_missing(deployment, plan, digests)
    if migration.is_needed(plan) and plan.creates(plans.MIGRATION):
        plans.apply_targets(deployment, digests, (plans.MIGRATION,))
        plan = plans.make(deployment, digests)
    return plan


def finish(deployment: Deployment, plan: Plan, digests: Mapping[str, str]) -> None:
    """Migrate, apply and release, in this order."""
    migration.upgrade_tables(deployment, plan)
    plans.apply(deployment, plan, digests)
    release.release(
        deployment,
        plan.output("serve_service"),
        plan.output("location"),
        is_public=plan.output("serve_public"),
    )
    run("terraform", "output", "-raw", "next_steps")


def plan_only(deployment: Deployment) -> None:
    """Write the plan to build/deploy and change nothing."""
    plan = plans.make(deployment, base_images.pinned(deployment, record=False))
    say(f"the plan is in {plan.file}; `apply` applies it")


def apply_saved(deployment: Deployment) -> None:
    """Apply the plan that `plan` wrote, with what must come before and after it."""
    plan = plans.saved(deployment)
    if plan.creates(plans.REGISTRY):
        raise Refused(
            "this is the first deployment: `up` does it, because images need a registry before the plan is applied"
        )
    digests = base_images.pinned(deployment)
    state.ensure_service_agents(deployment)
    images.build_missing(deployment, plan, digests)
    finish(deployment, plan, digests)


def down(deployment: Deployment) -> None:
    """Remove everything but the state and the enabled APIs."""
    plans.destroy(deployment)
    say(
        f"Still there: the enabled APIs and the state bucket. To delete the bucket: gcloud storage rm --recursive gs://{deployment.bucket}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
