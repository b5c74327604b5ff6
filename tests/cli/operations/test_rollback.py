"""A rollback of the champion: as a promotion, and as the command that runs the job."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gcp_emulators.cloud_run.api import CloudRunApi
from gcp_emulators.cloud_run.jobs import CloudRun
from gcp_emulators.core.clock import Clock
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.http_server import HttpServer
from gcp_emulators.core.warm_python import WarmPython
from tests import emulators
from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, LATER, Lab
from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant
from velocast.core.errors import PromotionRefused
from velocast.core.notices import ChampionPromoted
from velocast.model.features import definition
from velocast.usecases.context import perform
from velocast.usecases.training.promote import PromoteRequest, promote
from velocast_cli.main import app
from velocast_cli.operations import google_apis
from velocast_local.stack.configuration import load_jobs
from velocast_local.stack.state import REPOSITORY

NOW = "2025-03-18T09:00:00Z"
FORECASTS = """SELECT DISTINCT model_version FROM bike_traffic_predictions.forecasts
    WHERE target_at > '2025-03-18'"""


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Two champions, one after the other, and a challenger that never was one."""
    with training_lab.laid_out(request, "serving") as lab:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MIN_GAIN", "-100")
            version = lab.training("later").version
            lab.evaluate(version, "later", LATER)
            lab.promote(version, "later", LATER)
        lab.train("rb-third", LATER)
        lab.evaluate(lab.training("rb-third").version, "rb-judge", LATER)
        lab.keep()
        yield lab


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask often whether a job has ended; the command's own pauses grow to five seconds."""
    monkeypatch.setattr(google_apis, "LONGEST_PAUSE_SECONDS", 0.3)


@pytest.fixture
def champions(lab: Lab) -> tuple[int, int]:
    """The first and the second champion's versions, with their audit rows; the second one serves."""
    versions = lab.training("first").version, lab.training("later").version
    for version, name, at in zip(versions, ("first", "later"), (FIRST, LATER), strict=True):
        lab.promote(version, name, at)  # done before: only writes its rows again
    lab.registry().set_alias("forecast", "champion", versions[1])
    lab.notices()
    return versions


def roll_back(lab: Lab, version: int, execution_id: str = "rb-back") -> list[AuditRow]:
    run = lab.run("promote", execution_id, NOW)
    request = PromoteRequest(version=version, as_published=True)
    return perform(run, lambda: promote(request, run))


def serving(lab: Lab) -> Champion:
    champion, _ = champion_manifest.read_champion(lab.objects())
    assert champion is not None
    return champion


def test_the_same_bytes_serve_again_with_all_that_follows(
    lab: Lab, champions: tuple[int, int]
) -> None:
    first, second = champions
    before = Champion.model_validate(lab.objects().read_json("runs/first/plan.json")[0]["champion"])
    roll_back(lab, first)
    now = serving(lab)
    assert now == before.model_copy(update={"published_at": NOW, "trained_from": now.trained_from})
    assert lab.registry().get_alias("forecast", "champion") == first
    marks = {e.version: e.is_champion for e in champion_manifest.read_summary(lab.objects())}
    assert (marks[first], marks[second]) == (True, False)
    assert [r["model_version"] for r in lab.client.query_and_wait(FORECASTS)] == [first]
    (row,) = [r for r in lab.audit() if r["event_id"] == "promote:rb-back:deployment"]
    assert row["old_champion_run_id"] == lab.training("later").run_id
    assert row["new_champion_run_id"] == lab.training("first").run_id
    assert row["details"]["as_published"] is True
    assert (row["old_r2_score"], row["model_improvement"]) == (None, None)
    (notice,) = lab.notices()
    assert isinstance(notice, ChampionPromoted)
    assert notice.reason.startswith(f"rollback: version {first} is the champion again")
    assert (notice.old_run_id, notice.old_r2) == (lab.training("later").run_id, None)


