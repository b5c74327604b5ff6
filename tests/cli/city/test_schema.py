"""The JSON schema of a city's file, and the pages that explain the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from velocast.core.city.description import City
from velocast.core.city.loading import packaged_cities, parse_city
from velocast_cli.city.commands import city_app
from velocast_cli.city.draft import SCHEMA

ROOT = Path(__file__).parents[3]
STORED = ROOT / "docs/reference/city.schema.json"
PAGE = (ROOT / "docs/reference/city-file.md").read_text(encoding="utf-8")
SMALLEST = yaml.safe_load(re.findall(r"```yaml\n(name:.*?)```", PAGE, re.DOTALL)[0])


def judge() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(STORED.read_text(encoding="utf-8")))


def test_the_stored_schema_is_that_of_the_code() -> None:
    printed = CliRunner().invoke(city_app, ["schema"])
    assert printed.exit_code == 0
    assert printed.stdout == STORED.read_text(encoding="utf-8"), (
        "run velocast city schema > docs/reference/city.schema.json"
    )
    assert SCHEMA.endswith(str(STORED.relative_to(ROOT)))


@pytest.mark.parametrize("name", packaged_cities())
def test_every_packaged_city_follows_the_schema(name: str) -> None:
    text = (ROOT / f"shared/velocast/cities/{name}.yaml").read_text(encoding="utf-8")
    judge().validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Europe/Paris"},
        {"counts": SMALLEST["counts"] | {"steps": 15}},
        {"name": 7},
        {"counts": {}},
    ],
)
def test_a_wrong_or_unknown_key_is_refused_by_schema_and_reader(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        judge().validate(SMALLEST | wrong)
    with pytest.raises(Exception, match=next(iter(wrong))):
        parse_city(SMALLEST | wrong, "my-city.yaml")


def test_the_smallest_file_of_the_page_is_a_city() -> None:
    judge().validate(SMALLEST)
    assert parse_city(SMALLEST, "page").name == "Münster"


def test_the_sources_of_the_page_are_sources() -> None:
    lines = re.findall(r"^source: (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        counts = SMALLEST["counts"] | {"source": yaml.safe_load(line)}
        judge().validate(SMALLEST | {"counts": counts})
        assert parse_city(SMALLEST | {"counts": counts}, "page").counts.source is not None


def test_the_page_names_every_key_of_a_city() -> None:
    missing = [
        key
        for key in City.model_fields
        if f"`{key}`" not in PAGE and f"{key}:" not in PAGE and f"`counts.{key}" not in PAGE
    ]
    assert missing in ([], ["counts"])
