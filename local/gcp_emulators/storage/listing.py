"""Lists objects as Cloud Storage does: by prefix, delimiter, glob, versions and page."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import quote

from gcp_emulators.storage.resources import ObjectGeneration, Resource
from gcp_emulators.storage.store import ObjectStore

_PAGE = 1000


def list_objects(
    store: ObjectStore, bucket: str, query: Mapping[str, str], origin: str
) -> Resource:
    """Return one page of a bucket's objects as the JSON response; raises 404 if the bucket does not exist.

    query: prefix, delimiter, startOffset, endOffset, matchGlob, versions, maxResults, pageToken.
    """
    versions = query.get("versions", "").lower() == "true"
    found = [s for s in store.objects(bucket, versions=versions) if _wanted(s.name, query)]
    entries = _entries(found, query.get("prefix", ""), query.get("delimiter", ""))
    size = min(int(query.get("maxResults") or _PAGE), _PAGE)
    start = _after(entries, query.get("pageToken"))
    page = entries[start : start + size]
    answer: Resource = {"kind": "storage#objects"}
    items = [object_json(entry, origin) for entry in page if isinstance(entry, ObjectGeneration)]
    prefixes = [entry for entry in page if isinstance(entry, str)]
    answer |= {"items": items} if items else {}
    answer |= {"prefixes": prefixes} if prefixes else {}
    if start + size < len(entries):
        answer["nextPageToken"] = base64.urlsafe_b64encode(_key(page[-1]).encode()).decode()
    return answer


def _wanted(name: str, query: Mapping[str, str]) -> bool:
    end, glob = query.get("endOffset"), query.get("matchGlob")
    return (
        name.startswith(query.get("prefix", ""))
        and name >= query.get("startOffset", "")
        and (not end or name < end)
        and (not glob or re.fullmatch(_glob_pattern(glob), name) is not None)
    )


def _entries(
    found: list[ObjectGeneration], prefix: str, delimiter: str
) -> list[ObjectGeneration | str]:
    """Replace names that contain the delimiter after the prefix by one entry: the text up to the delimiter."""
    entries: list[ObjectGeneration | str] = []
    seen: set[str] = set()
    for stored in found:
        rest = stored.name[len(prefix) :]
        if not delimiter or delimiter not in rest:
            entries.append(stored)
            continue
        folder = prefix + rest.split(delimiter, 1)[0] + delimiter
        if folder not in seen:
            seen.add(folder)
            entries.append(folder)
    return entries


def _key(entry: ObjectGeneration | str) -> str:
    return entry if isinstance(entry, str) else f"{entry.name}\n{entry.generation}"


def _after(entries: list[ObjectGeneration | str], token: str | None) -> int:
    if not token:
        return 0
    last = base64.urlsafe_b64decode(token).decode()
    return next(
        (i for i, entry in enumerate(entries) if _sort_key(_key(entry)) > _sort_key(last)),
        len(entries),
    )


def _sort_key(key: str) -> tuple[str, int]:
    name, _, generation = key.partition("\n")
    return name, int(generation or 0)


def _glob_pattern(glob: str) -> str:
    """Translate a glob: `**` crosses folders, `*` and `?` do not, `[ab]` and `{a,b}` choose."""
    pattern, depth = "", 0
    for token in re.findall(r"\*\*/|\*\*|\[[^\]]+\]|.", glob, flags=re.DOTALL):
        depth += (token == "{") - (token == "}")
        pattern += {
            "**/": "(?:.*/)?",
            "**": ".*",
            "*": "[^/]*",
            "?": "[^/]",
            "{": "(?:",
            "}": ")",
        }.get(
            token, "|" if token == "," and depth else token if len(token) > 1 else re.escape(token)
        )
    return pattern


def object_json(stored: ObjectGeneration, origin: str) -> Resource:
    """Return an object's resource with its links, which depend on the server's address."""
    place = f"b/{quote(stored.bucket, safe='')}/o/{quote(stored.name, safe='')}"
    return stored.resource | {
        "selfLink": f"{origin}/storage/v1/{place}",
        "mediaLink": f"{origin}/download/storage/v1/{place}?generation={stored.generation}&alt=media",
    }
