"""Numbers in reasons: rounded, but never so far that two that differ look the same."""

import pytest

from velocast.model.decisions.numbers import short


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (0.91612, None, "0.916"),
        (0.9, None, "0.9"),
        (21.0, None, "21"),
        (-0.0001, None, "0"),
        (-0.0001, 0, "-0.0001"),
        (0.6499, 0.65, "0.6499"),
        (0.65, 0.65, "0.65"),
        (0.1 + 0.2, 0.3, "0.3"),  # they differ by a rounding error, beyond 15 decimals
    ],
)
def test_short(value: float, beside: float | None, text: str) -> None:
    assert short(value, beside=beside) == text


def test_fewer_decimals() -> None:
    assert short(57.26, decimals=1) == "57.3"
    assert short(60.01, beside=60.0, decimals=1) == "60.01"
    assert short(1200.4, decimals=0) == "1200"
