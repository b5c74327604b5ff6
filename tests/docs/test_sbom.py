"""The lists of packages that go with a release: by CycloneDX's schema, and complete."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator, Registry

ROOT = Path(__file__).parents[2]
PARTS = {
    **{name: f"functions/{name}" for name in ("fetch", "predict", "monitor", "notify", "serve")},
    "jobs": "workflows/jobs",
    "tracking": "terraform/modules/mlflow/image",
}


@pytest.fixture(scope="module")
def lists() -> dict[str, str]:
    """What `make sbom` writes, by part."""
    subprocess.run(["make", "--no-print-directory", "sbom"], cwd=ROOT, check=True)
    return {part: (ROOT / f"build/sbom/{part}.cdx.json").read_text() for part in PARTS}


def schema(name: str) -> Any:
    """Return one of CycloneDX's schemas, which come with their library for Python."""
    file = files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json"
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    """CycloneDX 1.5, with the schemas that it refers to."""
    base = "http://cyclonedx.org/schema/"
    others = [(f"{base}{name}.SNAPSHOT.schema.json", schema(name)) for name in ("spdx", "jsf-0.82")]
    return Draft7Validator(schema("bom-1.5"), registry=Registry(others), validate_formats=True)


@pytest.mark.parametrize("part", PARTS)
def test_a_list_keeps_to_the_schema(
    lists: dict[str, str], validator: Draft7Validator, part: str
) -> None:
    assert [str(error) for error in validator.iter_errors(json.loads(lists[part]))] == []


def test_the_schema_refuses_what_is_missing_malformed_or_unknown(
    lists: dict[str, str], validator: Draft7Validator
) -> None:
    component = json.loads(lists["serve"])["components"][0]
    nameless = {key: value for key, value in component.items() if key != "name"}
    malformed = component | {"externalReferences": [{"type": "website", "url": "no url \\ "}]}
    unknown = component | {"bogus": 1}
    for broken in (nameless, malformed, unknown):
        document = json.loads(lists["serve"]) | {"components": [broken]}
        assert not validator.is_valid(document)


@pytest.mark.parametrize("part", PARTS)
def test_a_list_holds_what_is_installed_with_hashes(lists: dict[str, str], part: str) -> None:
    components = json.loads(lists[part])["components"]
    listed = {f"{c['name']}=={c['version']}" for c in components}
    text = (ROOT / PARTS[part] / "requirements.txt").read_text()
    required = set(re.findall(r"^[\w.-]+==[\w.+!]+", text, re.MULTILINE))
    assert required == listed
    assert all(
        reference["hashes"][0]["alg"] == "SHA-256"
        for component in components
        for reference in component["externalReferences"]
    )
