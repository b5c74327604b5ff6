"""The whole configuration for dev and prod: planned, applied with mocked providers and planned again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.terraform import topology, tree
from tests.terraform.cloud import Cloud
from tests.terraform.tree import Tree

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_whole(environment: str, mutant: Tree) -> None:
    results = mutant.results(environment, tree.APPLIED)
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
    assert_created_once(results["planned"], results["again"])
    assert_protected(views["applied"], environment == "prod")


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
