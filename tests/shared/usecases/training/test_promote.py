from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, LATER, Buckets, Lab
from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.mlflow_registry import Registry, model_name
from velocast.core.datetimes import parse_instant
from velocast.core.errors import PromotionRefused
from velocast.core.kinds import ForecastKind
from velocast.core.notices import ChampionPromoted
from velocast.model.learning import forecaster
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases import model_loading as champions
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting import daily_forecast
from velocast.usecases.forecasting.past_champion import BEGINNING
from velocast.usecases.training.refit import relative_difference
from velocast.usecases.training.stored.records import Decision, Promotion
from velocast.usecases.training.stored.run_store import RunStore

FORECASTS = """SELECT DISTINCT model_version, run_id, model_kind
    FROM bike_traffic_predictions.forecasts WHERE target_at > '2020-01-01'"""


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A challenger without a champion before it, judged DEPLOY."""
    with training_lab.laid_out(request, "judged") as lab:
        lab.keep()
        yield lab


@pytest.fixture(scope="module")
def later_judged(trained: Lab) -> Buckets:
    """What the buckets hold when a challenger of the week after is trained too, and judged beside nobody yet."""
    trained.begin("two")
    trained.evaluate(trained.training("later").version, "later", LATER)
    return trained.buckets()


@pytest.fixture
def two_challengers(later_judged: Buckets, lab: Lab) -> tuple[int, int]:
    """The versions of two challengers that were both judged DEPLOY; nobody serves, and MLflow names no champion."""
    from mlflow import MlflowClient

    lab.restore(later_judged)
    client = MlflowClient(lab.registry().tracking_uri)
    client.delete_registered_model_alias(model_name("forecast"), "champion")
    return lab.training("first").version, lab.training("later").version


def serving(lab: Lab) -> Champion:
    champion, _ = champion_manifest.read_champion(lab.objects())
    assert champion is not None
    return champion


def somebody_elses(lab: Lab) -> Champion:
    """A champion that this execution did not make."""
    record = lab.training("first")
    return Champion(
        version=99,
        run_id="other",
        task=record.task,
        kind=record.kind,
        artifact_uri=record.artifact.uri,
        sha256=record.artifact.sha256,
        feature_definition=record.feature_definition,
        library_versions=record.library_versions,
        metrics={"current_r2": 0.9},
        trained_from=record.counts.first,
        trained_until=record.counts.last,
        published_at=FIRST,
        baseline=record.baseline.test.sha256,
        judged_run_id=record.run_id,
        judged_sha256=record.artifact.sha256,
    )


def described(lab: Lab) -> dict[str, object]:
    """What is served and known, but the refit's own bytes: two fits on sums added up in another order may differ."""
    champion = serving(lab).model_dump(exclude={"sha256", "artifact_uri"})
    entries = champion_manifest.read_summary(lab.objects())
    return {
        "champion": champion,
        "versions": [(e.version, e.is_champion, e.decision) for e in entries],
        "names": sorted(n for n in lab.contents() if "refit-" not in n),
    }


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The gauges that a run sets, by name without the prefix."""
    found: dict[str, float] = {}

    def remember(_self: object, name: str, value: float, **_labels: str) -> None:
        found[name.removeprefix("bike/")] = float(value)

    monkeypatch.setattr("velocast.core.telemetry.Metrics.set", remember)
    return found


def test_the_champions_gauges_speak_of_the_new_one_at_once(
    lab: Lab, gauges: dict[str, float]
) -> None:
    lab.promote(lab.training("first").version, "first", FIRST)
    decided = lab.decision("first")
    new = decided.current.new
    assert gauges == {
        "forecast_rmse": new.rmse,
        "forecast_mae": new.mae,
        "forecast_r2": new.r2,
        "forecast_skill": new.skill,
        "forecast_skill_reference": decided.current.reference.skill,
        "interval_coverage": new.coverage,
        "champion_age_seconds": 0.0,
    }


def test_the_first_champion_is_published_with_all_that_follows(lab: Lab) -> None:
    version = lab.training("first").version
    lab.promote(version, "first", FIRST)

    now = serving(lab)
    trained = lab.training("first")
    decided = lab.decision("first")
    assert (now.version, now.run_id, now.kind) == (version, trained.run_id, "blend")
    assert (now.judged_run_id, now.judged_sha256) == (trained.run_id, trained.artifact.sha256)
    assert now.sha256 != now.judged_sha256  # fitted again
    data = lab.objects().read(now.artifact_uri.split("/", 3)[3]).data
    assert hashlib.sha256(data).hexdigest() == now.sha256
    assert TrainedModel.from_bytes(data).kind == "blend"
    assert now.trained_until == "2025-03-09T23:00:00Z"
    assert now.published_at == FIRST
    assert now.baseline == trained.baseline.test.sha256
    assert now.metrics["current_r2"] == decided.current.new.r2

    assert lab.registry().get_alias("forecast", "champion") == version
    tags = lab.registry().version_info("forecast", version).tags
    assert (tags["refit_sha256"], tags["refit_uri"]) == (now.sha256, now.artifact_uri)
    (entry,) = champion_manifest.read_summary(lab.objects())
    assert (entry.is_champion, entry.sha256, entry.decision) == (True, now.sha256, "DEPLOY")
    loaded = champions.load_champion(lab.objects(), on_fallback=lambda step: pytest.fail(str(step)))
    assert loaded.version == version
    assert [dict(row) for row in lab.client.query_and_wait(FORECASTS)] == [
        {"model_version": version, "run_id": trained.run_id, "model_kind": "blend"}
    ]

    deployment, validation = lab.audit()
    assert (deployment["event_type"], deployment["deployment_decision"]) == ("DEPLOYMENT", "DEPLOY")
    assert (deployment["old_champion_run_id"], deployment["new_champion_run_id"]) == (
        None,
        trained.run_id,
    )
    assert deployment["new_r2_score"] == decided.current.new.r2
    assert validation["event_type"] == "VALIDATION"
    assert (validation["r2"], validation["rmse"]) == (
        decided.current.new.r2,
        decided.current.new.rmse,
    )
    (notice,) = lab.notices()
    assert isinstance(notice, ChampionPromoted)
    assert (notice.version, notice.old_run_id, notice.old_r2) == (version, None, None)
    assert (notice.new_run_id, notice.new_r2) == (trained.run_id, decided.current.new.r2)
    assert notice.dataset == trained.baseline.test.sha256


def test_a_better_challenger_takes_the_champions_place(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.begin("serving")
    monkeypatch.setenv("MIN_GAIN", "-100")
    first = lab.training("first").version
    before = serving(lab)
    assert before.version == first
    later = lab.training("later").version
    lab.evaluate(later, "later", LATER)
    lab.notices()
    lab.promote(later, "later", LATER)

    now = serving(lab)
    assert now.version == later
    assert now.trained_until == "2025-03-16T23:00:00Z"
    assert lab.registry().get_alias("forecast", "champion") == later
    marks = {e.version: e.is_champion for e in champion_manifest.read_summary(lab.objects())}
    assert marks == {first: False, later: True}
    decided = lab.decision("later")
    assert decided.current.old is not None
    (notice,) = lab.notices()
    assert (notice.old_run_id, notice.new_run_id) == (before.run_id, now.run_id)
    assert (notice.old_r2, notice.gain_relative) == (decided.current.old.r2, decided.gain)
    assert notice.gain_absolute == pytest.approx(notice.new_r2 - notice.old_r2)

    # A late repetition of the first promotion must not bring the first champion back.
    lab.promote(first, "first", FIRST)
    assert serving(lab) == now
    assert lab.registry().get_alias("forecast", "champion") == later


def test_killed_after_any_write_it_ends_as_one_clean_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = lab.training("first").version
    lab.promote(version, "first", FIRST)
    clean, rows, told = described(lab), lab.audit(), lab.notices()
    forecasts = list(lab.client.query_and_wait(FORECASTS))
    lab.restore()
    with monkeypatch.context() as patch:
        killed = training_lab.kill_after_every_write(
            patch, lambda: lab.promote(version, "first", FIRST)
        )
    assert len(killed) >= 9, killed
    assert described(lab) == clean
    assert lab.notices() == told
    ids = ("event_id", "deployment_decision", "new_r2_score", "r2")
    assert [[row[k] for k in ids] for row in lab.audit()] == [[row[k] for k in ids] for row in rows]
    assert list(lab.client.query_and_wait(FORECASTS)) == forecasts


def test_a_champion_that_was_replaced_meanwhile_refuses_the_promotion(lab: Lab) -> None:
    version, other = lab.training("first").version, somebody_elses(lab)
    champion_manifest.publish_champion(lab.objects(), other, if_generation=0)
    with pytest.raises(
        PromotionRefused, match=r"compared with champion none, but the champion is now 99"
    ):
        lab.promote(version, "first", FIRST)
    assert serving(lab) == other
    assert lab.notices() == []


def test_a_champion_published_between_plan_and_publication_wins(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, other = lab.training("first").version, somebody_elses(lab)
    publish = champion_manifest.publish_champion

    def late(objects: object, champion: Champion, *, if_generation: int) -> int:
        publish(lab.objects(), other, if_generation=0)
        return publish(lab.objects(), champion, if_generation=if_generation)

    monkeypatch.setattr(champion_manifest, "publish_champion", late)
    with pytest.raises(PromotionRefused, match=r"was to replace manifest generation 0"):
        lab.promote(version, "first", FIRST)
    assert serving(lab) == other


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Registry, "set_tags"),
        (Registry, "set_alias"),
        (champion_manifest, "mark_champion"),
        (daily_forecast, "publish_forecasts"),
    ],
)
def test_of_two_promotions_by_hand_the_one_that_is_overtaken_says_so_and_all_places_agree(
    lab: Lab,
    two_challengers: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    kind: object,
    name: str,
) -> None:
    """The second runs from its beginning to its end right before a step of the first, which then goes on."""
    first, second = two_challengers
    do = getattr(kind, name)
    stopped: list[str] = []

    def step(*args: Any, **options: Any) -> Any:
        if not stopped:
            stopped.append(name)
            lab.promote(second, "by-hand-b", LATER)
        return do(*args, **options)

    monkeypatch.setattr(kind, name, step)
    with pytest.raises(PromotionRefused) as refused:
        lab.promote(first, "by-hand-a", FIRST)
    assert stopped == [name]
    assert f"version {first} was published, but another" in str(refused.value)
    assert f"the champion is version {second}" in str(refused.value)

    assert serving(lab).version == second
    marked = [e for e in champion_manifest.read_summary(lab.objects()) if e.is_champion]
    assert [entry.version for entry in marked if entry.task == "forecast"] == [second]
    assert lab.registry().get_alias("forecast", "champion") == second
    shown = snapshot_format.loads(lab.objects().read(snapshot_format.SNAPSHOT).data)
    assert shown.champion
    assert shown.champion.version == second
    promotions = lab.warehouse().query(
        "champions_until", since=BEGINNING, as_of=parse_instant(LATER)
    )
    assert json.loads(promotions["details"].iloc[0])["version"] == second
    assert [n.version for n in lab.notices() if isinstance(n, ChampionPromoted)] == [second]
    monkeypatch.undo()
    with pytest.raises(PromotionRefused, match="evaluate and promote again"):
        lab.promote(first, "by-hand-a", FIRST)  # the job's own retry


def test_a_refit_far_from_what_was_judged_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = forecaster.fit_forecaster

    def tenfold(
        kind: ForecastKind,
        rows: pd.DataFrame,
        held_out: pd.DataFrame,
        *,
        seed: int,
        test_mode: bool,
    ) -> TrainedModel:
        wrong = rows.assign(bike_count=rows["bike_count"] * 10)
        return fit(kind, wrong, held_out.head(0), seed=seed, test_mode=test_mode)

    monkeypatch.setattr(forecaster, "fit_forecaster", tenfold)
    version = lab.training("first").version
    with pytest.raises(
        PromotionRefused, match=r"away from the model that was evaluated.*refit_tolerance"
    ):
        lab.promote(version, "first", FIRST)
    assert champion_manifest.read_champion(lab.objects()) == (None, 0)
    assert lab.notices() == []


def test_only_deploy_promotes_within_a_retraining(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = lab.training("first").version
    records = RunStore(lab.run("promote", "first", FIRST))
    refused = records.find("decision.json", Decision)
    assert refused is not None
    skip = refused.model_copy(update={"decision": "SKIP"})
    lab.objects().write_json("runs/first/decision.json", skip.model_dump(mode="json"))
    with pytest.raises(PromotionRefused, match="decided SKIP about forecast version"):
        lab.promote(version, "first", FIRST)


def test_by_hand_any_judged_version_may_be_promoted_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = lab.training("first").version
    lab.promote(version, "first", FIRST)
    first = serving(lab)
    lab.promote(version, "velocast-promote-abcde", LATER)
    now = serving(lab)
    assert (now.version, now.run_id) == (first.version, first.run_id)
    assert now.trained_until == "2025-03-16T23:00:00Z"  # everything known by then
    assert now.artifact_uri != first.artifact_uri
    done = lab.found("velocast-promote-abcde", "promotion.json", Promotion)
    assert done.replaced is not None
    assert done.replaced.version == version


def test_a_version_that_was_never_judged_is_refused(lab: Lab) -> None:
    record = lab.training("first")
    lab.objects().delete(f"models/blend/{record.run_id}/decision.json")
    with pytest.raises(PromotionRefused, match="never evaluated; run velocast-evaluate"):
        lab.promote(record.version, "by-hand", FIRST)


def test_a_trial_is_refused(lab: Lab) -> None:
    lab.train("up-trial", FIRST, test_mode=True)
    with pytest.raises(PromotionRefused, match="trained in test mode"):
        lab.promote(lab.training("up-trial").version, "by-hand", FIRST)


@pytest.mark.parametrize(
    ("refitted", "difference"), [([3.0, 4.0], 0.0), ([3.3, 4.4], 0.1), ([0.0, 0.0], 1.0)]
)
def test_relative_difference(refitted: list[float], difference: float) -> None:
    assert relative_difference(pd.Series([3.0, 4.0]), pd.Series(refitted)) == pytest.approx(
        difference
    )