def test_killed_after_any_write_it_ends_as_one_clean_run(
    lab: Lab, champions: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed = training_lab.kill_after_every_write(patch, lambda: roll_back(lab, champions[0]))
    assert len(killed) >= 7, killed
    assert serving(lab).version == champions[0]
    assert len(lab.notices()) == 1
    assert len([r for r in lab.audit() if r["execution_id"] == "rb-back"]) == 2


def test_what_cannot_serve_is_refused_and_nothing_moves(
    lab: Lab, champions: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = champions
    before = serving(lab)
    with pytest.raises(PromotionRefused, match=f"version {second} is the champion already"):
        roll_back(lab, second, "rb-a")
    third = lab.training("rb-third").version
    with pytest.raises(PromotionRefused, match=f"version {third} was never the champion"):
        roll_back(lab, third, "rb-b")
    with monkeypatch.context() as patch:
        patch.setattr(definition, "FEATURE_DEFINITION", "features-of-tomorrow")
        with pytest.raises(
            PromotionRefused,
            match=f"version {first} cannot serve any more: .* was trained on features .* deploy the code",
        ):
            roll_back(lab, first, "rb-c")
    uri = Champion.model_validate(
        lab.objects().read_json("runs/first/plan.json")[0]["champion"]
    ).artifact_uri
    lab.objects().write(uri.split("/", 3)[3], b"other", content_type="text/plain")
    with pytest.raises(PromotionRefused, match=r"has SHA-256 .* restore the original object"):
        roll_back(lab, first, "rb-d")
    assert serving(lab) == before
    assert lab.notices() == []


@pytest.fixture
def cloud_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_python: WarmPython
) -> Iterator[CloudRun]:
    """Cloud Run with the real jobs, in processes of their own."""
    clock = Clock(tmp_path / "clock")
    clock.set(parse_instant(NOW))
    jobs = CloudRun(
        load_jobs(REPOSITORY / "terraform" / "config" / "jobs.yaml"),
        scripts=REPOSITORY / "workflows" / "jobs",
        records=DocumentStore(tmp_path / "records"),
        logs=tmp_path / "logs",
        clock=clock,
        environment=lambda _names: dict(os.environ),
        clock_variable="VELOCAST_AS_OF",
        python=warm_python,
    )
    api = CloudRunApi(jobs, emulators.PROJECT, emulators.LOCATION)
    with HttpServer(api.routes()) as server:
        monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", server.url)
        monkeypatch.setenv("VELOCAST_AS_OF", NOW)
        yield jobs
    jobs.stop()


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rollback", *arguments])


def test_the_command_finds_the_previous_champion_and_runs_the_job(
    lab: Lab, champions: tuple[int, int], cloud_run: CloudRun
) -> None:
    first, second = champions
    planned = velocast("--dry-run", "--json")
    assert json.loads(planned.stdout) == {"before": second, "version": first, "dry_run": True}
    refused = velocast()
    assert refused.exit_code == 1
    assert f"Replace version {second} of forecast with version {first}?" in refused.stderr
    assert cloud_run.executions() == []

    done = velocast("--yes", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["before"], found["version"]) == (second, first)
    assert found["forecasts"] > 0
    (execution,) = cloud_run.executions()
    assert found["execution_id"] == execution["id"]
    assert serving(lab).version == first

    # The first champion replaced nobody; the way forward is a version by name.
    further = velocast("--yes")
    assert further.exit_code == 1
    assert f"version {first} is the first champion" in further.stderr
    forward = velocast("--to", str(second), "--yes")
    assert forward.exit_code == 0, forward.output
    assert f"version {second} is the champion" in forward.stdout
    assert serving(lab).version == second
    assert velocast("--dry-run", "--json").stdout.startswith(
        f'{{"before": {second}, "version": {first}'
    )


def test_the_jobs_refusal_is_shown(
    lab: Lab, champions: tuple[int, int], cloud_run: CloudRun
) -> None:
    third = lab.training("rb-third").version
    ended = velocast("--to", str(third), "--yes")
    assert ended.exit_code == 1
    assert f"promotion_refused: version {third} was never the champion" in ended.stderr
    assert "(execution velocast-promote-" in ended.stderr
