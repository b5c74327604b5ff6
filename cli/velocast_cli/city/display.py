"""Tables of `city new` and `city check`, for a terminal of 80 columns."""

from __future__ import annotations

import sys
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from velocast.core.city import City
from velocast.core.city.reading import ISO, Long, Wide
from velocast_cli.city.summary import Summary

PIPE_COLUMNS = 80
REASONS = {
    "missing_count": "no count",
    "unreadable_count": "the count is not a number",
    "negative_count": "the count is below 0",
    "fractional_count": "the count is a fraction",
    "absurd_count": "the count is above what is credible",
    "missing_time": "no time",
    "unreadable_time": "the time cannot be read",
    "absurd_time": "the time is before 1990",
    "not_on_the_hour": "the time is not the start of an interval",
    "future_hour": "the hour is not over yet",
    "conflicting_duplicate": "contradicting counts of one counter and time",
    "nonexistent_hour": "a count at a time that the clock skips",
    "not_on_the_step": "the time is not the start of an interval",
    "missing_id": "no counter",
    "unreadable_id": "the counter's id cannot be read",
    "not_json": "not JSON",
    "not_a_record": "not a row",
}


def console(*, error: bool = False) -> Console:
    """Return a console; in a file or a pipe it is 80 columns wide."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else PIPE_COLUMNS
    return Console(stderr=error, highlight=False, width=width)


def city_table(city: City, summary: Summary, notes: list[tuple[str, str]]) -> RenderableType:
    """Return what was understood: the description's figures, then those of its counts. notes: further (name, value)."""
    table = Table(
        title=escape(city.name),
        title_justify="left",
        box=box.SIMPLE,
        show_header=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("what", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in [*_described(city), *notes, *_counted(summary)]:
        table.add_row(name, escape(value))
    parts: list[RenderableType] = [table]
    if summary.rows:
        parts.append(_rows(summary))
    if summary.rejects:
        parts.append(_rejects(summary))
    return Group(*parts)


def _described(city: City) -> list[tuple[str, str]]:
    counts = city.counts
    layout, clock = counts.layout, counts.clock
    time = " + ".join(repr(c) for c in layout.time.columns)
    if layout.time.gap_column:
        time += f" and interval {layout.time.gap_column!r}"
    formats = "ISO 8601" if layout.time.format == (ISO,) else ", ".join(layout.time.format)
    said = [
        (
            "layout",
            {
                "long": "one row per counter and time",
                "wide": "one row per time, one column per counter",
            }.get(layout.shape, "one row per counter and day, hours as columns"),
        ),
        (
            "time",
            f"{time}, as {formats}"
            + (", the end of the interval" if layout.time.marks == "end" else ""),
        ),
    ]
    if isinstance(layout, Long):
        said.append(
            (
                "counts",
                " + ".join(
                    v.column + (f" (else {v.instead_of})" if v.instead_of else "")
                    for v in layout.values
                ),
            )
        )
        if layout.same_time == "add":
            said.append(("same time", "rows of one counter and time are added up"))
    elif isinstance(layout, Wide) and layout.pattern:
        said.append(("counters", f"columns that match {layout.pattern}"))
    said += [("kept", f"{k.column} is {' or '.join(k.only)}") for k in layout.keep]
    if layout.status:
        said.append(
            (
                "status",
                f"{layout.status.column}: good is {', '.join(v or 'blank' for v in layout.status.usable)}",
            )
        )
    step = f"{counts.step_minutes} minutes" + (
        "" if counts.step_minutes == 60 else ", added up to hours"
    )
    meaning = {
        "offset": "each time has its offset",
        "utc": "times are UTC",
        "local": f"times are those of {city.time_zone}",
    }
    said += [("step", step), ("clock", meaning[clock.times])]
    if clock.times == "local":
        said.append(
            (
                "changes",
                f"skipped hour in spring: {clock.missing_hour}; repeated hour in autumn: {clock.repeated_hour}",
            )
        )
    return said


def _counted(summary: Summary) -> list[tuple[str, str]]:
    ids = ", ".join(summary.counter_ids[:6]) + (", ..." if summary.counters > 6 else "")
    said = [
        ("counters", f"{summary.counters}: {ids}" if summary.counters else "none"),
        ("hours", f"{summary.hours:,} from {summary.records:,} records"),
        ("range", f"{summary.first} to {summary.last}" if summary.first else "none"),
        ("missing hours", f"{summary.missing_hours:,}"),
        ("doubles", f"{summary.doubles:,} equal records"),
    ]
    if summary.blank:
        said.append(("blank", f"{summary.blank:,} cells without a count"))
    if summary.left_out:
        said.append(("not kept", f"{summary.left_out:,} records"))
    if set(summary.quality) - {"good"}:
        said.append(("quality", ", ".join(f"{n:,} {name}" for name, n in summary.quality.items())))
    spikes = ", ".join(
        f"{s['bike_count']:,} at {s['counter_id']} on {s['counted_at']}"
        for s in summary.suspicious[:3]
    )
    said.append(("suspicious", f"{len(summary.suspicious)}: {spikes}" if spikes else "none"))
    if summary.unknown_columns:
        said.append(("not described", ", ".join(map(repr, summary.unknown_columns[:6]))))
    said += [("left out", f"{place}: {why}") for place, why in list(summary.aside.items())[:5]]
    return said


def _rows(summary: Summary) -> Table:
    table = Table(
        title="rows as they are stored", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0)
    )
    table.add_column("counter_id", overflow="ellipsis", no_wrap=True, max_width=26)
    table.add_column("counted_at (UTC)", no_wrap=True)
    table.add_column("local", no_wrap=True)
    table.add_column("bike_count", justify="right")
    quality = any(row["quality"] for row in summary.rows)
    if quality:
        table.add_column("quality", no_wrap=True)
    for row in summary.rows:
        cells = [
            escape(row["counter_id"]),
            row["counted_at"][:16],
            row["local"][5:16],
            str(row["bike_count"]),
        ]
        table.add_row(*cells, *([row["quality"] or ""] if quality else []))
    return table


def _rejects(summary: Summary) -> Table:
    table = Table(
        title="records put aside", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0)
    )
    shown = [REASONS.get(each.reason, each.reason) for each in summary.rejects]
    table.add_column("records", justify="right", min_width=7)
    table.add_column("reason", min_width=max(map(len, shown)))
    table.add_column("for example", overflow="ellipsis", no_wrap=True)
    for each, reason in zip(summary.rejects, shown, strict=True):
        table.add_row(f"{each.records:,}", reason, escape(_one_line(each.samples)))
    return table


def _one_line(samples: tuple[str, ...]) -> Any:
    return " ".join((samples or ("",))[0].split())
