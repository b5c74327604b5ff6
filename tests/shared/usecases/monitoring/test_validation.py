"""A version's published forecasts compared with the counts."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF, UNTIL
from velocast.adapters.champion_manifest import Champion
from velocast.core.city import load_city
from velocast.core.datetimes import parse_instant
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.evaluation.validation import Validation
from velocast.usecases.model_loading import LoadedChampion
from velocast.usecases.monitoring import validation
from velocast.usecases.monitoring.validation import ChampionValidation

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
DAY = timedelta(days=1)


def check(champion: Champion | None, counters: int = 4) -> ChampionValidation:
    serving = LoadedChampion()
    if champion is not None:
        learned_until = parse_instant(champion.trained_until)
        serving = LoadedChampion(version=champion.version, learned_until=learned_until)
    return validation.validate_champion(
        small_city.warehouse(),
        load_city("demoville"),
        Thresholds(),
        serving=serving,
        as_of=AS_OF,
        counters=counters,
    )


def found(champion: Champion | None, counters: int = 4) -> Validation:
    result = check(champion, counters).result
    assert isinstance(result, Validation), result
    return result


@pytest.fixture
def champion() -> Champion:
    """Version 3, trained on counts until 2025-02-01."""
    return champions.publish(3, trained_until="2025-02-01T00:00:00Z")


def test_scores_are_those_of_the_last_week_and_skill_of_four(champion: Champion) -> None:
    city = small_city.make(days=60)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=28, error=0.05)

    result = found(champion)

    week = city[city["counted_at"] >= AS_OF - 7 * DAY - timedelta(hours=5)]
    assert result.scores.rows == 3 * len(week)
    assert result.scores.counters == 4
    assert [lead.lead_day for lead in result.scores.lead_days] == [0, 1, 2]
    assert result.scores.wape == pytest.approx(0.05)
    assert result.scores.coverage == pytest.approx(0.9, abs=0.02)
    assert result.skill is not None
    assert result.skill > 0.5
    assert len(check(champion).pairs) > 3.9 * result.scores.rows


def test_of_a_large_city_one_hour_in_several_is_scored(
    champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = small_city.make(days=60)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=28, error=0.05)
    whole = check(champion)
    monkeypatch.setattr(validation, "MOST_COUNTERS", 2)  # of four

    drawn = check(champion)

    assert len(drawn.pairs) == pytest.approx(len(whole.pairs) / 2, rel=0.1)
    assert drawn.pairs["counter_id"].nunique() == 4
    keys = ["counter_id", "origin_at", "target_at"]
    same = whole.pairs.set_index(keys).loc[pd.MultiIndex.from_frame(drawn.pairs[keys])]
    pd.testing.assert_frame_equal(same.reset_index()[drawn.pairs.columns], drawn.pairs)
    # an hour is drawn with all its leads, and similar days of the same hours stand beside it
    assert (drawn.pairs.groupby(["counter_id", "target_at"]).size() == 3).mean() > 0.9
    assert drawn.pairs["similar_days"].notna().all()
    assert isinstance(drawn.result, Validation)
    assert drawn.result.scores.wape == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(("counters", "one_in"), [(0, 1), (1000, 1), (1001, 2), (20_000, 20)])
def test_rows_are_those_of_a_thousand_counters_at_most(counters: int, one_in: int) -> None:
    assert validation.keep_one_in(counters) == one_in


def test_other_versions_and_longer_leads_do_not_count(champion: Champion) -> None:
    city = small_city.make(days=60)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=7, error=0.05)
    alone = found(champion)
    small_city.publish_forecasts(city, version=2, days=7, error=0.9)

    assert found(champion) == alone


def test_before_there_is_a_champion_similar_days_are_scored() -> None:
    city = small_city.make(days=60)
    small_city.store(city)
    small_city.publish_forecasts(city, version=0, days=7, error=0.2)

    assert check(None).version == 0
    assert found(None).scores.wape == pytest.approx(0.2)


def test_hours_it_was_trained_on_are_left_out() -> None:
    """A backfill with the current champion forecasts days that it was trained on."""
    city = small_city.make(days=60)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=28)
    champion = champions.publish(3, trained_until="2025-03-09T00:00:00Z")

    result = check(champion).result

    assert isinstance(result, Unknown)
    assert result.reason.startswith("276 forecasts of the last 7 days have a count, 500 are")


def test_outages_are_not_scored(champion: Champion) -> None:
    city = small_city.make(days=60)
    late = city["counted_at"] >= AS_OF - 2 * DAY
    small_city.store(city.assign(quality=late.map({True: "outage", False: None})))
    small_city.publish_forecasts(city, version=3, days=7)

    assert (check(champion).pairs["target_at"] < AS_OF - 2 * DAY).all()


def test_outages_do_not_enter_the_reference(champion: Champion) -> None:
    """Skill is measured against the count 168 hours earlier; a flagged count is not used."""
    city = small_city.make(days=60)
    small_city.publish_forecasts(city, version=3, days=28)
    broken = city["counted_at"].between(AS_OF - 35 * DAY, AS_OF - 33 * DAY)
    small_city.store(
        city.assign(
            bike_count=city["bike_count"].mask(broken, 4000),
            quality=broken.map({True: "outage", False: None}),
        )
    )

    pairs = check(champion).pairs.set_index("target_at")

    after = pairs.sort_index().loc[AS_OF - 28 * DAY : AS_OF - 26 * DAY]
    assert len(after) > 500
    assert after["lag_168h"].isna().all()
    assert pairs["lag_168h"].max() < 4000


def test_nothing_forecast_is_unknown(champion: Champion) -> None:
    small_city.store(small_city.make(days=60))

    assert check(champion).result == Unknown(
        reason="0 forecasts of the last 7 days have a count, 500 are needed"
    )


def test_too_few_of_the_counters_is_unknown(champion: Champion) -> None:
    city = small_city.make(days=60)
    small_city.store(city)
    some = city[city["counter_id"] != city["counter_id"].max()]
    small_city.publish_forecasts(some, version=3, days=7)

    result = check(champion, counters=4).result

    assert isinstance(result, Unknown)
    assert result.reason.startswith("3 of 4 counters have a count")


def test_today_is_not_over_yet(champion: Champion) -> None:
    city = small_city.make(days=60, until=UNTIL + DAY)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=8, until=UNTIL + DAY)

    assert check(champion).pairs["target_at"].max() < small_city.ORIGIN
