"""What a model must beat is chosen and compared on the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, root_mean_squared_error

from tests.shared.model.evaluation.scored_rows import scored_rows
from velocast.core.unknown import Unknown
from velocast.model.evaluation import references
from velocast.model.evaluation.references import ReferenceGain


def with_references(noise: float = 0.0) -> pd.DataFrame:
    """Rows whose week-earlier value is far off, and whose similar days are near."""
    rows = scored_rows(origins=12)
    return rows.assign(
        similar_days=rows["bike_count"] + 5.0,
        lag_168h=rows["bike_count"] + 20.0,
        predicted_count=rows["bike_count"] + 4.0 + noise,
    )


class TestSkill:
    def test_is_against_the_better_of_the_two(self) -> None:
        rows = with_references()
        found = references.skill_against_better(rows)
        assert found is not None
        assert found.reference == "similar_days"
        assert found.skill == pytest.approx(1 - 4 / 5)
        swapped = rows.rename(columns={"similar_days": "lag_168h", "lag_168h": "similar_days"})
        found = references.skill_against_better(swapped)
        assert found is not None
        assert found.reference == "value_168h_before"
        assert found.skill == pytest.approx(1 - 4 / 5)

    def test_uses_the_rows_that_have_both(self) -> None:
        rows = with_references()
        lacking = rows.index % 3 == 0
        partly = rows.assign(
            similar_days=rows["similar_days"].mask(lacking),
            predicted_count=rows["predicted_count"].mask(lacking, 1e6),
        )
        assert references.skill_against_better(partly) == references.skill_against_better(
            rows[~lacking]
        )

    def test_takes_similar_days_where_nothing_was_counted_a_week_earlier(self) -> None:
        found = references.skill_against_better(with_references().assign(lag_168h=np.nan))
        assert found is not None
        assert found.reference == "similar_days"
        assert found.skill == pytest.approx(0.2)

    def test_is_unknown_without_a_reference_or_an_error(self) -> None:
        rows = with_references()
        assert references.skill_against_better(rows.drop(columns="similar_days")) is None
        assert references.skill_against_better(rows.assign(similar_days=np.nan)) is None
        assert references.skill_against_better(rows.assign(similar_days=rows["bike_count"])) is None


def forecast_gain(rows: pd.DataFrame, challenger: pd.Series[float]) -> ReferenceGain | Unknown:
    named = {name: rows[name].to_numpy(dtype="float64") for name in ("similar_days", "lag_168h")}
    champion = rows["lag_168h"].to_numpy(dtype="float64")
    return references.forecast_reference_gain(
        rows, named, np.asarray(challenger, dtype=np.float64), champion, seed=7
    )


class TestForecastGain:
    def test_is_the_share_of_the_references_error_that_is_removed(self) -> None:
        rows = with_references()
        found = forecast_gain(rows, rows["predicted_count"])
        assert isinstance(found, ReferenceGain)
        assert found.reference == "similar_days"
        assert found.skill == pytest.approx(0.2)
        assert found.champion_skill == pytest.approx(-3.0)
        assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2))
        assert found.days == rows["local_date"].nunique()

    def test_its_interval_agrees_with_scipys_bootstrap(self) -> None:
        rng = np.random.default_rng(3)
        rows = with_references()
        days = rows["local_date"].astype(str)
        daily = {day: rng.normal(0, 3) for day in days.unique()}
        challenger = rows["bike_count"] + 4.0 + days.map(daily)
        found = forecast_gain(rows, challenger)
        squares = pd.DataFrame(
            {
                "old": (rows["similar_days"] - rows["bike_count"]) ** 2,
                "new": (challenger - rows["bike_count"]) ** 2,
            }
        )
        sums = squares.groupby(days).sum()

        def gain(old: np.ndarray, new: np.ndarray, axis: int = -1) -> np.ndarray:
            return np.asarray(1 - np.sqrt(new.sum(axis) / old.sum(axis)))

        judge = stats.bootstrap(
            (sums["old"].to_numpy(), sums["new"].to_numpy()),
            gain,
            paired=True,
            confidence_level=0.9,
            method="percentile",
            n_resamples=4000,
            rng=np.random.default_rng(1),
        ).confidence_interval
        assert isinstance(found, ReferenceGain)
        assert found.low == pytest.approx(judge.low, abs=0.02)
        assert found.high == pytest.approx(judge.high, abs=0.02)
        assert found.low < found.skill < found.high

    def test_repeats_itself_and_leaves_out_hours_without_a_count(self) -> None:
        rows = with_references()
        gaps = rows.assign(bike_count=rows["bike_count"].mask(rows.index % 2 == 0))
        found = forecast_gain(gaps, rows["predicted_count"])
        assert found == forecast_gain(gaps, rows["predicted_count"])
        kept = rows[rows.index % 2 == 1]
        assert found == forecast_gain(kept, kept["predicted_count"])

    def test_is_unknown_for_a_single_day_or_a_perfect_reference(self) -> None:
        rows = with_references()
        day = rows[rows["local_date"] == rows["local_date"].iloc[0]]
        assert forecast_gain(day, day["predicted_count"]) == Unknown(
            reason="1 day(s) to resample, 2 are needed"
        )
        perfect = rows.assign(similar_days=rows["bike_count"])
        assert forecast_gain(perfect, rows["predicted_count"]) == Unknown(
            reason="the forecasts of similar_days have no error"
        )

    def test_sees_what_loses(self) -> None:
        rows = with_references(noise=2.0)
        found = forecast_gain(rows, rows["predicted_count"])
        assert isinstance(found, ReferenceGain)
        error = root_mean_squared_error(rows["bike_count"], rows["predicted_count"])
        assert found.skill == pytest.approx(1 - error / 5)
        assert found.high < 0


class TestBusyGain:
    def test_is_the_difference_of_balanced_accuracies(self) -> None:
        rows = scored_rows(origins=12)
        busy = (rows["bike_count"] > rows["busy_threshold"]).to_numpy()
        rng = np.random.default_rng(2)
        good, poor, blind = (
            np.where(rng.random(len(rows)) < share, busy, ~busy).astype("float64")
            for share in (0.9, 0.7, 0.5)
        )
        found = references.busy_reference_gain(
            rows, {"similar_days": poor, "value_168h_before": blind}, good, poor, seed=7
        )
        assert isinstance(found, ReferenceGain)
        labelled = rows["busy_threshold"].notna().to_numpy()
        judged = [balanced_accuracy_score(busy[labelled], c[labelled]) for c in (good, poor)]
        assert found.reference == "similar_days"
        assert found.skill == pytest.approx(judged[0] - judged[1])
        assert found.mean == pytest.approx(found.skill, abs=0.01)
        assert found.champion_skill == 0.0
        assert 0 < found.low < found.mean < found.high

    def test_is_unknown_where_no_hour_is_busy(self) -> None:
        rows = scored_rows().assign(busy_threshold=1e9)
        zeros = np.zeros(len(rows))
        assert references.busy_reference_gain(
            rows, {"similar_days": zeros}, zeros, None, seed=7
        ) == Unknown(reason="all hours of the test are of one class")
