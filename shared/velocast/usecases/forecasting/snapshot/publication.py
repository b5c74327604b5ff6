"""Publish the snapshot, unless a newer one has been published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from velocast.adapters.gcs import Objects
from velocast.core.datetimes import local_date, parse_instant, rfc3339
from velocast.core.errors import EventError, ObjectChanged, ObjectMissing
from velocast.usecases.snapshot_format import CONTENT_TYPE, SNAPSHOT, Snapshot, dumps, loads

# Metadata of the published object: what `read_published` tells without reading a large city's snapshot.
_ORIGIN, _PUBLISHED, _GENERATED_BY = "origin-at", "published-at", "generated-by"


@dataclass(frozen=True)
class Published:
    """What is known of the published snapshot: None if there is no readable one. generation: 0 if there is none."""

    generation: int = 0
    origin_at: datetime | None = None
    published_at: datetime | None = None
    generated_by: str | None = None

    def is_of_a_later_day(self, origin_at: datetime, zone: ZoneInfo) -> bool:
        """Return whether its forecasts are of a later local day than an origin."""
        own = self.origin_at
        return own is not None and local_date(own, zone) > local_date(origin_at, zone)

    def why_kept(
        self, origin_at: datetime, generated_by: str, zone: ZoneInfo, *, past: bool
    ) -> str | None:
        """Return why forecasts from `origin_at` must not replace it; None when they may.

        They must not if the published one is of a later day, or of a later hour by the same model: a new champion's
        forecasts replace those of the old one. past: made with a champion of the past, which replaces no other model's
        forecasts of the same day.
        """
        if self.origin_at is None:
            return None
        later, same = self.origin_at > origin_at, self.generated_by == generated_by
        if self.is_of_a_later_day(origin_at, zone) or (later and same):
            return f"the published snapshot is newer, from {rfc3339(self.origin_at)}"
        of_this_day = local_date(self.origin_at, zone) == local_date(origin_at, zone)
        if past and of_this_day and not same:
            return f"the published snapshot was made by {self.generated_by}, which has been promoted since"
        return None


def read_published(objects: Objects) -> Published:
    """Return what is known of the published snapshot."""
    try:
        stored = objects.describe(SNAPSHOT)
    except ObjectMissing:
        return Published()
    if _ORIGIN in stored.metadata:
        said = stored.metadata
        return Published(
            stored.generation,
            parse_instant(said[_ORIGIN]),
            parse_instant(said[_PUBLISHED]),
            said[_GENERATED_BY],
        )
    return _read_whole(objects)


def _read_whole(objects: Objects) -> Published:
    """Return the same of a snapshot that an earlier release wrote, without metadata."""
    try:
        stored = objects.read(SNAPSHOT)
    except ObjectMissing:
        return Published()
    try:
        made = loads(stored.data)
    except EventError:
        return Published(stored.generation)  # serve cannot read it either, so it is replaced
    return Published(stored.generation, made.origin_at, made.published_at, made.generated_by)


def publish(objects: Objects, snapshot: Snapshot, *, if_generation: int) -> int:
    """Write the snapshot and return its generation; the same one where this very snapshot is published already.

    Raises ObjectChanged when another has been published since.
    """
    data = dumps(snapshot)
    said = {
        _ORIGIN: rfc3339(snapshot.origin_at),
        _PUBLISHED: rfc3339(snapshot.published_at),
        _GENERATED_BY: snapshot.generated_by,
    }
    try:
        return objects.write(
            SNAPSHOT,
            data,
            content_type=CONTENT_TYPE,
            if_generation=if_generation,
            metadata=said,
        )
    except ObjectChanged:
        # A run that was stopped after it had published is repeated.
        for now in objects.versions(SNAPSHOT):  # none if it was deleted
            if now.name == SNAPSHOT and now.holds(data):
                return now.generation
        raise
