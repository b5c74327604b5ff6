"""What is checked of a city's file when it is read."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from velocast.core.city import City, load_city
from velocast.core.city.loading import packaged_cities

PARIS = load_city("paris").model_dump()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"time_zone": "europe/pari"},
            "'europe/pari' is no time zone (did you mean Europe/Paris?)",
        ),
        ({"time_zone": "Etc/../passwd"}, "is no time zone"),
        ({"time_zone": ""}, "'' is no time zone"),
        ({"time_zone": "xyzzy"}, "'xyzzy' is no time zone; give an IANA name like Europe/Paris"),
        ({"holidays": "fr"}, "'fr' is no holiday calendar (did you mean FR?)"),
        ({"holidays": ""}, "'' is no holiday calendar"),
        ({"holidays": "DE-BR"}, "'DE-BR': DE has no subdivision BR (did you mean DE-"),
    ],
)
def test_a_wrong_zone_or_calendar_is_refused_with_the_nearest_name(
    wrong: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        City(**(PARIS | wrong))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([["14.07.2025", "2025-08-26"]], "'14.07.2025' is no date; write it like 2025-07-14"),
        ([["2025-08-26", "2025-07-14"]], "from 2025-08-26 to 2025-07-14 there are -42 days"),
        ([["2024-07-08", "2025-08-20"]], "there are 409 days; give the first and the last day"),
        ([["2025-07-14"]], "school_holidays.0"),
    ],
)
def test_wrong_school_holidays_are_refused(spans: Any, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        City(**(PARIS | {"school_holidays": spans}))
    assert message in str(refused.value)


def test_school_holidays_are_read_as_yaml_reads_dates() -> None:
    days = yaml.safe_load("[[2025-06-10, '2025-06-10'], [2025-07-14, 2025-08-26]]")
    assert City(**(PARIS | {"school_holidays": days})).school_holidays == (
        ("2025-06-10", "2025-06-10"),
        ("2025-07-14", "2025-08-26"),
    )


@pytest.mark.parametrize("name", packaged_cities())
def test_packaged_school_holidays_follow_each_other(name: str) -> None:
    days = [day for span in load_city(name).school_holidays for day in span]
    assert days == sorted(days)


@pytest.mark.parametrize(
    "right",
    [{"time_zone": "Australia/Adelaide", "holidays": "AU-SA"}, {"holidays": "DE-BE"}],
)
def test_a_right_one_is_accepted(right: dict[str, Any]) -> None:
    assert City(**(PARIS | right)).model_dump() == PARIS | right


def test_a_function_without_the_package_of_holidays_reads_the_file_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    assert City(**(PARIS | {"holidays": "nowhere"})).holidays == "nowhere"
