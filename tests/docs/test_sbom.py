"""The lists of packages that go with a release: by CycloneDX's schema, and complete."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

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


def refused(document: dict[str, Any]) -> object:
    """Return what the schema refuses in a document, None if nothing."""
    return JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(document))


def sample(text: str) -> dict[str, Any]:
    """Return a list with every eighth component and two files of each: the schema takes a minute for all of them."""
    document = json.loads(text)
    document["components"] = document["components"][::8]
    for component in document["components"]:
        component["externalReferences"] = component["externalReferences"][:2]
    return dict(document)


@pytest.mark.parametrize("part", PARTS)
def test_a_list_keeps_to_the_schema(lists: dict[str, str], part: str) -> None:
    assert refused(sample(lists[part])) is None


def test_the_schema_refuses_a_component_without_a_name(lists: dict[str, str]) -> None:
    document = sample(lists["serve"])
    del document["components"][0]["name"]
    assert refused(document) is not None


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
