"""The notices that fetch publishes: stale data and faulty counters.

A notice is published before the change it reports is stored, or does not depend on what is stored (`quality`). If the
run is killed in between, the next delivery publishes the notice again under the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from velocast.adapters.channels.card import link
from velocast.core.datetimes import HOUR, rfc3339
from velocast.core.notices import CounterFault, CountersOutOfOrder, DataStale
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.site.counter_pages import counter_page_of

LONGEST_NAME = 80


def report_age(run: Run[FetchSettings], newest: datetime | None, reason: str) -> None:
    """Set the gauge of the newest count's age; publish a notice (one id a day) if stale, or if there is no count."""
    age = None if newest is None else run.as_of - newest
    if age is not None:
        run.metrics.set("bike/newest_count_age_seconds", age.total_seconds())
        if age <= timedelta(days=run.settings.thresholds.stale_days):
            return
    run.publish_notice(
        DataStale(
            event_id=f"fetch:data_stale:{run.as_of:%Y-%m-%d}",
            occurred_at=rfc3339(run.as_of),
            newest_count_at=newest and rfc3339(newest),
            age_hours=age and round(age / HOUR, 1),
            reason=reason,
        )
    )


def publish_faulty_counters(
    run: Run[FetchSettings],
    what: Literal["faults", "suspect", "moved"],
    counters: Sequence[str],
    faults: Sequence[CounterFault],
    reason: str,
) -> None:
    """Publish a notice about faulty counters; without counters, publish nothing. faults: the same lines in parts."""
    if not counters:
        return
    names = hashlib.sha256("\n".join(counters).encode()).hexdigest()[:12]
    run.publish_notice(
        CountersOutOfOrder(
            event_id=f"fetch:{what}:{run.as_of:%Y-%m-%d}:{names}",
            occurred_at=rfc3339(run.as_of),
            counters=tuple(counters),
            reason=reason,
            cause=what,
            faults=tuple(faults),
        )
    )


def read_links(run: Run[FetchSettings]) -> Callable[[str], str]:
    """Return what names a counter to people: by its name, with a link to its page where the site is public.

    A counter without a name is named by its id. Raises WarehouseError.
    """
    rows = run.warehouse.query("ingest_counters")
    names = dict(zip(rows["counter_id"], rows["counter_name"], strict=True))

    def named(counter_id: str) -> str:
        name = names.get(counter_id)
        if not isinstance(name, str) or not name.strip():
            return counter_id
        return link(name[:LONGEST_NAME], counter_page_of(counter_id, run.settings.site_url))

    return named
