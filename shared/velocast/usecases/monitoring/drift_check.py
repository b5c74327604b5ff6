"""Have the data changed? The last weeks against a reference, and the report of it in the reports bucket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.datetimes import SCORED_LEAD_DAYS, local_date, rfc3339, start_of_local_day
from velocast.core.settings import MonitorSettings
from velocast.core.unknown import Unknown
from velocast.model.drift.columns import choose_reference, drift_columns
from velocast.model.drift.detection import DriftResult, detect_drift
from velocast.usecases.context import Run

REPORTS = "drift_reports/drift_report_"


@dataclass(frozen=True)
class Drift:
    """The finding and where its report lies; none when nothing could be compared."""

    finding: DriftResult | Unknown
    report_uri: str | None = None


def check(run: Run[MonitorSettings], *, first_count_at: datetime | None) -> Drift:
    """Compare the last `drift_days` local days with their reference and store the report under the run's local day.

    first_count_at: the oldest usable count. Unknown, without a report, when there is too little to compare. Raises
    WarehouseError. Sources: counts, weather and forecasts in force; what a table lacks is reported as missing.
    """
    if first_count_at is None:
        return Drift(Unknown(reason="no usable count is stored"))
    zone, thresholds = run.settings.city.zone, run.settings.thresholds
    today = local_date(run.as_of, zone)
    reference = choose_reference(
        last_day=today - timedelta(days=1),
        history_first=local_date(first_count_at, zone),
        days=thresholds.drift_days,
    )
    start = start_of_local_day(today - timedelta(days=thresholds.drift_days), zone)
    finding = detect_drift(
        _period(run, start, start_of_local_day(today, zone)),
        _period(run, *reference.bounds(zone)),
        reference_name=reference.name,
        thresholds=thresholds,
    )
    if isinstance(finding, Unknown):
        return Drift(finding)
    return Drift(finding, _store_report(run, finding))


def _period(run: Run[MonitorSettings], first_hour: datetime, until: datetime) -> pd.DataFrame:
    """Return the columns of one period; those whose table has no row for it are left out."""
    counts = run.warehouse.read(
        schemas.COUNTS,
        columns=["counter_id", "counted_at", "bike_count"],
        where=f"counted_at >= '{rfc3339(first_hour)}' AND counted_at < '{rfc3339(until)}' AND quality IS NULL",
    ).to_pandas()
    bounds: dict[str, Any] = {"first_hour": first_hour, "until": until, "as_of": run.as_of}
    weather = run.warehouse.query("drift_weather", **bounds)
    errors = run.warehouse.query_large("drift_errors", lead_days=SCORED_LEAD_DAYS, **bounds)
    return drift_columns(
        counts.assign(counted_at=pd.to_datetime(counts["counted_at"], utc=True)),
        zone=run.settings.city.zone,
        weather=None if weather.empty else weather,
        errors=None if errors.empty else errors,
    )


def _store_report(run: Run[MonitorSettings], finding: DriftResult) -> str:
    """Write the page and its figures; the same run again writes the same names. Returns the page's address."""
    reports = Objects(run.settings.project, run.settings.reports_bucket)
    name = f"{REPORTS}{local_date(run.as_of, run.settings.city.zone)}"
    figures = {
        "as_of": rfc3339(run.as_of),
        "reference": finding.reference,
        "share": finding.share,
        "drifted": finding.drifted,
        "columns": finding.columns,
        "missing": finding.missing,
        "evidently": json.loads(finding.json),
    }
    reports.write_json(f"{name}.json", figures)
    reports.write(f"{name}.html", finding.html, content_type="text/html; charset=utf-8")
    return reports.uri(f"{name}.html")
