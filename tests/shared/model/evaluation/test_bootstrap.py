"""Resampled days tell how certain a gain is."""

from __future__ import annotations

import pytest
from sklearn.metrics import root_mean_squared_error

from tests.shared.model.evaluation.scored_rows import scored_rows
from velocast.core.unknown import Unknown
from velocast.model.evaluation import bootstrap
from velocast.model.evaluation.metrics import RowsMismatch


def test_bootstrap_is_sure_of_a_clear_gain_and_repeats_itself() -> None:
    rows = scored_rows(origins=12)
    worse = rows["predicted_count"] * 1.3
    pairs = rows.assign(predicted_old=worse, predicted_new=rows["predicted_count"])
    found = bootstrap.paired_bootstrap(pairs, seed=1)
    assert isinstance(found, bootstrap.BootstrapResult)
    assert found == bootstrap.paired_bootstrap(pairs, seed=1)
    gain = root_mean_squared_error(rows["bike_count"], worse) - root_mean_squared_error(
        rows["bike_count"], rows["predicted_count"]
    )
    assert found.low < gain < found.high
    assert found.gain_mean == pytest.approx(gain, rel=0.05)
    assert (found.probability_better, found.days) == (1.0, 16)


def test_bootstrap_of_the_same_forecasts_is_no_gain() -> None:
    rows = scored_rows()
    same = rows.assign(predicted_old=rows["predicted_count"], predicted_new=rows["predicted_count"])
    found = bootstrap.paired_bootstrap(same, seed=1, resamples=50)
    assert found == bootstrap.BootstrapResult(
        gain_mean=0, low=0, high=0, probability_better=0, days=10
    )


def test_bootstrap_needs_days_and_both_forecasts() -> None:
    rows = scored_rows()
    pairs = rows.assign(
        predicted_old=rows["predicted_count"], predicted_new=rows["predicted_count"]
    )
    one_day = pairs[pairs["local_date"] == pairs["local_date"].min()]
    assert bootstrap.paired_bootstrap(one_day, seed=1) == Unknown(
        reason="1 day(s) to resample, 2 are needed"
    )
    lacking = pairs.assign(predicted_new=pairs["predicted_new"].where(pairs.index > 0))
    with pytest.raises(RowsMismatch, match="1 of 2160 counted rows lack a forecast"):
        bootstrap.paired_bootstrap(lacking, seed=1)
