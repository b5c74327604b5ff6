"""The whole configuration for dev and prod: planned, applied with mocked providers and planned again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terraform.deploy import adoption, plans
from tests.terraform import topology, tree
from tests.terraform.cloud import Cloud
from tests.terraform.tree import Tree

pytestmark = pytest.mark.terraform


@pytest.fixture(scope="module")
def dev(project: Tree, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the runs on dev give."""
    copied = project.copy(tmp_path_factory.mktemp("dev") / "copy")
    return copied.results("dev", tree.APPLIED)


@pytest.mark.xdist_group("dev")
def test_the_whole_of_dev(dev: dict[str, dict[str, Any]]) -> None:
    check_the_whole("dev", dev)


def test_the_whole_of_prod(mutant: Tree) -> None:
    check_the_whole("prod", mutant.results("prod", tree.APPLIED))


def check_the_whole(environment: str, results: dict[str, dict[str, Any]]) -> None:
    views = {
        "planned": Cloud.planned(results["planned"]),
        "applied": Cloud.stated(results["applied"]),
    }
    wrong = {
        f"{run}, {name}": found
        for run, cloud in views.items()
        for name, check in topology.CHECKS.items()
        if (found := check(cloud))
    }
    assert not wrong
    everyone = {g for g in views["applied"].grants if g[2] == "*"}
    site = {("bucket site", "storage.objectViewer", "*")} if environment == "prod" else set()
    assert everyone == {("service velocast-serve", "run.invoker", "*")} | site
    assert_created_once(results["planned"], results["again"])
    assert_protected(views["applied"], environment == "prod")


@pytest.mark.xdist_group("dev")
def test_a_plan_tells_terraform_deploy_what_it_asks_for(dev: dict[str, dict[str, Any]]) -> None:
    shown = dev["planned"]
    plan = plans.from_json(Path("unused"), shown)
    assert plan.creates(plans.REGISTRY)
    assert plan.creates(plans.MIGRATION)
    assert plan.creates(plans.MLFLOW)
    assert plan.mlflow_images() is None, "a service that is not there yet is not migrated"
    registry = "europe-west1-docker.pkg.dev/velocast-test/velocast-images"
    assert plan.output("images") == {
        name: f"{registry}/{name}:0123456789abcdef" for name in ("jobs", "mlflow", "serve")
    }
    assert plan.output("build_account").endswith(
        "velocast-build@velocast-test.iam.gserviceaccount.com"
    )
    assert plan.output("serve_service") == adoption.NAME
    for name in ("location", "mlflow_instance", "mlflow_migration_job", "serve_public"):
        plan.output(name)
    after = shown["resource_changes"]
    (mlflow,) = [c["change"]["after"] for c in after if c["address"] == plans.MLFLOW]
    change = plans.Change(("update",), mlflow, mlflow)
    same = plans.Plan(Path("unused"), {}, {plans.MLFLOW: change})
    assert same.mlflow_images() == (f"{registry}/mlflow:0123456789abcdef",) * 2


def test_an_organisation_without_public_members_and_addresses(mutant: Tree) -> None:
    mutant.edit(
        "terraform/environments/prod.tfvars",
        "deletion_protection = true\npublic_site         = true\n",
        'deletion_protection = true\nserve_public = false\nserve_callers = ["group:team@example.org"]\n'
        "private_database = {}\n",
    )
    results = mutant.results("prod", tree.ONLY_APPLIED)
    made = Cloud.stated(results["applied"])
    everyone = {g for g in made.grants if g[2] == "*"}
    assert not everyone
    assert ("service velocast-serve", "run.invoker", "@example") in {
        (place, role, member.replace("group:team", "")) for place, role, member in made.grants
    }
    (instance,) = made.of("google_sql_database_instance")
    address = instance["settings"][0]["ip_configuration"][0]
    assert address["ipv4_enabled"] is False
    assert address["private_network"]
    assert not made.of("google_monitoring_uptime_check_config"), "it could not call a private API"
    apis = made.names("google_project_service", "service")
    assert {"compute.googleapis.com", "servicenetworking.googleapis.com"} <= apis
    assert topology.public(made) == []
    later = {c["address"]: c["change"]["actions"] for c in results["again"]["resource_changes"]}
    assert not {a for a, actions in later.items() if actions not in (["no-op"], ["read"])}


def assert_created_once(first: dict[str, Any], again: dict[str, Any]) -> None:
    """Everything is created at first, nothing changes afterwards, and only public providers are used."""
    changes = first["resource_changes"]
    assert {action for c in changes for action in c["change"]["actions"]} == {"create"}
    later = {c["address"]: c["change"]["actions"] for c in again["resource_changes"]}
    assert not {a for a, actions in later.items() if actions not in (["no-op"], ["read"])}
    assert {c["provider_name"].rsplit("/", 1)[-1] for c in changes} == {"google", "time"}


def assert_protected(made: Cloud, protected: bool) -> None:
    """Either everything with data is protected from being destroyed, or nothing is."""
    flags = {r.address: r["deletion_protection"] for r in made.resources}
    assert {flag for flag in flags.values() if flag is not None} == {protected}
    emptied = {b["name"]: b["force_destroy"] for b in made.of("google_storage_bucket")}
    assert emptied.pop("velocast-test-sources"), "its content comes from the repository"
    assert set(emptied.values()) == {not protected}
