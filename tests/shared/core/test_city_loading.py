"""Where a city's description may lie, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from velocast.core.city import load_city
from velocast.core.city.loading import packaged_cities
from velocast.core.errors import ObjectMissing, SettingsError

FIVE_LINES = """\
name: Oz
time_zone: Australia/Adelaide
counts:
  layout: { shape: wide, time: { columns: when, format: "%d/%m/%Y %H:%M" } }
  clock: { times: local }
"""


def test_every_packaged_city_can_be_read() -> None:
    assert {"demoville", "paris"} <= set(packaged_cities())
    for name in packaged_cities():
        assert load_city(name).name


def test_five_lines_describe_a_city_for_a_backtest(tmp_path: Path) -> None:
    file = tmp_path / "oz.yaml"
    file.write_text(FIVE_LINES)
    city = load_city(str(file))
    assert (city.name, city.holidays, city.bounding_box, city.licence) == ("Oz", None, None, None)


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "oz.yaml"
    file.write_text(FIVE_LINES)
    before = load_city(str(file))
    file.write_text(FIVE_LINES.replace("Oz", "Kansas"))
    assert (before.name, load_city(str(file)).name) == ("Oz", "Kansas")


def test_a_city_in_a_bucket_is_read_by_its_address() -> None:
    asked: list[str] = []

    def read(address: str) -> bytes:
        asked.append(address)
        return FIVE_LINES.encode()

    assert load_city("gs://bucket/folder/oz.yaml", read_object=read).name == "Oz"
    assert asked == ["gs://bucket/folder/oz.yaml"]


def absent(address: str) -> bytes:
    raise ObjectMissing(f"{address} does not exist")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pariis", r"'pariis' is none of the packaged cities; did you mean paris\?.*my-city\.yaml"),
        ("Paris", r"did you mean paris\?"),
        ("qqqq", r"none of the packaged cities; Choose one of .*demoville, "),
        ("", r"'' is none of the packaged cities"),
        ("nowhere/paris.yaml", "nowhere/paris.yaml does not exist; paris is a packaged city"),
        ("nowhere/qqqq.yaml", "nowhere/qqqq.yaml does not exist$"),
        ("./", "cannot be read"),
        ("gs://bucket/oz.yaml", "the city's file gs://bucket/oz.yaml does not exist"),
        ("gs://bucket", "gs://bucket names no object"),
        ("gs:///oz.yaml", "gs:///oz.yaml names no object"),
    ],
)
def test_what_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_city(name, read_object=absent)


def test_an_address_needs_a_reader() -> None:
    with pytest.raises(SettingsError, match="nothing here reads Cloud Storage"):
        load_city("gs://bucket/oz.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not describe a city"),
        ("- Paris\n", "does not describe a city"),
        ("name: [\n", "is not YAML"),
        ("name: 'M\xfcnster'".encode("latin-1"), "is not YAML"),
        (FIVE_LINES + "colour: green\n", "colour"),
        (yaml.safe_dump({"name": "Oz"}), "time_zone"),
    ],
)
def test_a_file_that_describes_no_city_is_refused_by_name(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    file = tmp_path / "oz.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError, match=rf"(?s)oz\.yaml.*{message}"):
        load_city(str(file))
