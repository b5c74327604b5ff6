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


def checksums(data: bytes, announced: Resource) -> dict[str, str]:
    """Return `md5Hash` and `crc32c` of the bytes; raises 400 if the writer announced different ones."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    crc32c = google_crc32c.value(data).to_bytes(4, "big")
    sums = {
        name: base64.b64encode(s).decode() for name, s in (("md5Hash", md5), ("crc32c", crc32c))
    }
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
