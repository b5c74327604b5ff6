"""Takes over the API of a deployment of version 0.1, where it was a Cloud Function."""

from __future__ import annotations

from terraform.deploy import release, state
from terraform.deploy.command_line import Deployment
from terraform.deploy.programs import run, say, succeeds

NAME = "velocast-serve"
FUNCTION = 'module.function["serve"].google_cloudfunctions2_function.this'
SERVICE = "module.serve.google_cloud_run_v2_service.this"


def adopt_function(deployment: Deployment) -> None:
    """Make the function the Cloud Run service that it is made of, which keeps its address, revisions and traffic.

    Every step can be repeated. Raises ProgramFailed.
    """
    held = state.resources()
    if FUNCTION not in held:
        return
    where = (f"--region={deployment.location}", f"--project={deployment.project}")
    say(f"{NAME} becomes a Cloud Run service; its address stays")
    if succeeds("gcloud", "functions", "describe", NAME, *where):
        run("gcloud", "functions", "detach", NAME, *where, "--quiet")
    release.hold_traffic(deployment, NAME, deployment.location)
    if SERVICE not in held:
        run(
            "terraform", "import", "-input=false", *deployment.variables, SERVICE,
            f"projects/{deployment.project}/locations/{deployment.location}/services/{NAME}",
        )  # fmt: skip
    run("terraform", "state", "rm", 'module.function["serve"]')
