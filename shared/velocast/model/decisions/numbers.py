"""Numbers and names as the reasons of decisions show them."""

from __future__ import annotations

MOST_DECIMALS = 15
REFERENCES = {"similar_days": "similar days", "value_168h_before": "the value a week earlier"}


def short(value: float, *, beside: float | None = None, decimals: int = 3) -> str:
    """Return a number with up to `decimals` decimals, without trailing zeros.

    beside: a number it is compared with; more decimals are shown where the two would otherwise look the same.
    """
    while beside is not None and value != beside and decimals < MOST_DECIMALS:
        if _rounded(value, decimals) != _rounded(beside, decimals):
            break
        decimals += 1
    return _rounded(value, decimals)


def _rounded(value: float, decimals: int) -> str:
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0 turns -0.0 into 0.0
    return text.rstrip("0").rstrip(".") if decimals else text
