"""Counts under the counter to whose history they belong: `sql/counter_histories.sql` for data frames."""

from __future__ import annotations

from typing import Any

import pandas as pd

from velocast.core.city import Histories

KEY = ["counter_id", "counted_at"]


def under_histories(counts: pd.DataFrame, histories: Histories) -> pd.DataFrame:
    """Return the counts by history, in no particular order; the same frame where nothing is continued or added up.

    counts: counter_id (text), counted_at (UTC), bike_count, quality and any columns whose largest value a sum has.
    A counter that is continued no longer appears. A counter that continues it has its predecessor's hours and, of its
    own, only those from the day of the change on. An hour of a sum exists where all its parts do, and is usable where
    all of them are.
    """
    if not histories:
        return counts
    terms = pd.DataFrame(histories.terms).rename(columns={"counter_id": "history"})
    parts = counts[counts["counter_id"].isin(set(terms["part_id"]))]
    found = parts.merge(terms, left_on="counter_id", right_on="part_id")
    inside = (found["counted_at"] >= found["since"]) & (found["counted_at"] < found["until"])
    found = found[inside].drop(columns="counter_id").rename(columns={"history": "counter_id"})
    found = found[[*counts.columns, "parts"]]
    single = found["parts"] == 1
    made = [
        counts[~counts["counter_id"].isin(histories.affected)],
        found[single].drop(columns="parts"),
        _added(found[~single]),
    ]
    return pd.concat([each for each in made if len(each)] or [counts.iloc[:0]], ignore_index=True)


def forecasts_under_histories(forecasts: pd.DataFrame, histories: Histories) -> pd.DataFrame:
    """Return forecasts with those of a continued counter under the counter that continues it, up to that day.

    forecasts: counter_id, target_at (UTC) and any others. Forecasts of a sum are its own, never its parts' added up:
    intervals do not add up.
    """
    if not histories or forecasts.empty:
        return forecasts
    terms = pd.DataFrame(histories.terms).rename(columns={"counter_id": "history"})
    terms = terms[(terms["parts"] == 1) & ~terms["part_id"].isin(list(histories.sums))]
    found = forecasts.merge(terms, left_on="counter_id", right_on="part_id")
    inside = (found["target_at"] >= found["since"]) & (found["target_at"] < found["until"])
    found = found[inside & (found["history"] != found["counter_id"])]
    renamed = found.assign(counter_id=found["history"])[list(forecasts.columns)]
    own = forecasts[~forecasts["counter_id"].isin(list(histories.ended))]
    both = pd.concat([own, renamed], ignore_index=True) if len(renamed) else own
    return both.drop_duplicates(["counter_id", "target_at"], ignore_index=True)


def _added(found: pd.DataFrame) -> pd.DataFrame:
    """Return the sums of the hours that have all their parts."""
    columns = [name for name in found.columns if name != "parts"]
    if found.empty:
        return found[columns]
    by: dict[str, Any] = {name: (name, "max") for name in columns if name not in KEY}
    by["bike_count"] = ("bike_count", "sum")
    if "quality" in by:
        by["quality"] = ("quality", _worst)
    added = found.groupby([*KEY, "parts"], as_index=False, sort=False).agg(
        **by, counted=("bike_count", "size")
    )
    whole: pd.DataFrame = added.loc[added["counted"] == added["parts"], columns]
    return whole


def _worst(qualities: pd.Series[str]) -> str | None:
    """Return the last quality in the alphabet, as SQL's MAX does; None where all counts are usable."""
    given = qualities.dropna()
    return None if given.empty else str(given.max())
