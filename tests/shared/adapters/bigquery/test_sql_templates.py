"""The parameters of a statement."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pytest

from tests.shared.adapters.bigquery.stored_counts import (
    FIRST,
)
from velocast.adapters.bigquery import sql_templates
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.errors import WarehouseError


def test_parameters_have_the_types_of_their_values(store, sql):
    sql["q"] = (
        "SELECT @text AS text, @number + 1 AS number, @share AS share, @yes AS yes, @moment AS moment,"
        " @day AS day, ARRAY_LENGTH(@days) AS days, ARRAY_LENGTH(@ids) AS ids, 'b' IN UNNEST(@names) AS has_b"
    )
    frame = store.query(
        "q",
        text="x",
        number=1,
        share=0.5,
        yes=True,
        moment=FIRST,
        day=date(2026, 3, 1),
        days=[date(2026, 3, 1), date(2026, 3, 2)],
        ids=Empty("STRING"),
        names=("a", "b"),
    )
    assert frame.to_dict("records") == [
        {
            "text": "x",
            "number": 2,
            "share": 0.5,
            "yes": True,
            "moment": pd.Timestamp(FIRST),
            "day": date(2026, 3, 1),
            "days": 2,
            "ids": 0,
            "has_b": True,
        }
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "@p is an empty list.*pass Empty"),
        (None, "@p: NoneType None cannot be a BigQuery parameter"),
        (datetime(2026, 3, 1), "@p: 2026-03-01 00:00:00 has no zone"),
        (object, "cannot be a BigQuery parameter"),
    ],
)
def test_a_parameter_without_a_type_is_refused(value: object, message: str):
    with pytest.raises(WarehouseError, match=message):
        sql_templates.query_parameters({"p": value})
