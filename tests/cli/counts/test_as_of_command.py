"""`velocast counts as-of`, as it is typed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.shared.usecases import small_city
from velocast.core.datetimes import rfc3339
from velocast_cli.main import app

THEN = small_city.AS_OF - timedelta(days=5)


def say(*words: str) -> Any:
    done = CliRunner().invoke(app, ["counts", "as-of", *words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in words else done.stdout


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_counts_are_those_that_were_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))
    city = small_city.make(days=20)
    small_city.store(city[city["counted_at"] < THEN - timedelta(days=1)], ingested_at=THEN)
    counter = min(city["counter_id"])
    corrected = city["counter_id"].eq(counter) & city["counted_at"].lt(THEN - timedelta(days=9))
    later = city.assign(bike_count=city["bike_count"] + 7 * corrected)
    small_city.deliver(later, at=small_city.AS_OF)

    file = tmp_path / "known.parquet"
    known = say(rfc3339(THEN), "--rows", str(file), "--json")

    expected = city[city["counted_at"] < THEN - timedelta(days=1)]
    columns = ["counter_id", "counted_at", "bike_count"]
    wanted = expected[columns].sort_values(columns[:2], ignore_index=True)
    found = pd.read_parquet(file)
    assert (found["ingested_at"] == THEN).all()
    pd.testing.assert_frame_equal(found[columns], wanted, check_dtype=False)
    assert known == {
        "as_of": rfc3339(THEN),
        "counters": 4,
        "hours": len(expected),
        "unusable": 0,
        "bikes": expected["bike_count"].sum(),
        "first_hour": rfc3339(expected["counted_at"].min()),
        "last_hour": rfc3339(expected["counted_at"].max()),
        "changed_later": int(corrected.sum()),
        "learned_later": 4 * 24,
        "rows": str(file),
    }
    now = say("2025-03-11", "--json", "--counter", counter, "--until", rfc3339(THEN))
    mine = later[later["counter_id"].eq(counter) & (later["counted_at"] < THEN)]
    assert (now["hours"], now["bikes"]) == (len(mine), mine["bike_count"].sum())
    assert (now["changed_later"], now["learned_later"], now["rows"]) == (0, 0, None)
    text = " ".join(say(rfc3339(THEN)).split())
    assert f"{len(expected):,} hours of 4 counters" in text
    assert f"since then: {corrected.sum():,} of these hours changed, 96 arrived" in text
    assert "nothing was known" in say("2025-01-01")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["2025-03-40"], "2025-03-40"),
        (["2025-03-10", "--since", "2025-03-10"], "is not before until"),
        (["2025-03-10", "--rows", "no/such/folder/x.parquet"], "there is no folder no/such/folder"),
    ],
)
def test_what_cannot_be_asked_is_refused(words: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["counts", "as-of", *words])
    assert done.exit_code == 1
    assert message in done.output
