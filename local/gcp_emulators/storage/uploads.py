"""Upload bodies: the parts of a multipart upload, the chunks of a resumable upload."""

from __future__ import annotations

import json
import re
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.storage.preconditions import Preconditions
from gcp_emulators.storage.resources import Checksums, Resource

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def split_multipart(content_type: str, body: bytes) -> tuple[Resource, bytes]:
    """Return the metadata and the bytes of a `multipart/related` body; raises 400 for any other body.

    The raw bytes are split, since an e-mail parser would change line ends in the data. The boundary may be in single
    quotes (gcloud), in double quotes or in none.
    """
    found = re.search(r"boundary=(\"[^\"]+\"|'[^']+'|[^;\s]+)", content_type)
    if not found:
        raise GoogleApiError(
            400, f"no boundary in content type '{content_type}'", reason="badContent"
        )
    mark = b"--" + found.group(1).strip("\"'").encode()
    end = body.rfind(mark + b"--")
    sections = body[:end].split(mark, 2)
    if end < 0 or len(sections) != 3:
        raise GoogleApiError(
            400, "a multipart upload needs two parts and an end mark", reason="badContent"
        )
    _, metadata = _split_headers(sections[1])
    headers, data = _split_headers(sections[2])
    data = data[:-2] if data.endswith(b"\r\n") else data.removesuffix(b"\n")
    resource: Resource = json.loads(metadata or b"{}")
    kind = re.search(rb"(?im)^content-type:\s*([^\r\n]+)", headers)
    if kind:
        resource.setdefault("contentType", kind.group(1).decode().strip())
    return resource, data


def _split_headers(section: bytes) -> tuple[bytes, bytes]:
    blank = _BLANK_LINE.search(section)
    if not blank:
        raise GoogleApiError(
            400, "a part of the multipart upload has no blank line", reason="badContent"
        )
    return section[: blank.start()], section[blank.end() :]


@dataclass
class ResumableUpload:
    """A resumable upload in progress: what was announced, and the bytes received so far, in `file`.

    Their checksums grow with them, so that the last chunk of a large object is answered as fast as the first.
    """

    bucket: str
    name: str
    metadata: Resource
    conditions: Preconditions
    file: Path
    size: int = 0
    sums: Checksums = field(default_factory=Checksums)

    def accept(self, content_range: str | None, chunk: bytes) -> bool:
        """Add a chunk and return whether the object is complete; raises 400 if the chunk would leave a gap.

        content_range: `bytes 0-9/*` (more chunks follow), `bytes 10-19/20` (last chunk), `bytes */20` (asks how much
        has arrived) or None (the whole object). A chunk sent twice is stored once.
        """
        if not content_range:
            self.file.write_bytes(b"")
            self.size, self.sums = 0, Checksums()
            self._append(chunk)
            return True
        found = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", content_range.strip())
        if not found:
            raise GoogleApiError(
                400, f"Content-Range not understood: '{content_range}'", reason="invalid"
            )
        first, total = found.group(1), found.group(3)
        if first is not None:
            if int(first) > self.size:
                raise GoogleApiError(
                    400, f"chunk starts at {first}, have {self.size} bytes", reason="invalid"
                )
            self._append(chunk[self.size - int(first) :])
        return total != "*" and self.size >= int(total)

    def _append(self, data: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(data)
        self.sums.update(data)
        self.size += len(data)


class UploadSessions:
    """The resumable uploads in progress, by upload id; a restart loses them, and clients start again."""

    def __init__(self) -> None:
        self._uploads: dict[str, ResumableUpload] = {}
        self._lock = threading.Lock()

    def begin(self, upload: ResumableUpload) -> str:
        """Register an upload and return its id."""
        upload_id = uuid.uuid4().hex
        with self._lock:
            self._uploads[upload_id] = upload
        return upload_id

    def find(self, upload_id: str) -> ResumableUpload:
        """Return an upload; raises 404 if it is unknown or finished."""
        with self._lock:
            upload = self._uploads.get(upload_id)
        if upload is None:
            raise GoogleApiError(
                404, f"no upload under way with id '{upload_id}'", reason="notFound"
            )
        return upload

    def end(self, upload_id: str) -> None:
        """Remove an upload."""
        with self._lock:
            self._uploads.pop(upload_id, None)
