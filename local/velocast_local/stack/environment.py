"""The environment variables of the stack's processes, and those that `velocast local env` prints for a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from gcp_emulators.cloud_run.api import RUN_HOST_SUFFIX
from gcp_emulators.core.http_server import LOOPBACK
from gcp_emulators.core.processes import MARKER
from velocast_local.stack.state import StackState

WORKFLOW = "velocast-retrain"
FORECAST_WORKFLOW = "velocast-forecast"
ALERTS_TOPIC = "velocast-alerts"
# APIs of gcloud that the control plane serves at its own address.
_GCLOUD_APIS = (
    "BIGQUERY",
    "CLOUDFUNCTIONS",
    "CLOUDSCHEDULER",
    "PUBSUB",
    "SECRETMANAGER",
    "STORAGE",
    "WORKFLOWEXECUTIONS",
    "WORKFLOWS",
)
# The parts of a stack share few cores, and OpenMP's threads spin while another process has the core they wait for. On
# 2 busy cores a fit of 60,000 rows took 30 s with spinning threads and 1.7 s with sleeping ones.
# MLflow decides on its telemetry when it is imported, which the process that forks jobs does before any of them.
_ON_ONE_MACHINE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def stack_environment(state: StackState) -> dict[str, str]:
    """Return all variables that the product and Google's clients read, for the stack of `state`."""
    ports = state.ports
    return deployed_environment(state) | {
        "BIGQUERY_EMULATOR_HOST": state.part_url("bigquery"),
        "BIGQUERY_STORAGE_EMULATOR_HOST": f"{LOOPBACK}:{ports['bigquery_storage']}",
        "STORAGE_EMULATOR_HOST": state.url,
        "PUBSUB_EMULATOR_HOST": f"{LOOPBACK}:{ports['pubsub']}",
        "WORKFLOWS_EXECUTIONS_EMULATOR_HOST": f"{LOOPBACK}:{ports['executions']}",
        "GOOGLE_APIS_EMULATOR_HOST": state.url,
        "OTEL_METRICS_EXPORTER": "otlp",
        "VELOCAST_CLOCK": "replay",
        "OTEL_EXPORTER_OTLP_ENDPOINT": state.url,
        "no_proxy": _without_proxy(),
    }


def _without_proxy() -> str:
    """Return the hosts that are reached without a proxy: those of the user's shell, and this machine.

    Otherwise the commands of a person behind a proxy would ask it for the stack's parts.
    """
    theirs = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if theirs.strip() == "*":  # all hosts, but only where it stands alone
        return "*"
    # each once, since the stack's own commands find here what this returned before
    hosts = [*map(str.strip, theirs.split(",")), LOOPBACK, "localhost"]
    return ",".join(dict.fromkeys(filter(None, hosts)))


def deployed_environment(state: StackState) -> dict[str, str]:
    """Return the variables that Terraform sets on the functions and jobs whose configuration lists them."""
    return {
        "GOOGLE_CLOUD_PROJECT": state.project,
        "VELOCAST_LOCATION": state.location,
        "VELOCAST_ENVIRONMENT": state.environment,
        "VELOCAST_CITY": str(state.city_file),
        "VELOCAST_MODELS_BUCKET": f"{state.project}-models",
        "VELOCAST_REPORTS_BUCKET": f"{state.project}-reports",
        "VELOCAST_SITE_BUCKET": f"{state.project}-site",
        "VELOCAST_PUBLIC_SITE": "true",
        "VELOCAST_SITE_URL": "",
        "VELOCAST_DATASETS_BUCKET": f"{state.project}-datasets",
        "VELOCAST_ALERTS_TOPIC": ALERTS_TOPIC,
        "VELOCAST_WORKFLOW": WORKFLOW,
        "VELOCAST_FORECAST_WORKFLOW": FORECAST_WORKFLOW,
        "VELOCAST_DISCORD_WEBHOOK_FILE": str(state.home / "secrets" / "discord-webhook"),
        "VELOCAST_API_KEYS_FILE": str(state.home / "secrets" / "api-keys"),
        "VELOCAST_CHANNELS_FILE": str(state.home / "secrets" / "channels"),
        "VELOCAST_CITY_TOKEN_FILE": str(state.home / "secrets" / "city-token"),
        "MLFLOW_TRACKING_URI": state.part_url("mlflow"),
    }


def process_environment(state: StackState, names: Iterable[str] | None = None) -> dict[str, str]:
    """Return the whole environment of a child process of the stack.

    names: the deployed variables that its entry in terraform/config lists, so that a variable missing there is missing
    here too; None for all.
    """
    everything = stack_environment(state) | _relayed(state)
    deployed = deployed_environment(state)
    hidden = set() if names is None else set(deployed) - set(names)
    # Proxies of the user's shell and settings of a real project must not reach the parts of the stack.
    shell = {
        k: v for k, v in os.environ.items() if k not in _PROXIES and not k.startswith("CLOUDSDK_")
    }
    shell = {k: v for k, v in shell.items() if k not in everything}
    seen = {k: v for k, v in everything.items() if k not in hidden}
    return shell | seen | _ON_ONE_MACHINE | {MARKER: str(state.home)}


def _relayed(state: StackState) -> dict[str, str]:
    """Return the variables that lead through a relay."""
    variables = {
        "bigquery": ("BIGQUERY_EMULATOR_HOST", "http://"),
        "bigquery_storage": ("BIGQUERY_STORAGE_EMULATOR_HOST", ""),
        "storage": ("STORAGE_EMULATOR_HOST", "http://"),
        "mlflow": ("MLFLOW_TRACKING_URI", "http://"),
    }
    return {
        name: f"{scheme}{LOOPBACK}:{state.relays[service]}"
        for service, (name, scheme) in variables.items()
        if service in state.relays
    }


def shell_environment(state: StackState) -> dict[str, str]:
    """Return the variables that connect a shell's gcloud, bq and client libraries; write the files they name.

    gcloud prefixes the host of Cloud Run's endpoint with the region, so the control plane acts as a proxy for that
    host name. Only gcloud uses the proxy; other programs in the shell are not affected.
    """
    folder = state.home / "gcloud"
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / "access-token"
    token.write_text("local", encoding="utf-8")
    gcloud = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"{state.url}/" for api in _GCLOUD_APIS}
    gcloud["CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN"] = f"http://{RUN_HOST_SUFFIX.removeprefix('-')}/"
    settings = {
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_PROJECT": state.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_PROXY_TYPE": "http",
        "CLOUDSDK_PROXY_ADDRESS": LOOPBACK,
        "CLOUDSDK_PROXY_PORT": str(state.ports["proxy"]),
        "CLOUDSDK_WORKFLOWS_LOCATION": state.location,
        "CLOUDSDK_RUN_REGION": state.location,
        "CLOUDSDK_FUNCTIONS_REGION": state.location,
        "BIGQUERYRC": str(_write_bigqueryrc(state, folder / "bigqueryrc")),
    }
    return stack_environment(state) | gcloud | settings


def export_lines(variables: dict[str, str]) -> str:
    """Return `export NAME=VALUE` lines for `eval`, sorted by name."""
    return "\n".join(f"export {name}={shlex.quote(variables[name])}" for name in sorted(variables))


def _write_bigqueryrc(state: StackState, file: Path) -> Path:
    lines = [
        f"--api={state.url}",
        f"--project_id={state.project}",
        f"--location={state.location}",
        "--use_google_auth",
        "--oauth_access_token=local",
        "[query]",
        "--use_legacy_sql=false",
        "",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file
