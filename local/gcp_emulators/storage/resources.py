"""Buckets and objects as Cloud Storage describes them in JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import google_crc32c

from gcp_emulators.core.errors import GoogleApiError

Resource = dict[str, Any]

EDITABLE = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "metadata",
    "storageClass",
)


@dataclass(frozen=True)
class ObjectGeneration:
    """One generation of one object; `resource` is its JSON without the links."""

    bucket: str
    name: str
    generation: int
    live: bool
    file: str
    resource: Resource

    @classmethod
    def from_row(cls, row: tuple[str, str, int, int, str, str]) -> ObjectGeneration:
        """Read a row of the store's table of objects."""
        bucket, name, generation, live, file, resource = row
        return cls(bucket, name, generation, bool(live), file, json.loads(resource))

    @property
    def metageneration(self) -> int:
        """Version of this generation's metadata, from 1."""
        return int(self.resource["metageneration"])

    @property
    def size(self) -> int:
        """Length in bytes."""
        return int(self.resource["size"])


class Checksums:
    """`md5Hash` and `crc32c` of bytes that arrive in pieces."""

    def __init__(self, data: bytes = b"") -> None:
        self._md5 = hashlib.md5(data, usedforsecurity=False)
        self._crc32c = google_crc32c.value(data)

    def update(self, data: bytes) -> None:
        """Add a piece."""
        self._md5.update(data)
        self._crc32c = google_crc32c.extend(self._crc32c, data)

    def encoded(self) -> dict[str, str]:
        """Return the checksums by their names in an object's resource."""
        sums = {"md5Hash": self._md5.digest(), "crc32c": self._crc32c.to_bytes(4, "big")}
        return {name: base64.b64encode(value).decode() for name, value in sums.items()}


def check_announced(sums: dict[str, str], announced: Resource) -> dict[str, str]:
    """Return an object's checksums; raises 400 if the writer announced different ones."""
    for name, value in sums.items():
        if announced.get(name) not in (None, value):
            told = announced[name]
            raise GoogleApiError(
                400, f"Provided {name} {told} does not match {value}", reason="invalid"
            )
    return sums


def merged(resource: Resource, changes: Resource) -> Resource:
    """Return a resource updated with the editable fields of `changes`; None removes a field or a `metadata` key."""
    kept = dict(resource)
    for key in EDITABLE:
        if key not in changes:
            continue
        value = changes[key]
        if key == "metadata" and value is not None:
            both = kept.get("metadata", {}) | value
            value = {name: text for name, text in both.items() if text is not None}
        kept.pop(key, None)
        if value is not None:
            kept[key] = value
    return kept


def new_bucket(name: str, asked: Resource, time: str) -> Resource:
    """Return the resource of a bucket created at `time` (RFC 3339) with the requested settings."""
    made = {"location": "EU", "storageClass": "STANDARD", "locationType": "multi-region"} | asked
    made |= {"kind": "storage#bucket", "id": name, "metageneration": "1", "projectNumber": "1"}
    return made | {"timeCreated": time, "updated": time, "etag": "CAE="}


def new_object(bucket: str, name: str, generation: int, metadata: Resource, time: str) -> Resource:
    """Return the resource, except its size, of an object written at `time` (RFC 3339).

    metadata: sent by the writer; its editable fields are kept, and it must hold the checksums.
    """
    kept = {key: metadata[key] for key in EDITABLE if metadata.get(key) is not None}
    resource = {"contentType": "application/octet-stream", "storageClass": "STANDARD"} | kept
    resource |= {"kind": "storage#object", "bucket": bucket, "name": name}
    resource |= {"generation": str(generation), "metageneration": "1"}
    resource |= {"id": f"{bucket}/{name}/{generation}", "etag": f"C{generation}"}
    resource |= {"timeCreated": time, "updated": time, "timeStorageClassUpdated": time}
    return resource | {key: metadata[key] for key in ("md5Hash", "crc32c")}
