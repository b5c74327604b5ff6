"""The JSON schema of a city's file, by which editors complete and check it."""

from __future__ import annotations

import json

from velocast.core.city import City

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def city_schema() -> str:
    """Return the schema as text."""
    schema = City.model_json_schema(mode="validation")
    return json.dumps({"$schema": DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"
