"""A city that publishes in another way than Paris, replayed: the product reads the same hours as from its file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.http_server import HttpServer
from velocast.adapters.city_sources.source import CitySource
from velocast.adapters.city_sources.transport import TimeRange
from velocast.core.city import City, load_city
from velocast.core.city.sources import Opendatasoft
from velocast.core.errors import SettingsError
from velocast_cli.cities import UNNAMED, read_files_of
from velocast_cli.city_file import FileCounts
from velocast_local.city.opendatasoft_replay import Replay, city_routes
from velocast_local.city.replayed_city import replayed_city, write_description
from velocast_local.city.replayed_counts import has_quality, write_counts
from velocast_local.simulation.city import simulate
from velocast_local.simulation.files import write_city as write_simulated
from velocast_local.stack import lifecycle
from velocast_local.stack.control_plane import ControlPlane
from velocast_local.stack.state import read_state

NOW = datetime(2024, 4, 12, 20, tzinfo=UTC)
OZ = {
    "name": "Oz",
    "time_zone": "Australia/Adelaide",
    "holidays": "AU-SA",
    "licence": "CC BY 4.0",
    "counts": {
        "layout": {
            "shape": "wide",
            "time": {"columns": "when", "format": "%d/%m/%Y %H:%M"},
            "counters": [
                {"columns": "Yellow Road", "id": "yellow", "name": "Yellow Road"},
                {"columns": ["Emerald north", "Emerald south"], "id": "emerald"},
            ],
        },
        "clock": {"times": "local"},
        "step_minutes": 30,
    },
    "counters": {"listed": [{"id": "yellow", "latitude": -34.93, "longitude": 138.6}]},
}  # fmt: skip


@pytest.fixture
def oz(tmp_path: Path) -> Path:
    file = tmp_path / "oz.yaml"
    file.write_text(yaml.safe_dump(OZ))
    return file


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Half hours of ten days, one quarter of an hour's half missing, times of the city's clock (UTC+09:30)."""
    when = pd.date_range("2024-04-02", periods=48 * 10, freq="30min")
    rows = pd.DataFrame({"when": when.strftime("%d/%m/%Y %H:%M")})
    for n, name in enumerate(("Yellow Road", "Emerald north", "Emerald south"), start=1):
        rows[name] = n * 10 + when.hour
    file = tmp_path / "counts.csv"
    rows.drop(index=5).to_csv(file, index=False, sep=";")  # the second half of 02:00
    return file


def replayed(city: City, read: FileCounts, folder: Path) -> tuple[City, FileCounts]:
    """Return the city that the stack publishes, and what the product reads of it."""
    file = folder / "published.parquet"
    write_counts(read, file)
    replay = Replay(file, lambda: NOW, city=replayed_city(city, "http://any", weather=False))
    with HttpServer(city_routes(replay)) as server:
        published = replayed_city(city, server.url, weather=False, marked=has_quality(file))
        write_description(published, folder / "city.yaml")
        known = load_city(str(folder / "city.yaml"))
        source = CitySource(known)
        harvest = source.read_counts(TimeRange(None, NOW), as_of=NOW)
        counters = pd.DataFrame([c._asdict() for c in source.read_counters()])
    assert harvest.rejects == []
    return known, FileCounts(harvest.counts.to_pandas(), counters, {})


def hours_of(read: FileCounts) -> pd.DataFrame:
    keys = ["counter_id", "counted_at"]
    return read.counts.sort_values(keys, ignore_index=True).astype({"quality": object})


def test_the_product_reads_a_foreign_layout_as_its_file_is_read(
    oz: Path, counts: Path, tmp_path: Path
) -> None:
    city, read = read_files_of(load_city(str(oz)), [counts], lambda line: None)
    known, found = replayed(city, read, tmp_path)
    assert (known.name, known.time_zone, known.holidays) == ("Oz", "Australia/Adelaide", "AU-SA")
    assert (known.licence, known.attribution, known.weather) == ("CC BY 4.0", None, None)
    pd.testing.assert_frame_equal(hours_of(found), hours_of(read))
    assert len(read.counts) == 2 * 240
    first = read.counts["counted_at"].min()
    assert first == pd.Timestamp("2024-04-01T13:30Z"), "an hour of Adelaide begins at half past"
    partial = read.counts[read.counts["quality"] == "incomplete"]
    assert set(partial["counted_at"]) == {first + pd.Timedelta(hours=2)}
    emerald = read.counts.set_index(["counter_id", "counted_at"]).loc[("emerald", first)]
    assert emerald["bike_count"] == 2 * (20 + 30)


def test_a_counter_without_a_place_stays_without_one(
    oz: Path, counts: Path, tmp_path: Path
) -> None:
    city, read = read_files_of(load_city(str(oz)), [counts], lambda line: None)
    assert read.positions() == [(-34.93, 138.6)]
    _, found = replayed(city, read, tmp_path)
    places = found.counters.set_index("counter_id")["latitude"]
    assert places["yellow"] == -34.93
    assert pd.isna(places["emerald"])


