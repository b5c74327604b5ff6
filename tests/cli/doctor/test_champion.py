"""The champion's files in an emulated bucket: what is found, and what --fix restores."""

from __future__ import annotations

import pytest

from tests.shared.usecases import champions
from velocast.adapters import champion_manifest
from velocast_cli.doctor.champion import examine_manifests, intact_generation
from velocast_cli.doctor.repairs import restore_artifacts
from velocast_cli.doctor.system import System
from velocast_cli.target import job_run

pytestmark = pytest.mark.usefixtures("storage_buckets")


@pytest.fixture
def system(storage_buckets: dict[str, str]) -> System:
    return System(job_run("doctor", home=None, as_of="2026-03-01T05:00:00Z"))


def test_an_artifact_that_is_intact(system: System) -> None:
    champions.publish(3)
    assert examine_manifests(system) == []


def test_a_flipped_artifact_is_restored_from_its_own_older_generation(system: System) -> None:
    champion = champions.publish(3)
    champions.spoil(3)
    (finding,) = examine_manifests(system)
    generation = intact_generation(system, champion)
    assert f"{champion.artifact_uri}#{generation}" in finding.command
    assert finding.repair == "restore_artifact"
    restore_artifacts(system, [finding])
    assert examine_manifests(system) == []


def test_without_an_intact_generation_another_version_must_serve(system: System) -> None:
    champions.publish(3, sha256="0" * 64)
    (finding,) = examine_manifests(system)
    assert (finding.command, finding.repair) == ("velocast rollback", None)


def test_an_artifact_that_is_gone_is_restored_too(system: System) -> None:
    champion = champions.publish(3)
    champions.models().delete("models/gbm/run-3/model.skops")
    (finding,) = examine_manifests(system)
    assert "does not exist" in finding.found
    restore_artifacts(system, [finding])
    assert champions.models().exists("models/gbm/run-3/model.skops")
    assert champion.version == 3


def test_a_manifest_that_cannot_be_read(system: System) -> None:
    name = champion_manifest.MANIFEST
    champions.models().write(name, b"{", content_type="application/json")
    (finding,) = examine_manifests(system)
    assert finding.subject == champions.models().uri(name)
    assert finding.command == "velocast rollback"
