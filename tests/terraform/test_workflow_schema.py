"""The workflows against the JSON schema of Workflows (json.schemastore.org/workflows.json).

The emulator's package contains a copy of it; the local stack itself checks against a less strict one.
"""

from __future__ import annotations

import json
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

SOURCES = sorted((Path(__file__).parents[2] / "workflows").glob("*.yaml"))
SOURCE = next(source for source in SOURCES if source.stem == "retrain")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    text = files("workflows_emulator").joinpath("workflow-schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema["$id"] == "https://json.schemastore.org/workflows.json"
    return jsonschema.Draft7Validator(schema)


@pytest.fixture
def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return deepcopy(loaded)


def wrong(validator: jsonschema.Draft7Validator, workflow: dict[str, Any]) -> str:
    """The errors of a workflow, with their locations; empty when it is valid."""
    if validator.is_valid(workflow):
        return ""
    error = jsonschema.exceptions.best_match(validator.iter_errors(workflow))
    assert error is not None
    return f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_workflow_is_valid(validator: jsonschema.Draft7Validator, source: Path) -> None:
    assert not wrong(validator, yaml.safe_load(source.read_text(encoding="utf-8")))


def test_a_misspelt_key_is_named(
    validator: jsonschema.Draft7Validator, workflow: dict[str, Any]
) -> None:
    step = workflow["run_job"]["steps"][1]["run"]
    step["exept"] = {"as": "error"}
    assert "'exept'" in wrong(validator, workflow)