def test_a_file_without_a_city_is_nobodys(tmp_path: Path) -> None:
    file = tmp_path / "counts.parquet"
    write_simulated(simulate(2, days=3), file)
    said: list[str] = []
    city, _ = read_files_of(None, [file], said.append)
    assert (city.name, city.licence, city.attribution) == (UNNAMED, None, None)
    assert (city.time_zone, city.holidays) == ("Europe/Paris", "FR"), "where its counters are"
    assert said == [
        "no --city given; from its counters' places, the clock is Europe/Paris "
        "with the holidays of FR"
    ]

    rows = simulate(2, days=3).assign(latitude=None, longitude=None)
    write_simulated(rows, file)
    city, _ = read_files_of(None, [file], said.append)
    assert (city.time_zone, city.holidays, city.bounding_box) == ("UTC", None, None)
    assert said[-1].endswith("the clock is UTC, and no holidays are known")


def test_a_foreign_file_without_a_city_says_how_to_describe_it(counts: Path) -> None:
    with pytest.raises(ValueError, match=r"id_compteur.*velocast city new counts\.csv"):
        read_files_of(None, [counts], lambda line: None)


def test_hours_in_the_format_of_paris_are_read_for_any_city(tmp_path: Path) -> None:
    file = tmp_path / "oz-counts.parquet"
    rows = simulate(2, days=3)
    write_simulated(rows, file)
    said: list[str] = []
    city, read = read_files_of(load_city("seattle"), [file], said.append)
    assert (city.name, city.time_zone) == ("Seattle", "America/Los_Angeles")
    assert len(read.counts) == len(rows)
    assert said == [
        "oz-counts.parquet: in the format of Paris's API, not in that of Seattle's own counts"
    ]


def test_what_is_put_aside_is_told_by_reason(oz: Path, counts: Path) -> None:
    text = counts.read_text().replace("02/04/2024 00:00;10;", "02/04/2024 00:00;-4;")
    counts.write_text(text)
    said: list[str] = []
    _, read = read_files_of(load_city(str(oz)), [counts], said.append)
    assert read.put_aside == {"negative_count": 1}
    assert said == ["put aside: 1 records (negative count 1)"]


def test_a_stack_s_city_has_weather_where_weather_is_replayed(oz: Path) -> None:
    city = load_city(str(oz))
    with_weather = replayed_city(city, "http://127.0.0.1:1", weather=True).weather
    assert with_weather is not None
    assert with_weather.forecast_base_url == "http://127.0.0.1:1/weather/forecast"
    assert replayed_city(load_city("paris"), "http://127.0.0.1:1", weather=False).weather is None
    assert "NaN" not in json.dumps(with_weather.model_dump(), allow_nan=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stack whose processes are not started."""
    monkeypatch.setattr(lifecycle, "_launch", lambda *_: None)
    return tmp_path / "home"


def city_read(home: Path) -> City:
    """Return the city that the product reads in the environment of the stack."""
    return load_city(lifecycle.stack_variables(home)["VELOCAST_CITY"])


def test_a_stack_publishes_the_city_of_its_file_and_keeps_it(
    home: Path, oz: Path, counts: Path
) -> None:
    state = lifecycle.start_stack(home, replay=counts, city=str(oz))
    assert state["city"] == city_read(home).name == "Oz"
    published = pd.read_parquet(home / "counts.parquet")
    assert set(published["id_compteur"]) == {"yellow", "emerald"}

    oz.unlink()  # the stack has its own copy
    assert lifecycle.start_stack(home)["city"] == "Oz"
    source = city_read(home).counts.source
    assert isinstance(source, Opendatasoft)
    assert source.base_url == f"{state['url']}/city"
    pd.testing.assert_frame_equal(pd.read_parquet(home / "counts.parquet"), published)


def test_new_counts_without_a_city_are_not_the_last_city_s(
    home: Path, oz: Path, counts: Path, tmp_path: Path
) -> None:
    lifecycle.start_stack(home, replay=counts, city=str(oz))
    other = tmp_path / "other.parquet"
    write_simulated(simulate(2, days=3), other)
    assert lifecycle.start_stack(home, replay=other)["city"] == UNNAMED
    assert (city_read(home).name, city_read(home).licence) == (UNNAMED, None)
    assert lifecycle.start_stack(home, city="montreal")["city"] == "Montréal"


def test_a_stack_with_an_unknown_city_does_not_start(home: Path, counts: Path) -> None:
    with pytest.raises(SettingsError, match=r"did you mean paris\?"):
        lifecycle.start_stack(home, replay=counts, city="pari")
    assert not (home / "stack.json").exists()


def test_the_control_plane_serves_the_counts_that_were_read(
    home: Path, oz: Path, counts: Path
) -> None:
    lifecycle.start_stack(home, replay=counts, city=str(oz))
    state = read_state(home)
    assert state is not None
    Clock(state.clock_file).set(NOW, force=True)
    plane = ControlPlane(state)
    plane.start()
    try:
        harvest = CitySource(city_read(home)).read_counts(TimeRange(None, NOW), as_of=NOW)
    finally:
        plane.stop()
    assert harvest.counts.num_rows == 2 * 240
