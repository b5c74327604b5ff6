"""Publish a snapshot as a static site: a bucket of files that any file server can answer with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import NamedTuple, TypeVar

from velocast.adapters.gcs import Objects, ObjectVersion
from velocast.core.datetimes import rfc3339
from velocast.core.errors import ObjectMissing
from velocast.usecases.site.open_data import make_open_data
from velocast.usecases.site.page_data import DATA, MANIFEST, PageData, iterate_files
from velocast.usecases.site.page_files import (
    CONTENT_TYPES,
    PAGE_FILES,
    WORKER,
    content_policy,
    page_html,
    page_version,
    read_page_file,
)
from velocast.usecases.snapshot_format import Snapshot

AT_ONCE = 8
FOR_EVER = "public, max-age=31536000, immutable"
# A page that is open asks for the manifest every minute.
SHORTLY = "public, max-age=60"
T = TypeVar("T")
_PACKED = {".parquet"}  # compressed already


class SiteFile(NamedTuple):
    """A file of the site. for_ever: its content never changes."""

    name: str
    data: bytes
    for_ever: bool


class _StoredFile(NamedTuple):
    """A file as the bucket stores and serves it."""

    name: str
    data: bytes
    for_ever: bool
    content_type: str
    content_encoding: str | None
    cache_control: str

    def is_stored_as(self, version: ObjectVersion | None) -> bool:
        """Return whether the bucket has these bytes and headers."""
        if version is None:
            return False
        headers = version.content_type, version.content_encoding, version.cache_control
        wanted = self.content_type, self.content_encoding, self.cache_control
        return headers == wanted and version.holds(self.data)


def make_site(snapshot: Snapshot) -> Iterator[SiteFile]:
    """Yield all files of the site; the manifest, which names the others, comes last."""
    return _files_of(PageData(snapshot))


def _files_of(data: PageData) -> Iterator[SiteFile]:
    snapshot = data.snapshot
    folder = f"page/{page_version()}/"
    for name in sorted(PAGE_FILES):
        yield SiteFile(folder + name, read_page_file(name), for_ever=True)
    for name, content in iterate_files(data):
        yield SiteFile(name, content, for_ever=True)
    yield SiteFile(WORKER, read_page_file(WORKER), for_ever=False)
    policy = content_policy(snapshot.city)

    def html(root: str, title: str) -> bytes:
        return page_html(root=root, title=title, suffix=".html", folder=folder, policy=policy)

    city = f"Velocast {snapshot.city.name}"
    yield SiteFile("index.html", html("", city), for_ever=False)
    for name, counter in data.counter_pages.items():
        title = f"{counter.counter_name or counter.counter_id} · {city}"
        yield SiteFile(f"counter/{name}.html", html("../", title), for_ever=False)
    for name, content in make_open_data(snapshot).items():
        yield SiteFile(name, content, for_ever=False)
    yield SiteFile(MANIFEST, data.manifest(api=False), for_ever=False)


def publish_site(objects: Objects, snapshot: Snapshot) -> str:
    """Write the site's files that the bucket lacks, and return what was done, in words.

    A file is written unless the bucket's own listing has the same bytes and headers, so what was changed or deleted
    there is repaired. Files are written before those that name them, the manifest last. A newer site is kept. Files of
    publications before the last one are deleted: a page that was opened with the last one still finds its files.
    Raises Google's errors when the bucket fails: the manifest then names the old files, and the next publication
    writes what is missing.
    """
    before = _published_before(objects)
    if before.get("published_at", "") > rfc3339(snapshot.published_at):
        return f"kept: the published site is newer, from {before['published_at']}"
    stored = {version.name: version for version in objects.versions("")}
    data = PageData(snapshot)
    *files, manifest = map(_stored_form, _files_of(data))
    changed = [file for file in files if not file.is_stored_as(stored.get(file.name))]
    for named_by_others in (True, False):
        some = [file for file in changed if file.for_ever == named_by_others]
        _at_once(lambda file: _write(objects, file), some)
    _write(objects, manifest)
    folder = data.folder
    # the same snapshot again: the folder of the publication before it is no longer known
    if before.get("folder") != folder:
        kept = (folder, before.get("folder", MANIFEST), MANIFEST)
        _at_once(
            objects.delete, [n for n in stored if n.startswith(DATA) and not n.startswith(kept)]
        )
    return f"{len(files) + 1} files published, {len(changed) + 1} of them written"


def _published_before(objects: Objects) -> dict[str, str]:
    try:
        stored = objects.read(MANIFEST).data
    except ObjectMissing:
        return {}
    try:
        found = json.loads(stored)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _stored_form(file: SiteFile) -> _StoredFile:
    extension = PurePosixPath(file.name).suffix
    packed = extension not in _PACKED
    return _StoredFile(
        file.name,
        # without a time the same content has the same bytes
        gzip.compress(file.data, 6, mtime=0) if packed else file.data,
        for_ever=file.for_ever,
        content_type=CONTENT_TYPES[extension],
        content_encoding="gzip" if packed else None,
        cache_control=FOR_EVER if file.for_ever else SHORTLY,
    )


def _write(objects: Objects, file: _StoredFile) -> None:
    objects.write(
        file.name,
        file.data,
        content_type=file.content_type,
        content_encoding=file.content_encoding,
        cache_control=file.cache_control,
    )


def _at_once(work: Callable[[T], object], items: list[T]) -> None:
    """Do something with each item, some at a time; raises the first error."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(work, items):
            pass
