"""Cloud Storage's JSON API over an ObjectStore, as google-cloud-storage and `gcloud storage` use it.

Every precondition is enforced: on uploads of all kinds, downloads, patches, deletes, composes and copies.
"""

from __future__ import annotations

import re
from typing import IO
from urllib.parse import quote

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.storage.listing import list_objects, object_json
from gcp_emulators.storage.preconditions import Preconditions
from gcp_emulators.storage.request import StorageRequest, storage_endpoint, unknown_path
from gcp_emulators.storage.resources import ObjectGeneration, Resource, check_announced
from gcp_emulators.storage.store import ObjectStore
from gcp_emulators.storage.uploads import ResumableUpload, UploadSessions, split_multipart

_TOLD_BY_HEADERS = {
    "cacheControl": "Cache-Control",
    "contentDisposition": "Content-Disposition",
    "contentEncoding": "Content-Encoding",
    "contentLanguage": "Content-Language",
}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def storage_routes(store: ObjectStore) -> list[Route]:
    """Return the routes of Cloud Storage: metadata, uploads and downloads."""
    server = _ObjectServer(store)
    return [
        Route("/storage/v1/{rest:path}", storage_endpoint(server.metadata, 2), methods=_METHODS),
        Route(
            "/upload/storage/v1/{rest:path}", storage_endpoint(server.upload, 3), methods=_METHODS
        ),
        Route(
            "/resumable/upload/storage/v1/{rest:path}",
            storage_endpoint(server.upload, 4),
            methods=_METHODS,
        ),
        Route(
            "/download/storage/v1/{rest:path}",
            storage_endpoint(server.download, 3),
            methods=_METHODS,
        ),
    ]


