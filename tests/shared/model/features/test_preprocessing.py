"""The inputs of the estimators: sampled rows, filled gaps, counters without history."""

from __future__ import annotations

import tracemalloc
from datetime import date

import numpy as np
import pandas as pd

from tests.shared.model.feature_rows import feature_rows, without_history
from velocast.model.features import preprocessing
from velocast.model.features.definition import FEATURES, SHARES, TREE_FEATURES, WEATHER, WEEKS
from velocast.model.features.preprocessing import same_weekday_mean, similar_days_mean

ROWS = feature_rows(date(2021, 2, 1), origins=8)


def test_a_sample_has_the_same_share_of_every_counter_and_season() -> None:
    kept = preprocessing.subsample(ROWS, 720, seed=1)
    assert len(kept) == 720
    assert kept.index.is_monotonic_increasing
    assert kept.index.is_unique
    assert kept["counter_id"].value_counts().between(239, 241).all()
    days = (ROWS["target_at"] - ROWS["target_at"].min()) // pd.Timedelta(days=3)
    share = kept.groupby(["counter_id", days]).size() / ROWS.groupby(["counter_id", days]).size()
    assert share.between(0.2, 0.3).all()
    hours = kept["local_hour"].value_counts()
    assert hours.between(10, 55).all()  # no hour of the day is skipped


def test_few_rows_are_all_kept() -> None:
    pd.testing.assert_frame_equal(preprocessing.subsample(ROWS, len(ROWS), seed=1), ROWS)


def test_rows_are_drawn_from_several_frames_as_from_one() -> None:
    parts = [ROWS.iloc[:1000], ROWS.iloc[1000:1001], ROWS.iloc[1001:]]
    for rows in (720, len(ROWS)):
        together = preprocessing.subsample(ROWS, rows, seed=1).reset_index(drop=True)
        pd.testing.assert_frame_equal(preprocessing.subsample(parts, rows, seed=1), together)


def test_drawing_from_several_frames_does_not_join_them() -> None:
    numbers = {f"x{n}": np.arange(40_000.0) for n in range(40)}
    targets = pd.date_range("2021-01-01", periods=40_000, freq="h", tz="UTC")
    parts = [pd.DataFrame({"counter_id": n, "target_at": targets, **numbers}) for n in ("a", "b")]
    tracemalloc.start()
    drawn = preprocessing.subsample(parts, 20_000, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * drawn.memory_usage(deep=False).sum()  # joined, the two take four times that


def test_binning_beforehand_keeps_small_columns_and_gaps() -> None:
    x = np.array([[1.0, 0.0], [2.0, np.nan], [2.1, 5.0], [9.0, 0.0], [9.5, 5.0]])
    expected = np.array([[1.0, 0.0], [2.1, np.nan], [2.1, 5.0], [9.5, 0.0], [9.5, 5.0]])
    np.testing.assert_array_equal(preprocessing.quantize(x, 3), expected)
    np.testing.assert_array_equal(x, expected)  # in place


def test_all_gaps_are_filled() -> None:
    frame = ROWS.assign(**dict.fromkeys([*WEATHER, *SHARES, "week_2"], np.nan))
    base, level = preprocessing.base_and_level(frame)
    x = preprocessing.impute(preprocessing.scale_by_level(frame, base, level))
    assert np.isfinite(x).all()
    assert (x[:, FEATURES.index("share_3d")] == 1.0).all()
    assert (x[:, FEATURES.index("rain")] == 0.0).all()
    np.testing.assert_allclose(x[:, FEATURES.index("week_2")], base / level)


def test_a_counter_without_history_gets_nothing_from_other_origins() -> None:
    frame = without_history(feature_rows(date(2021, 3, 1)), "c1")
    frame.loc[frame["target_at"].dt.day == 3, "day_type"] = "saturday"
    first = frame["origin_at"] == frame["origin_at"].min()
    alone = frame[first & (frame["counter_id"] == "c1")]
    known = pd.concat([alone, frame[~first].assign(similar_day_mean=5000.0, level=5000.0)])
    assert (similar_days_mean(known)[: len(alone)] == 0).all()
    base, level = preprocessing.base_and_level(known)
    assert (base[: len(alone)] == 0).all()
    assert (level[: len(alone)] == preprocessing.SMALLEST_LEVEL).all()
    # it gets the mean of others at the same origin, whatever later origins know
    both = pd.concat([frame[first], frame[~first].assign(similar_day_mean=5000.0, level=5000.0)])
    for found, expected in zip(
        preprocessing.base_and_level(both), preprocessing.base_and_level(frame[first]), strict=True
    ):
        np.testing.assert_array_equal(found[: first.sum()], expected)
        assert expected.mean() > 10


def test_the_mean_of_the_same_weekday_halves_the_weight_of_each_earlier_week() -> None:
    frame = ROWS.head(240).assign(**dict(zip(WEEKS, (8.0, 4.0, 2.0, 1.0), strict=True)))
    np.testing.assert_allclose(same_weekday_mean(frame), (8 * 8 + 4 * 4 + 2 * 2 + 1) / 15)
    uncounted = frame.assign(week_1=np.nan, week_3=np.nan)
    np.testing.assert_allclose(same_weekday_mean(uncounted), (4 * 4 + 1 * 1) / 5)


def test_a_holiday_and_a_counter_without_weeks_get_the_mean_of_similar_days() -> None:
    holiday = np.arange(len(ROWS)) % 3 == 0
    frame = ROWS.assign(is_holiday=holiday.astype(float))
    found, similar = same_weekday_mean(frame), similar_days_mean(frame)
    np.testing.assert_array_equal(found[holiday], similar[holiday])
    assert np.isclose(found[~holiday], similar[~holiday]).mean() < 0.1
    bare = without_history(ROWS, "c1")
    new = (bare["counter_id"] == "c1").to_numpy()
    np.testing.assert_array_equal(same_weekday_mean(bare)[new], similar_days_mean(bare)[new])


def test_binning_keeps_the_nearest_of_the_quantiles() -> None:
    random = np.random.default_rng(4)
    columns = [random.normal(size=999), random.integers(0, 40, 999), random.exponential(size=999)]
    x = np.column_stack(columns).round(2)
    x[random.random(x.shape) < 0.1] = np.nan
    expected = x.copy()
    for column in expected.T:
        known = ~np.isnan(column)
        kept = np.unique(np.quantile(column[known], np.linspace(0, 1, 63), method="nearest"))
        column[known] = kept[np.searchsorted((kept[1:] + kept[:-1]) / 2, column[known])]
    np.testing.assert_array_equal(preprocessing.quantize(x, 63), expected)


def test_the_inputs_of_trees_are_those_of_the_drawn_rows() -> None:
    parts = [ROWS.iloc[:2000], ROWS.iloc[2000:]]
    drawn = preprocessing.draw_rows(parts, 500, seed=1)
    rows = preprocessing.subsample(parts, 500, seed=1)
    base, level = preprocessing.base_and_level(rows)
    expected = preprocessing.scale_by_level(rows, base, level)[:, : len(TREE_FEATURES)]
    np.testing.assert_array_equal(preprocessing.tree_inputs(parts, drawn, base, level), expected)
