"""Directions of one place are told by the site's id, else by their names, as cities write them."""

from __future__ import annotations

import pandas as pd
import pytest

from velocast.core.city import ListedSite
from velocast.model.faults.sites import sites_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Pont Tabarly vers Nord", "Pont Tabarly vers Sud"),
        ("28 boulevard Diderot O-E", "28 boulevard Diderot E-O"),
        ("Canal [IN]", "Canal [OUT]"),
        ("Fremont Bridge East Sidewalk", "Fremont Bridge West Sidewalk"),
        ("Allee stadteinwärts", "Allee stadtauswärts"),
        ("Drumcondra Cyclists Inbound", "Drumcondra Cyclists Outbound"),
    ],
)
def test_knows_the_directions_of_a_place_by_their_names(one: str, other: str) -> None:
    counters = pd.DataFrame({"counter_id": ["a", "b", "c"], "counter_name": [one, other, "Quai"]})

    found = sites_of(counters)

    assert found["a"] == found["b"]
    assert "c" not in found


def test_prefers_the_sites_of_the_city_and_needs_no_names() -> None:
    counters = pd.DataFrame(
        {
            "counter_id": ["a", "b", "c", "d"],
            "site_id": ["1", "1", "2", None],
            "counter_name": ["X vers Nord", "Y", "X vers Sud", float("nan")],
        }
    )

    found = sites_of(counters)

    assert found["a"] == found["b"] != found.get("c")
    assert sites_of(pd.DataFrame({"counter_id": ["a", "b"]})) == {}


def test_the_citys_file_outranks_ids_and_names() -> None:
    counters = pd.DataFrame(
        {
            "counter_id": ["a", "b", "c", "d"],
            "site_id": ["1", "1", "2", "2"],
            "counter_name": ["X vers Nord", "X vers Sud", "Y", "Z"],
        }
    )

    found = sites_of(counters, [ListedSite(id="bridge", counters=("a", "c"))])

    assert found["a"] == found["c"]
    # b and d would share a site with a and c by their ids, which the file overrules: they are alone there
    assert "b" not in found
    assert "d" not in found
