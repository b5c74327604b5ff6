"""How the notices of fetch name counters."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.shared.usecases import small_city
from velocast.usecases.ingest.notices import read_links

pytestmark = pytest.mark.usefixtures("warehouse_tables")


@pytest.fixture(scope="module")
def city() -> pd.DataFrame:
    return small_city.make(days=2)


@pytest.mark.parametrize("public", [True, False])
def test_a_counter_is_named_with_a_link_where_the_site_is_public(
    city: pd.DataFrame, public: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not public:
        monkeypatch.setenv("VELOCAST_SITE_URL", "")
    counter = city["counter_id"].min()
    small_city.store(city.assign(counter_name="Quai [N-S] " + "x" * 100))

    named = read_links(small_city.fetch_run())(counter)

    name = "Quai  N-S  " + "x" * 69
    assert named == (f"[{name}](https://bikes.example/counter/{counter}.html)" if public else name)


def test_a_counter_without_a_name_is_named_by_its_id(city: pd.DataFrame) -> None:
    small_city.store(city.assign(counter_name=None))
    named = read_links(small_city.fetch_run())

    assert named(city["counter_id"].min()) == city["counter_id"].min()
    assert named("north_1") == "north_1"  # one that is not stored
