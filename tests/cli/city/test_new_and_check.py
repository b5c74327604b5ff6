"""`velocast city new` and `city check` on files as cities publish them, against counts that are known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from tests.cli.city.published_files import Published, Truth
from tests.cli.city.published_shapes import SHAPES
from velocast_cli.city.commands import city_app

RUN = CliRunner()


def written(city: Published, folder: Path) -> Path:
    """Write the city's files; return the one, or the folder of several."""
    for name, content in city.files.items():
        path = folder / "published" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "published" / next(iter(city.files)) if len(city.files) == 1 else folder / "published"


def new(source: Path, output: Path, *options: str) -> str:
    """Run `city new --yes`; return what it printed."""
    done = RUN.invoke(city_app, ["new", str(source), "-o", str(output), "--yes", *options])
    assert done.exit_code == 0, done.output
    return done.output


def rows(city: Path, *files: Path) -> Truth:
    """Run `city check --rows`; return the counts by id and hour."""
    out = city.with_suffix(".parquet")
    done = RUN.invoke(city_app, ["check", str(city), *map(str, files), "--rows", str(out), "--json"])
    assert done.exit_code == 0, done.output
    table = parquet.read_table(out)
    assert table.column_names == ["counter_id", "counted_at", "bike_count", "quality"]
    assert json.loads(done.stdout)["hours"] == table.num_rows
    return {(r["counter_id"], r["counted_at"]): r["bike_count"] for r in table.to_pylist()}


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_each_way_of_publishing_gives_the_true_hours(make: object, tmp_path: Path) -> None:
    city: Published = make()  # type: ignore[operator]
    source = written(city, tmp_path)
    described = tmp_path / "city.yaml"
    new(source, described, "--zone", city.zone, "--holidays", "none", "--licence", "none", *city.answers)
    assert rows(described, source) == city.truth
