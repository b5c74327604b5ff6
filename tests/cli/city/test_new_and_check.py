"""`velocast city new` and `city check` on files as cities publish them, against counts that are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from pyarrow import parquet
from typer.testing import CliRunner

from tests.cli.city import published_shapes as shapes
from tests.cli.city.published_files import Published, Truth
from tests.cli.city.published_shapes import SHAPES
from velocast.core.city.loading import parse_city
from velocast_cli.city.commands import city_app
from velocast_cli.city.new_city import Looked, make_city
from velocast_cli.city.questions import Answers

RUN = CliRunner()
AS_OF = datetime(2025, 1, 1, tzinfo=UTC)


def written(city: Published, folder: Path) -> Path:
    """Write the city's files; return the one, or the folder of several."""
    for name, content in city.files.items():
        path = folder / "published" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return (
        folder / "published" / next(iter(city.files))
        if len(city.files) == 1
        else folder / "published"
    )


def new(source: Path, output: Path, *options: str) -> str:
    """Run `city new --yes`; return what it printed."""
    done = RUN.invoke(city_app, ["new", str(source), "-o", str(output), "--yes", *options])
    assert done.exit_code == 0, done.output
    return done.output


def rows(city: Path, *files: Path) -> Truth:
    """Run `city check --rows`; return the counts by id and hour."""
    out = city.with_suffix(".parquet")
    done = RUN.invoke(
        city_app, ["check", str(city), *map(str, files), "--rows", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    table = parquet.read_table(out)
    assert table.column_names == ["counter_id", "counted_at", "bike_count", "quality"]
    assert json.loads(done.stdout)["hours"] == table.num_rows
    return {(r["counter_id"], r["counted_at"]): r["bike_count"] for r in table.to_pylist()}


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_each_way_of_publishing_gives_the_true_hours(
    make: Callable[[], Published], tmp_path: Path
) -> None:
    city = make()
    given = dict(zip(city.answers[::2], city.answers[1::2], strict=True))
    answers = Answers(
        zone=city.zone, holidays="none", licence="none", date_format=given.get("--date-format")
    )
    looked = Looked([written(city, tmp_path)], "files", "Testville")
    made = make_city(looked, answers, ask=None, as_of=AS_OF)
    stored = made.checked.stored
    found = zip(stored["counter_id"], stored["counted_at"], stored["bike_count"], strict=True)
    assert {(c, at.to_pydatetime()): n for c, at, n in found} == city.truth
    assert set(stored["quality"].dropna()) == set()
    assert parse_city(yaml.safe_load(made.text), "city.yaml") == made.city


@pytest.mark.parametrize(
    "make", [shapes.munich_like_two_formats_and_days, shapes.ambiguous_months_first]
)
def test_the_commands_give_the_true_hours(make: Callable[[], Published], tmp_path: Path) -> None:
    city = make()
    source, described = written(city, tmp_path), tmp_path / "city.yaml"
    options = ["--zone", city.zone, "--holidays", "none", "--licence", "none", *city.answers]
    shown = new(source, described, *options)
    assert max(map(len, shown.splitlines())) <= 80 or "/" in shown
    assert rows(described, source) == city.truth
