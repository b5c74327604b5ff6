"""Settings of the deployed functions, enabled APIs, and values of secrets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.api_core.exceptions import NotFound

from velocast.core.city import DISCORD, City
from velocast.core.city.loading import is_path
from velocast.core.city.sources import EcoCounter
from velocast.core.settings import JobSettings
from velocast_cli.doctor.findings import Finding, unknown
from velocast_cli.doctor.grants import PREFIX, read_config, read_services
from velocast_cli.doctor.system import CALL_ERRORS, System

DEPLOY = "make deploy PROJECT={project} ENVIRONMENT={environment}"


def deploy_command(system: System) -> str:
    """Return the command that deploys, which sets everything that Terraform manages back."""
    return DEPLOY.format(project=system.project, environment=system.settings.environment)


@dataclass(frozen=True)
class Deployed:
    """A function as it is deployed: its state (ACTIVE when it works) and its environment variables."""

    state: str
    variables: Mapping[str, str]


def examine_settings(system: System) -> list[Finding]:
    """Check that each function is deployed, active, and has the variables that its settings require."""
    deployed = _functions(system)
    own = own_variables(system.settings)
    findings = []
    for name, entry in read_config("functions").items():
        # One that is called over HTTPS is a Cloud Run service, which Cloud Functions does not list.
        found = deployed.get(name) if entry["topic"] else _service(system, PREFIX + name)
        findings += judge_function(
            name, entry["environment"], found, own, command=deploy_command(system)
        )
    return findings


def _functions(system: System) -> dict[str, Deployed]:
    parent = f"projects/{system.project}/locations/{system.location}"
    answer = system.api("cloudfunctions").get(f"v2/{parent}/functions", pageSize=100)
    return {
        f["name"].rsplit("/", 1)[-1].removeprefix(PREFIX): Deployed(
            f.get("state", "UNKNOWN"), f.get("serviceConfig", {}).get("environmentVariables", {})
        )
        for f in answer.get("functions", [])
    }


def _service(system: System, name: str) -> Deployed | None:
    path = f"v2/projects/{system.project}/locations/{system.location}/services/{name}"
    try:
        found = system.api("run").get(path)
    except NotFound:
        return None
    state = found.get("terminalCondition", {}).get("state", "UNKNOWN")
    given = found["template"]["containers"][0].get("env", [])
    # A variable whose value comes from a secret has no value here.
    variables = {v["name"]: v.get("value", "") for v in given}
    return Deployed("ACTIVE" if state == "CONDITION_SUCCEEDED" else state, variables)


def own_variables(settings: JobSettings) -> dict[str, str]:
    """Return the variables that this command was started with and that every function shares."""
    return {
        "GOOGLE_CLOUD_PROJECT": settings.project,
        "VELOCAST_LOCATION": settings.location,
        "VELOCAST_ENVIRONMENT": settings.environment,
        "VELOCAST_CITY": settings.city_name,
        "VELOCAST_MODELS_BUCKET": settings.models_bucket,
        "VELOCAST_ALERTS_TOPIC": settings.alerts_topic,
    }


def judge_function(
    name: str,
    needed: list[str],
    function: Deployed | None,
    own: Mapping[str, str],
    *,
    command: str,
) -> list[Finding]:
    """Compare a function as deployed (None: it is not) with the variables it needs and those of this command."""

    def fault(subject: str, found: str, meaning: str) -> Finding:
        return Finding(
            check="settings", subject=subject, found=found, meaning=meaning, command=command
        )

    if function is None:
        return [fault(name, "The function is not deployed.", f"The work of {name} is not done.")]
    findings, given = [], function.variables
    if function.state != "ACTIVE":
        meaning = "The last deployment failed; an older revision may be serving, or none."
        findings.append(fault(name, f"Its state is {function.state}, not ACTIVE.", meaning))
    for variable in needed:
        subject = f"{name}: {variable}"
        if variable not in given:
            meaning = f"{name} does not start without it."
            findings.append(fault(subject, "The variable is not set.", meaning))
        elif variable in own and _deployed(variable, given) != _deployed(variable, own):
            found = f"The function has {given[variable]!r}, this command has {own[variable]!r}."
            meaning = "This command and the function work on different things."
            findings.append(fault(subject, found, meaning))
    return findings


def _deployed(variable: str, values: Mapping[str, str]) -> str:
    """Return a variable's value as Terraform sets it: a city's own file is deployed under its name."""
    value = values[variable]
    return Path(value).stem if variable == "VELOCAST_CITY" and is_path(value) else value


def examine_services(system: System) -> list[Finding]:
    """Check that the APIs that Terraform enables are enabled."""
    listed = system.api("serviceusage").get(
        f"v1/projects/{system.project}/services", filter="state:ENABLED", pageSize=200
    )
    enabled = {service["config"]["name"] for service in listed.get("services", [])}
    return judge_services(read_services(), enabled)


def judge_services(needed: list[str], enabled: set[str]) -> list[Finding]:
    """Return one finding for each API that is needed and not enabled."""
    return [
        Finding(
            check="apis",
            subject=name,
            found="The API is not enabled.",
            meaning="Every call to this service is refused.",
            command=f"gcloud services enable {name}",
        )
        for name in needed
        if name not in enabled
    ]


def examine_secrets(system: System) -> list[Finding]:
    """Check that every secret has a value, and not the one of the first deployment. Values are never shown."""
    api, findings = system.api("secretmanager"), []
    for name, entry in read_config("secrets").items():
        if not is_needed(name, system.settings.city):
            continue
        path = f"v1/projects/{system.project}/secrets/{name}/versions/latest:access"
        try:
            value = base64.b64decode(api.get(path)["payload"].get("data", "")).decode()
        except NotFound:
            value = ""
        except (*CALL_ERRORS, ValueError) as exc:
            role = "roles/secretmanager.secretAccessor"
            command = (
                f"gcloud secrets add-iam-policy-binding {name} --member=user:YOU --role={role}"
            )
            findings.append(unknown("secrets", name, exc, command))
            continue
        findings += judge_secret(name, entry, value)
    return findings


def is_needed(secret: str, city: City) -> bool:
    """Say whether a deployment for this city needs a value of its own in a secret."""
    match secret:
        case "velocast-city-token":
            return isinstance(city.counts.source, EcoCounter)
        case "velocast-discord-webhook":
            return DISCORD in city.messages.named
        case "velocast-channels":
            return bool(city.messages.named - {DISCORD})
    return True


def judge_secret(name: str, entry: Mapping[str, str], value: str) -> list[Finding]:
    """Judge the value of a secret by its entry in terraform/config/secrets.yaml."""
    text = value.strip()
    if text and text != entry["first_value"].strip():
        return []
    return [
        Finding(
            check="secrets",
            subject=name,
            found="It still has its first value." if text else "It has no value.",
            meaning=f"{entry['description'].rstrip('.')}: whatever reads the secret fails without it.",
            command=f"gcloud secrets versions add {name} --data-file=-",
        )
    ]
