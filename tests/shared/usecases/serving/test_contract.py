"""What /v1 has promised stays: operations, parameters, fields and their types (docs/guides/use-the-api.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.shared.usecases.serving.serving_app import app

pytestmark = [pytest.mark.emulator, pytest.mark.usefixtures("storage_buckets")]
PROMISED = Path("docs/reference/api-v1.json")


def kind_of(schema: dict[str, Any]) -> str:
    """A type in a word or a few: "number", "number or null", "list of Point"."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " or ".join(sorted(kind_of(option) for option in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema['items'])}"
    return str(schema.get("type", "any"))


def offered() -> dict[str, dict[str, dict[str, str]]]:
    """Parameters of each operation, and fields of each answer, with their types."""
    document = app().api_doc
    operations = {
        f"{method.upper()} {path}": {
            p["name"]: kind_of(p["schema"]) for p in described.get("parameters", ())
        }
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if path.startswith("/v1/")
    }
    schemas = {
        name: {field: kind_of(schema) for field, schema in described["properties"].items()}
        for name, described in document["components"]["schemas"].items()
        if "properties" in described
    }
    return {"operations": operations, "schemas": schemas}


def test_nothing_that_was_promised_is_gone_or_changed() -> None:
    promised, now = json.loads(PROMISED.read_text(encoding="utf-8")), offered()
    missing = [
        f"{part}: {name}.{field}: {kind}"
        for part, things in promised.items()
        for name, fields in things.items()
        for field, kind in (fields or {"": ""}).items()
        if name not in now[part] or (field and now[part][name].get(field) != kind)
    ]
    assert missing == []


def test_what_is_new_is_promised_from_now_on() -> None:
    """Add it to the file: this test's message is its content."""
    promised = json.loads(PROMISED.read_text(encoding="utf-8"))
    assert offered() == promised, json.dumps(offered(), indent=1)
