"""The comparison with an outside forecaster in words and columns, the same for the screen and the report."""

from __future__ import annotations

from typing import Any, NamedTuple

COMPARED = ("R2", "RMSE", "WAPE", "covered", "width", "Winkler")
_FORMATS = {
    "r2": ".3f",
    "rmse": ".1f",
    "wape": ".1%",
    "coverage": ".1%",
    "width": ".0f",
    "winkler": ".0f",
}


class ComparisonText(NamedTuple):
    """A comparison's heading and what must be known beside its scores."""

    title: str
    text: str


def describe_comparison(found: dict[str, Any]) -> ComparisonText:
    """Return which rows were compared, which are lacking, what it cost and what went wrong.

    found: what `compare_outside` returns.
    """
    title = (
        f"against {found['name']}: {found['rows']:,} forecasts of {found['counters']} counters from "
        f"{found['origins']} origins"
    )
    told = []
    if found["error"]:
        told.append(f"It was stopped. {found['error']}.")
    if found["lacking"]:
        told.append(f"It did not forecast {found['lacking']:,} of {found['asked']:,} hours.")
    told.append(
        f"It took {found['fit_seconds']:,.1f} s to fit and {found['forecast_seconds']:,.1f} s to forecast "
        f"({found['cpu_seconds']:,.1f} s of CPU), and {found['peak_mb']:,} MB."
    )
    return ComparisonText(title, " ".join(told))


def format_comparison(model: dict[str, Any]) -> tuple[str, ...]:
    """Return a model's scores as text, in the order of COMPARED; a dash for a score that is not defined."""
    values = ((model[key], form) for key, form in _FORMATS.items())
    return tuple("–" if value is None else format(value, form) for value, form in values)
