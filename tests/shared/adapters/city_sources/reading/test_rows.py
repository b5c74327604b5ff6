"""The text of a table's rows, as it is kept for those that are put aside."""

from __future__ import annotations

import json

import pandas as pd

from velocast.adapters.city_sources.reading.rows import rows_as_json


def test_the_text_of_a_row_is_what_json_writes_of_it() -> None:
    frame = pd.DataFrame(
        {
            "text": ["a", 'quote " and é', "a", None],
            "count": [1, 2, 1, 1],
            "share": [0.1, float("nan"), 1e-9, 0.1],
            "mixed": pd.Series([1, 1.0, True, "1"], dtype=object),
            "at": pd.Series(["2025-03-01", "2025-03-01", None, "2025-03-02"], dtype="datetime64[us]"),
        }
    )  # fmt: skip
    plain = frame.astype(object).where(frame.notna(), None)
    expected = [
        json.dumps(row, ensure_ascii=False, default=lambda value: value.isoformat())
        for row in plain.to_dict("records")
    ]
    assert [line.decode() for line in rows_as_json(frame)] == expected
