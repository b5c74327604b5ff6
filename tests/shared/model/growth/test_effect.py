"""Effects of measures that were put into simulated cities."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.counts.simulated_growth import simulated_city
from velocast.core.unknown import Unknown
from velocast.model.growth.change import CityDays
from velocast.model.growth.effect import Effect, effect_of_measure

DAY = 420


def city(factor: float) -> CityDays:
    return simulated_city(
        21, trend=0.0, counters=10, days=520, steps={0: (DAY, factor), 1: (DAY, factor)}
    ).days


def effect(days: CityDays, day: int = DAY, untouched: list[str] | None = None) -> Effect | Unknown:
    return effect_of_measure(
        days, ["c00", "c01"], days.first + timedelta(days=day), untouched=untouched
    )


@pytest.mark.parametrize("factor", [0.75, 1.3])
def test_finds_a_known_effect(factor: float) -> None:
    found = effect(city(factor))

    assert isinstance(found, Effect)
    assert found.effect.low < factor - 1 < found.effect.high
    assert found.claimed
    assert found.rank == 0
    assert found.observed / found.expected == pytest.approx(1 + found.effect.change)
    assert found.placebos >= 5
    assert found.placebos_claimed <= 1


def test_claims_nothing_where_nothing_was_done_or_all_counters_changed() -> None:
    untouched = city(1.0)
    snow = untouched.counts.copy()
    snow[:, DAY:] = np.floor(snow[:, DAY:] * 0.6)

    for days in (untouched, replace(untouched, counts=snow)):
        found = effect(days)
        assert isinstance(found, Effect)
        assert not found.claimed
        assert abs(found.effect.change) < 0.08


def test_compares_with_the_counters_that_were_named() -> None:
    found = effect(city(1.3), untouched=["c03", "c04", "c05", "c06"])

    assert isinstance(found, Effect)
    assert found.others == 4


@pytest.mark.parametrize(
    ("day", "options", "reason"),
    [
        (30, {}, "30 days before"),
        (515, {}, "5 from it on"),
        (
            DAY,
            {"untouched": ["c03", "c04"]},
            "2 untouched counters have enough usable days, 3 are needed",
        ),
    ],
)
def test_says_what_is_lacking(day: int, options: dict[str, list[str]], reason: str) -> None:
    found = effect(city(1.0), day, **options)

    assert isinstance(found, Unknown)
    assert reason in found.reason
