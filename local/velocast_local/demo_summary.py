"""The summary at the end of the demo, read from the tables and the bucket that the system wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
from rich.table import Table

from velocast.adapters import google_clients
from velocast.adapters.champion_manifest import Champion, read_champion
from velocast.adapters.gcs import Objects
from velocast_local.demo import DEPLOYED, RETRAINING, AuditReader, details_of

# All forecasts for hours that were counted later, so no model was trained on them. `{where}` restricts the models.
_SCORES = """
WITH pairs AS (
  SELECT f.predicted_count AS predicted, f.lower, f.upper, c.bike_count AS counted, w.bike_count AS week_before
  FROM `{project}.bike_traffic_predictions.forecasts` f
  JOIN `{project}.bike_traffic_raw.counts` c
    ON c.counter_id = f.counter_id AND c.counted_at = f.target_at
  LEFT JOIN `{project}.bike_traffic_raw.counts` w
    ON w.counter_id = f.counter_id AND w.counted_at = TIMESTAMP_SUB(f.target_at, INTERVAL 168 HOUR)
    AND w.quality IS NULL AND w.counted_at > TIMESTAMP('2000-01-01')
  WHERE f.target_at > TIMESTAMP('2000-01-01') AND c.counted_at > TIMESTAMP('2000-01-01')
    AND c.quality IS NULL AND f.lead_day < 3 AND f.hours_known IS NULL AND {where}
)
SELECT
  COUNT(*) AS pairs,
  1 - SUM(POW(counted - predicted, 2)) / NULLIF(SUM(POW(counted - mean_counted, 2)), 0) AS r2,
  SQRT(AVG(POW(counted - predicted, 2))) AS rmse,
  1 - SQRT(AVG(IF(week_before IS NULL, NULL, POW(counted - predicted, 2))))
    / NULLIF(SQRT(AVG(POW(counted - week_before, 2))), 0) AS skill,
  AVG(IF(counted BETWEEN lower AND upper, 1.0, 0.0)) AS coverage
FROM pairs CROSS JOIN (SELECT AVG(counted) AS mean_counted FROM pairs) AS m
"""


def collect_summary(
    stack: dict[str, Any], audit: AuditReader, *, days: int, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Return the summary as JSON's types; unknown figures are null, never 0."""
    project = stack["project"]
    client = google_clients.bigquery_client(project, stack["location"])

    def score(where: str) -> dict[str, Any]:
        sql = _SCORES.format(project=project, where=where)
        row = dict(next(iter(client.query(sql, timeout=60).result(timeout=60))).items())
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}

    champion, _ = read_champion(Objects(project, f"{project}-models"))
    ingested = [details_of(r) for r in audit.rows("event_type = 'INGESTION'")]
    predicted = [details_of(r) for r in audit.rows("event_type = 'PREDICTION'")]
    return {
        "city": stack["city"],
        "days": days,
        "rows_ingested": sum(d.get("inserted", 0) for d in ingested),
        "rows_corrected": sum(d.get("updated", 0) for d in ingested),
        "rows_rejected": sum(d.get("rejected", 0) for d in ingested),
        "weather": {
            "rows_ingested": sum((d.get("weather") or {}).get("inserted", 0) for d in ingested),
            "sources": sorted(
                {s for d in ingested for s in (d.get("weather") or {}).get("sources", ())}
            ),
        },
        "forecasts": sum(d.get("forecasts", 0) for d in predicted),
        "champion": _champion_card(champion, score),
        "forecasts_scored": score("f.model_version > 0"),
        "drift_share": _last(audit, "DRIFT", "drift_share"),
        "retrain_decisions": _tally(audit, "VALIDATION", "retrain_decision"),
        "deployment_decisions": _tally(audit, "DEPLOYMENT", "deployment_decision"),
        "messages": len(
            httpx.get(f"{stack['url']}/discord/messages", timeout=10).json()["messages"]
        ),
        "seconds": {part: round(value, 1) for part, value in seconds.items()},
    }


