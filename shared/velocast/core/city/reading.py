"""How a city's records are read: the file's format, the layout of its columns, its clock and its step."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ISO = "iso"
MISSING_MARKS = ("", "-", "--", "na", "n/a", "nan", "null", "none", ".")  # in any case


class Strict(BaseModel):
    """A part of a city's file: it cannot be changed, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: Any) -> Any:
    """Accept one value where a list is asked for."""
    return [value] if isinstance(value, str) else value


ONE_OR_MORE = BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])
Names = Annotated[tuple[str, ...], ONE_OR_MORE, Field(min_length=1)]


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"{text!r} is no regular expression: {exc}") from exc
    return text


Pattern = Annotated[str, BeforeValidator(_regex)]


class FileFormat(Strict):
    """What a file looks like inside. Whatever is not said is found by looking; zip and gz are always unpacked."""

    kind: Literal["csv", "json_lines", "json", "parquet", "xlsx"] | None = None
    delimiter: str | None = Field(None, description="What separates the columns of a CSV.")
    encoding: str | None = Field(None, description="Encoding of the text, such as utf-8 or cp1252.")
    header_line: int | None = Field(
        None, ge=1, description="The line with the column names; lines above it are titles."
    )
    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    missing: tuple[str, ...] = Field(
        MISSING_MARKS, description="Texts that mean that there is no count, in any case."
    )
    sheet: Pattern | None = Field(
        None,
        description="Regular expression of the sheets of an XLSX that hold counts. Default: the first.",
    )
    records: str | None = Field(
        None, description="Where the list of records is in a JSON document, such as results."
    )


class Time(Strict):
    """When a record was counted."""

    columns: Names = Field(description="One column, or several that are joined with a space.")
    format: Names = Field(
        (ISO,),
        description="iso, epoch_s, epoch_ms, or formats as for Python's strptime, tried in their order.",
    )
    marks: Literal["start", "end"] = Field(
        "start",
        description="Whether the time is that of the start or the end of the counted interval.",
    )
    gap_column: str | None = Field(
        None,
        description="A column with the number of the interval in its day, for instance 1 to 96.",
    )
    first_gap: int = 1


class CounterFields(Strict):
    """The columns that describe a counter."""

    id: Names | None = Field(None, description="One column, or several that are joined with '-'.")
    from_path: Pattern | None = Field(
        None,
        description="Regular expression with a group `id`, for a file a counter: read from the file's path.",
    )
    constant: str | None = Field(
        None, description="The only counter of a file that does not name it."
    )
    name: str | None = None
    site_id: str | None = None
    site_name: str | None = None
    installed_on: str | None = None
    position: str | None = Field(
        None,
        description="A column with both coordinates: an object, GeoJSON, WKT or 'latitude,longitude'.",
    )
    latitude: str | None = None
    longitude: str | None = None
    crs: str = Field("EPSG:4326", description="The reference system of the coordinates.")

    @model_validator(mode="after")
    def _one_source_of_the_id(self) -> Self:
        given = [n for n in ("id", "from_path", "constant") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give one of id, from_path and constant, not {', '.join(given) or 'none'}"
            )
        return self


class Value(Strict):
    """A column with counts. Values of one record are added up, unless they have a suffix: then each is a counter."""

    column: str
    suffix: str | None = Field(
        None, description="Makes this a counter of its own: '<id>-<suffix>'."
    )
    name: str | None = Field(
        None, description="What is added to the counter's name, such as northbound."
    )
    instead_of: str | None = Field(
        None, description="A column that this one corrects: it is used wherever it has a value."
    )
    factor: str | None = Field(
        None, description="A column with a factor by which the count is multiplied."
    )


class Keep(Strict):
    """Records to keep, by the value of a column, such as a travel mode. All others are left out and counted."""

    column: str
    only: Names


class Status(Strict):
    """A column in which the city says how good a count is.

    A count with another value than those listed is stored as flagged: neither learned from nor scored.
    """

    column: str = Field(
        description="A column; in a wide file a regular expression with a group `id`."
    )
    usable: Annotated[tuple[str, ...], ONE_OR_MORE] = ("",)
    incomplete: Annotated[tuple[str, ...], ONE_OR_MORE] = ()


class _Layout(Strict):
    time: Time
    also_called: dict[str, Names] = Field(
        default_factory=dict,
        description="Other headings under which a column is published, for instance in a downloaded file.",
    )
    ignore: Annotated[tuple[Pattern, ...], ONE_OR_MORE] = Field(
        (), description="Regular expressions of columns that are known and not needed."
    )
    keep: tuple[Keep, ...] = ()
    status: Status | None = None


class Long(_Layout):
    """A row a counter and time."""

    shape: Literal["long"] = "long"
    counter: CounterFields
    values: tuple[Value, ...] = Field(min_length=1)
    same_time: Literal["refuse", "add"] = Field(
        "refuse",
        description="Several rows of one counter and time: parallel flows to be added up, or a contradiction.",
    )


class WideCounter(Strict):
    """A counter that is a column, or several columns that are added up."""

    columns: Names
    id: str
    name: str | None = None


class Wide(_Layout):
    """A row a time, a column a counter. Without counters and pattern every remaining column is a counter."""

    shape: Literal["wide"] = "wide"
    counters: tuple[WideCounter, ...] | None = None
    pattern: Pattern | None = Field(
        None,
        description="Regular expression of the counters' whole headings, with a group `id` and perhaps `name`. "
        "Columns with the same id are added up.",
    )


class HoursAsColumns(_Layout):
    """A row a counter and day, with its hours as columns. `time` is the day."""

    shape: Literal["hours_as_columns"] = "hours_as_columns"
    counter: CounterFields
    hours: Pattern = Field(
        r"^(?:h|hour_?)?(?P<hour>\d{1,2})$",
        description="Regular expression of the hours' columns, with a group `hour`.",
    )
    first_hour: Literal[0, 1] = Field(
        0, description="The number of the hour that begins at midnight."
    )
    same_time: Literal["refuse", "add"] = "refuse"


Layout = Annotated[Long | Wide | HoursAsColumns, Field(discriminator="shape")]


class ClockConvention(Strict):
    """What the times of a city mean, and what it publishes when clocks change."""

    times: Literal["offset", "utc", "local"] = Field(
        description="offset: each time has its offset; utc: none has, all are UTC; local: those of the city's clock."
    )
    missing_hour: Literal["absent", "blank", "zero"] = Field(
        "absent",
        description="The hour that the clock skips in spring: not in the file, without a count, or with 0.",
    )
    repeated_hour: Literal["absent", "blank", "zero", "merged", "once", "twice"] = Field(
        "merged",
        description="The hour that the clock repeats in autumn: not in the file, without a count, with 0, "
        "both in one row, only one of the two, or two rows in order.",
    )
