"""Discord's limits on a webhook message, and the errors it returns (source: discord/discord-api-docs)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

INVALID_FORM = {"message": "Invalid Form Body", "code": 50035}
CONTENT, EMBEDS, FIELDS, TOTAL = 2000, 10, 25, 6000
EMBED_LIMITS = {"title": 256, "description": 4096}
FIELD_LIMITS = {"name": 256, "value": 1024}
FOOTER, AUTHOR = 2048, 256
LARGEST_COLOR = 0xFFFFFF

Errors = dict[str, Any]
Violation = tuple[tuple[str, ...], str, str]


def errors_of(body: dict[str, Any]) -> Errors:
    """Return Discord's nested `errors` for a message; empty when Discord would accept it."""
    errors: Errors = {}
    for path, code, message in _violations(body):
        place = errors
        for part in path:
            place = place.setdefault(part, {})
        place.setdefault("_errors", []).append({"code": code, "message": message})
    return errors


def _violations(body: dict[str, Any]) -> Iterator[Violation]:
    embeds = body.get("embeds") or []
    if not embeds and not _text(body, "content"):
        yield ("content",), "BASE_TYPE_REQUIRED", "Cannot send an empty message"
    yield from _too_long(body, "content", CONTENT, ())
    if len(embeds) > EMBEDS:
        yield ("embeds",), "BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS} or fewer in length."
    for number, embed in enumerate(embeds):
        yield from _embed_violations(embed, ("embeds", str(number)))
    if sum(_length(embed) for embed in embeds) > TOTAL:
        yield ("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {TOTAL}"


def _embed_violations(embed: dict[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    for name, limit in EMBED_LIMITS.items():
        yield from _too_long(embed, name, limit, path)
    yield from _too_long(embed.get("footer") or {}, "text", FOOTER, (*path, "footer"))
    yield from _too_long(embed.get("author") or {}, "name", AUTHOR, (*path, "author"))
    color = embed.get("color", 0)
    if not isinstance(color, int) or not 0 <= color <= LARGEST_COLOR:
        yield (*path, "color"), "NUMBER_TYPE_MAX", f"int value should be at most {LARGEST_COLOR}"
    url = str(embed.get("url") or "http://")
    if not url.startswith(("http://", "https://")):
        yield (*path, "url"), "URL_TYPE_INVALID_SCHEME", f"Scheme of {url!r} must be http or https"
    fields = embed.get("fields") or []
    if len(fields) > FIELDS:
        yield (*path, "fields"), "BASE_TYPE_MAX_LENGTH", f"Must be {FIELDS} or fewer in length."
    for number, field in enumerate(fields):
        yield from _field_violations(field, (*path, "fields", str(number)))


def _field_violations(field: dict[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    for name, limit in FIELD_LIMITS.items():
        if not _text(field, name):
            yield (*path, name), "BASE_TYPE_REQUIRED", "This field is required"
        yield from _too_long(field, name, limit, path)


def _too_long(
    part: dict[str, Any], name: str, limit: int, path: tuple[str, ...]
) -> Iterator[Violation]:
    if len(_text(part, name)) > limit:
        yield (*path, name), "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length."


def _text(part: dict[str, Any], name: str) -> str:
    return str(part.get(name) or "").strip()


def _length(embed: dict[str, Any]) -> int:
    fields = sum(len(_text(f, "name")) + len(_text(f, "value")) for f in embed.get("fields") or [])
    footer = len(_text(embed.get("footer") or {}, "text"))
    author = len(_text(embed.get("author") or {}, "name"))
    return len(_text(embed, "title")) + len(_text(embed, "description")) + fields + footer + author
