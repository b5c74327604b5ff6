"""Table schemas: the Arrow schema of a table follows from the JSON file that Terraform reads too."""

import pyarrow as pa
import pytest

from velocast.core import schemas

UTC = pa.timestamp("us", tz="UTC")


def test_arrow_has_a_tables_columns_in_their_order() -> None:
    assert schemas.arrow(schemas.COUNTS) == pa.schema(
        [
            ("counter_id", pa.string()),
            ("counted_at", UTC),
            ("bike_count", pa.int64()),
            ("quality", pa.string()),
            ("ingested_at", UTC),
        ]
    )


def test_arrow_takes_columns_in_the_order_asked_for() -> None:
    asked = ("installed_on", "latitude", "counter_id")
    assert schemas.arrow(schemas.COUNTERS, asked) == pa.schema(
        [("installed_on", pa.date32()), ("latitude", pa.float64()), ("counter_id", pa.string())]
    )


def test_arrow_refuses_a_column_that_the_table_lacks() -> None:
    with pytest.raises(KeyError, match="bikes"):
        schemas.arrow(schemas.COUNTS, ["counter_id", "bikes"])


@pytest.mark.parametrize("name", schemas.TABLES)
def test_every_table_has_an_arrow_schema(name: str) -> None:
    assert tuple(schemas.arrow(name).names) == schemas.table(name).columns


def test_documents_are_what_terraform_reads() -> None:
    documents = schemas.documents()
    assert tuple(documents) == schemas.TABLES
    assert [f["name"] for f in documents[schemas.LOGS]["fields"]] == list(
        schemas.table(schemas.LOGS).columns
    )