def _champion_card(
    champion: Champion | None, score: Callable[[str], dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the champion with its scores on unseen rows: its own forecasts once counted, else test_current."""
    if champion is None:
        return None
    card = {"version": champion.version, "kind": champion.kind, "run_id": champion.run_id}
    live = score(f"f.model_version = {champion.version}")
    if live["pairs"]:
        return card | live | {"scored_on": "its own forecasts, once counted"}
    judged = {k: champion.metrics[f"current_{k}"] for k in ("r2", "rmse", "skill", "coverage")}
    return card | judged | {"scored_on": "test_current, before its final refit"}


def _last(audit: AuditReader, event_type: str, column: str) -> Any:
    rows = audit.rows(f"event_type = '{event_type}'")
    known = [row[column] for row in rows if row[column] is not None]
    return known[-1] if known else None


def _tally(audit: AuditReader, event_type: str, column: str) -> dict[str, int]:
    rows = audit.rows(f"event_type = '{event_type}'")
    return dict(Counter(row[column] for row in rows if row[column]))


def summary_table(summary: dict[str, Any]) -> Table:
    """Return the summary as a table that fits into 80 columns."""
    table = Table(
        title=f"Velocast demo: {summary['city']}, {summary['days']} days", show_header=False
    )
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _lines(summary):
        table.add_row(name, value)
    return table


def _lines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    champion, scored, drift = (summary[k] for k in ("champion", "forecasts_scored", "drift_share"))
    ingested, corrected, rejected = (
        f"{summary[f'rows_{k}']:,} {k}" for k in ("ingested", "corrected", "rejected")
    )
    lines = [
        ("Counts", f"{ingested}, {corrected}, {rejected}"),
        ("Forecasts", f"{summary['forecasts']:,} made, {scored['pairs']:,} compared with counts"),
        ("", _figures(scored)),
    ]
    if champion:
        lines += [
            ("Champion", f"version {champion['version']} ({champion['kind']})"),
            ("", f"{_figures(champion)} on {champion['scored_on']}"),
        ]
    return [
        *lines,
        *_fault_lines(summary["fault"]),
        ("Drift", "unknown" if drift is None else f"in {drift:.0%} of the columns"),
        ("Weekly checks", _counted(summary["retrain_decisions"], RETRAINING)),
        ("Trained models", _counted(summary["deployment_decisions"], DEPLOYED)),
        ("Discord messages", str(summary["messages"])),
        ("First forecast", f"{summary['first_forecast_seconds']:,.0f} s after the start"),
        ("City", f"{summary['time_zone']}, {summary['licence'] or 'no licence known'}"),
        ("Seconds", f"{sum(summary['seconds'].values()):,.0f} in all"),
        ("", ", ".join(f"{k} {v:,.0f}" for k, v in summary["seconds"].items())),
    ]


def _fault_lines(fault: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return the story of the injected fault in words; nothing without one."""
    if fault is None:
        return []
    told = fault["messages"]
    lines = [f"“{fault['counter_name']}”", f"died on {_day(fault['since'])}"]
    if fault["found_on_day"] is None:
        return [("Injected fault", f"{lines[0]} {lines[1]}; it was not found")]
    lines.append(
        f"found on day {fault['found_on_day']}, after {fault['hours_until_found']} hours; "
        + ("one message named it" if told["found"] == 1 else f"{told['found']} messages named it")
    )
    lines.append(
        f"{fault['hours_marked']} of its {fault['hours']} hours marked, and not learned from"
    )
    lines.append(
        f"{fault['hours_rebuilt']} rebuilt: {fault['bikes_rebuilt']:,} bikes; "
        f"{fault['bikes_hidden']:,} really passed"
    )
    if fault["closed_on_day"] is None:
        lines.append("its end was not found")
    else:
        said = "this was reported, too" if told["over"] == 1 else f"{told['over']} messages"
        lines.append(f"counts again since {_day(fault['until'])}")
        lines.append(f"closed on day {fault['closed_on_day']}; {said}")
    if told["others"]:
        lines.append(f"{told['others']} other messages about faults")
    return [("Injected fault" if not n else "", line) for n, line in enumerate(lines)]


def _day(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%a %d %b, %H:%M}"


def _figures(scores: dict[str, Any]) -> str:
    named = (
        ("R2", "r2", 3),
        ("RMSE", "rmse", 1),
        ("skill", "skill", 2),
        ("coverage", "coverage", 2),
    )
    return ", ".join(
        f"{name} {scores[key]:.{digits}f}" if scores.get(key) is not None else f"{name} unknown"
        for name, key, digits in named
    )


def _counted(tally: dict[str, int], words: Mapping[str, str]) -> str:
    return (
        ", ".join(f"{count} × {words.get(name, name)}" for name, count in tally.items()) or "none"
    )
