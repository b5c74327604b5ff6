"""The parts of a Terraform plan or state that the checks need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

PROJECT = "velocast-test"
PUBLIC = {"allUsers", "allAuthenticatedUsers"}
# What runs MLflow's code: its service, and the job that upgrades its database.
MLFLOW = {"velocast-mlflow", "velocast-mlflow-migrate"}
# The attribute that names the resource of a grant, by the grant's type.
PLACES = {
    "google_artifact_registry_repository_iam_member": ("registry", "repository"),
    "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
    "google_cloud_run_v2_job_iam_member": ("job", "name"),
    "google_cloud_run_v2_service_iam_member": ("service", "name"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
}


@dataclass(frozen=True)
class Resource:
    """One resource. Values that a plan cannot know are missing or None."""

    address: str
    type: str
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)


@dataclass(frozen=True)
class Cloud:
    """The resources of a plan or a state."""

    resources: tuple[Resource, ...]
    text: str

    @classmethod
    def planned(cls, plan: Mapping[str, Any]) -> Cloud:
        """Read the resources that a plan would create."""
        made = [
            Resource(change["address"], change["type"], change["change"]["after"])
            for change in plan["resource_changes"]
            if change["mode"] == "managed" and change["change"]["after"]
        ]
        return cls(tuple(made), json.dumps({k: plan[k] for k in plan if k != "provider_schemas"}))

    @classmethod
    def stated(cls, state: Mapping[str, Any]) -> Cloud:
        """Read the resources of a state."""

        def under(module: Mapping[str, Any]) -> Iterator[Resource]:
            for found in module.get("resources", []):
                if found["mode"] == "managed":
                    yield Resource(found["address"], found["type"], found["values"])
            for child in module.get("child_modules", []):
                yield from under(child)

        text = json.dumps({k: state[k] for k in state if k != "provider_schemas"})
        return cls(tuple(under(state["root_module"])), text)

    def of(self, kind: str) -> list[Resource]:
        """Every resource of a type."""
        return [resource for resource in self.resources if resource.type == kind]

    def names(self, kind: str, attribute: str = "name") -> set[str]:
        """Names of the resources of a type."""
        return {resource[attribute] for resource in self.of(kind)}

    @cached_property
    def environments(self) -> dict[str, dict[str, str]]:
        """Environment variables of what runs Velocast's code (functions, jobs, the API), by name."""
        functions = {
            f["name"]: f["service_config"][0]["environment_variables"] or {}
            for f in self.of("google_cloudfunctions2_function")
        }
        templates = {s["name"]: s["template"][0] for s in self.of("google_cloud_run_v2_service")}
        templates |= {
            j["name"]: j["template"][0]["template"][0] for j in self.of("google_cloud_run_v2_job")
        }
        return functions | {
            name: {env["name"]: env["value"] for env in template["containers"][0]["env"]}
            for name, template in templates.items()
            if name not in MLFLOW
        }

    @cached_property
    def grants(self) -> set[tuple[str, str, str]]:
        """Every granted role: resource, role, member."""
        return {
            (
                _place(r),
                r["role"].removeprefix("roles/") + "?" * bool(r["condition"]),
                who(r["member"]),
            )
            for r in self.resources
            if r.type in PLACES or r.type == "google_project_iam_member"
        }

    @property
    def pushes(self) -> list[Resource]:
        """Subscriptions that call a function."""
        return [s for s in self.of("google_pubsub_subscription") if s["push_config"]]

    def callee(self, subscription: Resource) -> str:
        """The service that a push subscription's account may call, since its URL is unknown before it exists."""
        account = subscription["push_config"][0]["oidc_token"][0]["service_account_email"]
        services = {
            p for p, role, w in self.grants if role == "run.invoker" and w == _short(account)
        }
        return " and ".join(sorted(services)).removeprefix("service ") or "nothing"


def _place(resource: Resource) -> str:
    if resource.type == "google_project_iam_member":
        return "project"
    kind, attribute = PLACES[resource.type]
    name = str(resource[attribute]).rsplit("/", 1)[-1].split("@")[0]
    return f"{kind} {name.removeprefix(f'{PROJECT}-')}"


def _short(email: str) -> str:
    name, _, domain = email.partition("@")
    ours = domain == f"{PROJECT}.iam.gserviceaccount.com"
    return name.removeprefix("velocast-") if ours else f"@{domain.split('.')[0]}"


def who(member: str) -> str:
    """A member as grants.py writes it."""
    return "*" if member in PUBLIC else _short(member.removeprefix("serviceAccount:"))