class _ObjectServer:
    """The handlers; each takes a StorageRequest and returns a Response or raises GoogleApiError."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.sessions = UploadSessions()

    def metadata(self, call: StorageRequest) -> Response:
        """Handle requests below /storage/v1: buckets, objects, lists, compose, rewrite, copy."""
        match call.path:
            case ("b",):
                return self._buckets(call)
            case ("b", bucket):
                return self._bucket(call, bucket)
            case ("b", bucket, "storageLayout"):
                return JSONResponse(_layout(self.store.bucket(bucket)))
            case ("b", bucket, "o"):
                return JSONResponse(list_objects(self.store, bucket, call.query, call.origin))
            case ("b", bucket, "o", name):
                return self._object(call, bucket, name)
            case ("b", bucket, "o", name, "compose"):
                return self._compose(call, bucket, name)
            case (
                "b",
                source,
                "o",
                name,
                ("rewriteTo" | "copyTo") as verb,
                "b",
                bucket,
                "o",
                target,
            ):
                return self._copy(call, (source, name), (bucket, target), verb)
        raise unknown_path(call)

    def _buckets(self, call: StorageRequest) -> Response:
        if call.method == "POST":
            return JSONResponse(_bucket_json(self.store.create_bucket(call.json()), call.origin))
        items = [
            _bucket_json(b, call.origin) for b in self.store.buckets(call.query.get("prefix", ""))
        ]
        return JSONResponse({"kind": "storage#buckets", "items": items})

    def _bucket(self, call: StorageRequest, bucket: str) -> Response:
        if call.method == "DELETE":
            self.store.delete_bucket(bucket)
            return Response(status_code=204)
        if call.method in ("PATCH", "PUT"):
            resource = self.store.update_bucket(bucket, call.json(), call.conditions)
            return JSONResponse(_bucket_json(resource, call.origin))
        return JSONResponse(_bucket_json(self.store.bucket(bucket), call.origin))

    def _object(self, call: StorageRequest, bucket: str, name: str) -> Response:
        if call.method == "DELETE":
            self.store.delete(bucket, name, call.conditions, call.generation)
            return Response(status_code=204)
        if call.method in ("PATCH", "PUT"):
            stored = self.store.update(bucket, name, call.json(), call.conditions, call.generation)
            return object_response(stored, call.origin)
        if call.query.get("alt") == "media":
            return self._bytes(call, bucket, name)
        stored = self.store.get(bucket, name, call.conditions, call.generation)
        return object_response(stored, call.origin)

    def _compose(self, call: StorageRequest, bucket: str, name: str) -> Response:
        request = call.json()
        pieces = []
        for source in request.get("sourceObjects", []):
            conditions = Preconditions.from_query(
                {k: str(v) for k, v in source.get("objectPreconditions", {}).items()}
            )
            generation = int(source["generation"]) if source.get("generation") else None
            pieces.append(self.store.read(bucket, source["name"], conditions, generation)[1])
        metadata = request.get("destination", {})
        return object_response(
            self.store.put(bucket, name, b"".join(pieces), metadata, call.conditions), call.origin
        )

    def _copy(
        self, call: StorageRequest, source: tuple[str, str], target: tuple[str, str], verb: str
    ) -> Response:
        conditions = Preconditions.from_query(call.query, "ifSource")
        wanted = call.query.get("sourceGeneration")
        original = self.store.get(*source, conditions, int(wanted) if wanted else None)
        metadata = original.resource | call.json()
        sums = {key: original.resource[key] for key in ("md5Hash", "crc32c")}
        stored = self.store.copy(original, target, metadata | sums, call.conditions)
        if verb == "copyTo":
            return object_response(stored, call.origin)
        answer = {"kind": "storage#rewriteResponse", "done": True}
        answer |= {"totalBytesRewritten": str(stored.size), "objectSize": str(stored.size)}
        return JSONResponse(answer | {"resource": object_json(stored, call.origin)})

    def upload(self, call: StorageRequest) -> Response:
        """Handle requests below /upload/storage/v1: media, multipart and resumable uploads."""
        match call.path:
            case ("b", bucket, "o"):
                pass
            case _:
                raise unknown_path(call)
        if "upload_id" in call.query:
            return self._continue_resumable(call)
        if call.query.get("uploadType") == "resumable":
            return self._begin_resumable(call, bucket)
        if call.query.get("uploadType") == "multipart":
            metadata, data = split_multipart(call.headers.get("content-type", ""), call.body)
        else:
            metadata, data = {"contentType": call.headers.get("content-type")}, call.body
        name = metadata.get("name") or call.query.get("name", "")
        return object_response(
            self.store.put(bucket, name, data, metadata, call.conditions), call.origin
        )

    def _begin_resumable(self, call: StorageRequest, bucket: str) -> Response:
        metadata = call.json()
        if call.headers.get("x-upload-content-type"):
            metadata.setdefault("contentType", call.headers["x-upload-content-type"])
        name = metadata.get("name") or call.query.get("name", "")
        self.store.bucket(bucket)
        # refuse a stale write before its bytes are sent; the check is repeated when they have arrived
        call.conditions.check(f"gs://{bucket}/{name}", self.store.find(bucket, name))
        file = self.store.new_file()
        file.touch()
        upload_id = self.sessions.begin(
            ResumableUpload(bucket, name, metadata, call.conditions, file)
        )
        place = f"{call.origin}/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={upload_id}"
        return Response(headers={"Location": place, "X-GUploader-UploadID": upload_id})

    def _continue_resumable(self, call: StorageRequest) -> Response:
        upload_id = call.query["upload_id"]
        if call.method == "DELETE":
            self.sessions.find(upload_id).file.unlink(missing_ok=True)
            self.sessions.end(upload_id)
            return Response(status_code=499)
        upload = self.sessions.find(upload_id)
        if not upload.accept(call.headers.get("content-range"), call.body):
            have = upload.size
            return Response(
                status_code=308, headers={"Range": f"bytes=0-{have - 1}"} if have else {}
            )
        self.sessions.end(upload_id)
        sums = check_announced(upload.sums.encoded(), upload.metadata)
        stored = self.store.put_file(
            upload.bucket, upload.name, upload.file, upload.metadata | sums, upload.conditions
        )
        return object_response(stored, call.origin)

    def download(self, call: StorageRequest) -> Response:
        """Handle requests below /download/storage/v1: the bytes of an object, whole or a range."""
        match call.path:
            case ("b", bucket, "o", name):
                return self._bytes(call, bucket, name)
        raise unknown_path(call)

    def _bytes(self, call: StorageRequest, bucket: str, name: str) -> Response:
        stored, file = self.store.open(bucket, name, call.conditions, call.generation)
        with file:
            return self._part(call, stored, file)

    def _part(self, call: StorageRequest, stored: ObjectGeneration, file: IO[bytes]) -> Response:
        resource = stored.resource
        headers = {
            "Content-Type": resource["contentType"],
            "ETag": resource["etag"],
            "Accept-Ranges": "bytes",
            "X-Goog-Generation": resource["generation"],
            "X-Goog-Metageneration": resource["metageneration"],
            "X-Goog-Hash": f"crc32c={resource['crc32c']},md5={resource['md5Hash']}",
            "X-Goog-Stored-Content-Length": resource["size"],
            "X-Goog-Storage-Class": resource["storageClass"],
        }
        for field, header in _TOLD_BY_HEADERS.items():
            if field in resource:
                headers[header] = resource[field]
        span = _byte_range(call.headers.get("range"), stored.size)
        if span is None:
            return Response(file.read(), headers=headers)
        first, last = span
        headers["Content-Range"] = f"bytes {first}-{last}/{stored.size}"
        file.seek(first)
        return Response(file.read(last + 1 - first), status_code=206, headers=headers)


def _byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip()) if header else None
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        return max(0, size - int(last)), size - 1
    if int(first) == 0 and size == 0:
        return None
    if int(first) >= size:
        raise GoogleApiError(
            416, f"range {header} of {size} bytes", reason="requestedRangeNotSatisfiable"
        )
    return int(first), min(int(last), size - 1) if last else size - 1


def object_response(stored: ObjectGeneration, origin: str) -> Response:
    """Return an object's resource as a JSON response."""
    return JSONResponse(object_json(stored, origin), headers={"ETag": stored.resource["etag"]})


def _bucket_json(bucket: Resource, origin: str) -> Resource:
    return bucket | {"selfLink": f"{origin}/storage/v1/b/{quote(bucket['name'], safe='')}"}


def _layout(bucket: Resource) -> Resource:
    return {
        "kind": "storage#storageLayout",
        "bucket": bucket["name"],
        "location": bucket["location"],
        "locationType": bucket["locationType"],
    }
