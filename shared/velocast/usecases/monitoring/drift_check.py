"""Drift check: compare the last weeks with a reference period and store the report in the reports bucket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from velocast.adapters.gcs import Objects
from velocast.core.datetimes import SCORED_LEAD_DAYS, local_date, rfc3339, start_of_local_day
from velocast.core.settings import MonitorSettings
from velocast.core.unknown import Unknown
from velocast.model.drift.columns import choose_reference, drift_columns
from velocast.model.drift.detection import DriftResult, detect_drift
from velocast.usecases.context import Run
from velocast.usecases.monitoring.validation import keep_one_in

REPORTS = "drift_reports/drift_report_"


@dataclass(frozen=True)
class DriftCheck:
    """The result and the address of its report; no report when nothing could be compared."""

    result: DriftResult | Unknown
    report_uri: str | None = None


def check_drift(
    run: Run[MonitorSettings], *, first_count_at: datetime | None, counters: int
) -> DriftCheck:
    """Compare the last `drift_days` local days with their reference and store a report named after the run's local day.

    first_count_at: the oldest usable count. counters: number of counters with recent counts; of more than
    MOST_COUNTERS, one in several is compared, drawn by hash, the same in both periods. Unknown, without a report, when
    there is too little data to compare. Sources: counts, weather and the forecasts of the time; columns without data
    are reported as missing. Raises WarehouseError.
    """
    if first_count_at is None:
        return DriftCheck(Unknown(reason="no usable count is stored"))
    zone, thresholds = run.settings.city.zone, run.settings.thresholds
    today = local_date(run.as_of, zone)
    reference = choose_reference(
        last_day=today - timedelta(days=1),
        history_first=local_date(first_count_at, zone),
        days=thresholds.drift_days,
    )
    start = start_of_local_day(today - timedelta(days=thresholds.drift_days), zone)
    one_in = keep_one_in(counters)
    result = detect_drift(
        _period(run, start, start_of_local_day(today, zone), one_in),
        _period(run, *reference.bounds(zone), one_in),
        reference_name=reference.name,
        thresholds=thresholds,
    )
    if isinstance(result, Unknown):
        return DriftCheck(result)
    return DriftCheck(result, _store_report(run, result))


def _period(
    run: Run[MonitorSettings], first_hour: datetime, until: datetime, one_in: int
) -> pd.DataFrame:
    """Return the columns of one period; a column whose table has no rows in it is left out."""
    bounds: dict[str, Any] = {"first_hour": first_hour, "until": until}
    known: dict[str, Any] = bounds | {"as_of": run.as_of}
    counts = run.warehouse.query_large("drift_counts", keep_one_in=one_in, **bounds)
    weather = run.warehouse.query("drift_weather", **known)
    errors = run.warehouse.query_large(
        "drift_errors", lead_days=SCORED_LEAD_DAYS, keep_one_in=one_in, **known
    )
    return drift_columns(
        counts,
        zone=run.settings.city.zone,
        weather=None if weather.empty else weather,
        errors=None if errors.empty else errors,
    )


def _store_report(run: Run[MonitorSettings], result: DriftResult) -> str:
    """Write the HTML report and its figures, and return the report's address. A repeated run overwrites both."""
    reports = Objects(run.settings.project, run.settings.reports_bucket)
    name = f"{REPORTS}{local_date(run.as_of, run.settings.city.zone)}"
    figures = {
        "as_of": rfc3339(run.as_of),
        "reference": result.reference,
        "share": result.share,
        "drifted": result.drifted,
        "columns": result.columns,
        "missing": result.missing,
        "evidently": json.loads(result.json),
    }
    reports.write_json(f"{name}.json", figures)
    reports.write(f"{name}.html", result.html, content_type="text/html; charset=utf-8")
    return reports.uri(f"{name}.html")
