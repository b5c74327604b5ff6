"""The page of the HTTP API, from the OpenAPI document that the service itself publishes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCUMENT = "openapi.json"
PROBLEM = "application/problem+json"
METHODS = ("get", "put", "post", "delete", "patch")
INTRODUCTION = """\
# HTTP API

{description}

This page is generated from the service's own OpenAPI {openapi} document, which a running service answers at
`/openapi.json` (interactive at `/docs`). The document of this version: [{document}]({document}).
"""


def write(target: Path) -> None:
    """Write the page and the document. A process of its own keeps the service's logging away from the builder."""
    script = Path(__file__).with_name("openapi_document.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    (target / DOCUMENT).write_text(json.dumps(document, indent=2), encoding="utf-8")
    (target / "http-api.md").write_text("\n".join(page(document)), encoding="utf-8")


def page(document: dict[str, Any]) -> Iterator[str]:
    """Yield the page's blocks: introduction, operations by tag, schemas."""
    info = document["info"]
    yield INTRODUCTION.format(**info, openapi=document["openapi"], document=DOCUMENT)
    yield from _security(document)
    for path, operations in sorted(document["paths"].items(), key=_operations_last):
        for method in (m for m in METHODS if m in operations):
            yield from operation(method.upper(), path, operations[method])
    yield "## Schemas\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from described_schema(name, schema)


def _security(document: dict[str, Any]) -> Iterator[str]:
    for scheme in document["components"].get("securitySchemes", {}).values():
        yield f"Operations below `/v1` need the header `{scheme['name']}`.\n"


def _operations_last(item: tuple[str, Any]) -> tuple[bool, str]:
    return not item[0].startswith("/v1"), item[0]


def operation(method: str, path: str, described: dict[str, Any]) -> Iterator[str]:
    """Yield one operation: summary, parameters, body, answers."""
    yield f"## {method} {path}\n"
    for text in (described.get("summary"), described.get("description")):
        if text:
            yield f"{text}\n"
    if parameters := described.get("parameters"):
        rows = [_parameter(p) for p in parameters]
        yield table(["parameter", "in", "type", "required", "meaning"], rows)
    for kind, content in described.get("requestBody", {}).get("content", {}).items():
        yield f"Body: `{kind}`, {type_of(content['schema'])}.\n"
    yield from answers(described["responses"])


def _parameter(parameter: dict[str, Any]) -> list[str]:
    schema = parameter["schema"]
    meaning = parameter.get("description") or schema.get("description") or ""
    required = "yes" if parameter.get("required") else "no"
    return [f"`{parameter['name']}`", parameter["in"], type_of(schema), required, meaning]


def answers(responses: dict[str, Any]) -> Iterator[str]:
    """Yield what an operation answers, the statuses of errors in one line."""
    errors = []
    for status, answer in sorted(responses.items()):
        kinds = answer.get("content", {})
        if PROBLEM in kinds:
            errors.append(f"{status} {answer['description']}")
        else:
            named = (f"`{kind}`, {type_of(content['schema'])}" for kind, content in kinds.items())
            yield f"Answers {status}: {' or '.join(named)}.\n"
    if errors:
        yield f"Errors (`{PROBLEM}`, [Problem](#problem)): {', '.join(errors)}.\n"


def described_schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield one schema: its meaning and its fields."""
    yield f"### {name}\n"
    if text := schema.get("description"):
        yield f"{text}\n"
    required = schema.get("required", [])
    rows = [
        [f"`{field}`", type_of(s), "yes" if field in required else "no", s.get("description", "")]
        for field, s in schema.get("properties", {}).items()
    ]
    if rows:
        yield table(["field", "type", "required", "meaning"], rows)


def type_of(schema: dict[str, Any]) -> str:
    """Return a schema's type in words, with a link to the schema that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(type_of(s) for s in schema[several])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    limits = [f"{k} {schema[k]}" for k in ("minimum", "maximum", "maxLength") if k in schema]
    return ", ".join([schema.get("format") or schema.get("type", "anything"), *limits])


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table without its empty columns; bars and line breaks in a cell are escaped."""
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    cells = [[row[c].replace("|", "\\|").replace("\n", " ") for c in used] for row in rows]
    lines = [[head[c] for c in used], ["---"] * len(used), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
