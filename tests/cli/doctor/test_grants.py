"""The roles that the doctor expects, and the permissions by which it recognises them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from tests.terraform.grants import GRANTS
from velocast.core.errors import SettingsError
from velocast_cli.doctor.access import TELLING, judge_grants, judge_refusals
from velocast_cli.doctor.grants import Grant, read_config, read_grants, read_services

ROLES: dict[str, list[str]] = yaml.safe_load(
    files("velocast_local.stack").joinpath("roles.yaml").read_text(encoding="utf-8")
)
KINDS = ("project", "dataset", "bucket", "topic", "secret", "job", "service")
# Accounts that run nothing of ours: MLflow's server and the builds.
OTHERS = {"mlflow", "build"}


def planned() -> set[Grant]:
    """The grants of a Terraform plan, which tests/terraform compares with this table."""
    found = set()
    for resource, roles in GRANTS.items():
        kind, _, name = resource.partition(" ")
        for role, accounts in roles.items():
            for word in accounts.split():
                if kind in KINDS and word not in OTHERS and word[0] not in "@*":
                    found.add(Grant(f"velocast-{word}", f"roles/{role}", kind, name))  # type: ignore[arg-type]
    return found


def test_the_doctor_expects_what_terraform_grants() -> None:
    assert set(read_grants()) == planned()


def test_every_role_is_recognised_by_permissions_that_google_says_it_has() -> None:
    expected = {grant.role for grant in read_grants()}
    assert expected <= TELLING.keys()
    for role, permissions in TELLING.items():
        assert set(permissions) <= set(ROLES[role]), role


@pytest.mark.parametrize("grant", read_grants(), ids=lambda g: f"{g.account}-{g.role}-{g.name}")
def test_every_grant_that_is_missing_is_named(grant: Grant) -> None:
    others = [g for g in read_grants() if g.account == grant.account and g != grant]
    held = {
        p for g in others if (g.kind, g.name) == (grant.kind, grant.name) for p in ROLES[g.role]
    }
    (finding,) = judge_grants([grant], held, project="p", location="l")
    assert finding.kind == "fault"
    assert finding.subject.startswith(f"{grant.account}: {grant.role[6:]} on {grant.kind}")
    assert f"serviceAccount:{grant.account}@p.iam.gserviceaccount.com" in finding.command
    assert grant.role in finding.command
    assert judge_grants([grant], held | set(ROLES[grant.role]), project="p", location="l") == []


def test_a_role_without_an_entry_is_unknown_and_not_passed() -> None:
    grant = Grant("velocast-fetch", "roles/new.role", "topic", "t")
    (finding,) = judge_grants([grant], set(), project="p", location="l")
    assert finding.kind == "unknown"
    assert "roles/new.role" in finding.found


def test_accounts_that_cannot_be_asked_about_are_one_unknown() -> None:
    assert judge_refusals({}, project="p") == []
    refused = {"velocast-serve": PermissionError("no token"), "velocast-fetch": PermissionError()}
    (finding,) = judge_refusals(refused, project="p")
    assert (finding.kind, finding.subject) == ("unknown", "velocast-fetch, velocast-serve")
    assert "no token" in finding.found
    assert "roles/iam.serviceAccountTokenCreator" in finding.command


def test_the_apis_are_those_that_terraform_enables() -> None:
    found = read_services()
    assert {"bigquery.googleapis.com", "run.googleapis.com", "sqladmin.googleapis.com"} <= set(
        found
    )
    assert found == sorted(set(found))


def test_without_a_checkout_it_says_where_to_run_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="from a checkout"):
        read_config("functions", tmp_path)
    with pytest.raises(SettingsError, match="lists no API"):
        read_services(tmp_path / "main.tf")
