"""The regression beside statsmodels' generalized least squares and a dense Cholesky factor."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from velocast.model.growth import serial_regression
from velocast.model.growth.serial_regression import error_grid, fit_serial, whiten

Floats = NDArray[np.float64]
DAYS = np.delete(np.arange(120), [5, 40, 41, 42, 77])


def correlations(kind: Floats) -> Floats:
    apart = np.abs(np.subtract.outer(DAYS, DAYS))
    fast, slow, share = kind[:3]
    return np.asarray((1 - share) * fast**apart + share * slow**apart)


def columns() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(3)
    later = DAYS > 60
    x = np.column_stack([np.ones(len(DAYS)), later, rng.normal(size=len(DAYS))])
    y = x @ [7.0, 0.05, 0.3] + rng.normal(0, 0.1, len(DAYS))
    return x.astype("float64"), y


def test_whitens_like_a_dense_cholesky_factor() -> None:
    x, y = columns()
    grid = error_grid()

    white, log_det = whiten(DAYS, np.column_stack([x, y]), grid)

    for kind, found, det in zip(grid, white, log_det, strict=True):
        lower = np.linalg.cholesky(correlations(kind))
        np.testing.assert_allclose(
            found, np.linalg.solve(lower, np.column_stack([x, y])), atol=1e-9
        )
        assert det == pytest.approx(2 * np.log(np.diag(lower)).sum())


@pytest.mark.parametrize("kind", [0, 3, 7, 12, 19])
def test_agrees_with_statsmodels_on_one_kind_of_errors(
    monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    judge = pytest.importorskip("statsmodels.api")
    x, y = columns()
    one = error_grid()[[kind]]
    monkeypatch.setattr(serial_regression, "error_grid", lambda: one)

    found = fit_serial(DAYS, y, x)

    right = judge.GLS(y, x, sigma=correlations(one[0])).fit()
    np.testing.assert_allclose(found.coefficients, right.params, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, right.cov_params(), rtol=1e-8)
    low, high = right.conf_int(alpha=0.10)[1]
    assert found.margin(np.array([0.0, 1, 0]), 0.90) == pytest.approx((high - low) / 2)


def test_an_interval_of_lasting_errors_is_wider() -> None:
    rng = np.random.default_rng(4)
    days = np.arange(300)
    x = np.column_stack([np.ones(300), days >= 150]).astype("float64")
    steps = rng.normal(0, 1, 300)
    lasting = steps.copy()
    for n in range(1, 300):
        lasting[n] = 0.9 * lasting[n - 1] + np.sqrt(1 - 0.81) * steps[n]

    alone, alike = (fit_serial(days, y, x).covariance[1, 1] for y in (steps, lasting))

    assert alike > 4 * alone


def test_a_column_that_others_explain_has_no_part_and_one_far_day_little() -> None:
    x, y = columns()
    twice = np.column_stack([x, 2 * x[:, 1], np.zeros(len(y))])
    struck = y.copy()
    struck[-1] -= 5

    plain, doubled, far = (fit_serial(DAYS, *each) for each in ((y, x), (y, twice), (struck, x)))

    np.testing.assert_allclose(doubled.coefficients[:3], plain.coefficients)
    assert list(doubled.coefficients[3:]) == [0, 0]
    assert far.coefficients[1] == pytest.approx(plain.coefficients[1], abs=0.03)


def test_refuses_more_columns_than_days() -> None:
    x, y = columns()
    with pytest.raises(ValueError, match="3 days cannot tell 3 coefficients"):
        fit_serial(DAYS[:3], y[:3], x[[0, 70, 90]])
