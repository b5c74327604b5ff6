"""The lease object that the workflow `velocast-retrain` holds while it trains (workflows/retrain.yaml).

Only the workflow writes the object. It is read here so that somebody is told of a lease whose holder is gone.
"""

from __future__ import annotations

from datetime import datetime

from velocast.adapters.gcs import Objects
from velocast.core import telemetry
from velocast.core.datetimes import parse_instant
from velocast.core.errors import EventError, ObjectMissing

LEASE = "leases/retrain.json"


def held_seconds(objects: Objects, now: datetime) -> float | None:
    """Return for how many seconds a retraining has held its lease at `now`, 0 when the lease is free.

    objects: the models bucket. None, with a line in the log, when the object does not say since when. None also when it
    was taken after `now`, which happens in a run for a past day.
    """
    try:
        content, _ = objects.read_json(LEASE)
        taken_at = parse_instant(content["taken_at"], name="taken_at")
    except ObjectMissing:
        return 0.0
    except (ValueError, KeyError, TypeError, EventError) as exc:
        telemetry.log("WARNING", f"{objects.uri(LEASE)} does not say since when it is held: {exc}")
        return None
    seconds = (now - taken_at).total_seconds()
    return seconds if seconds >= 0 else None
