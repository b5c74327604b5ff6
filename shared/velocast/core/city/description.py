"""The description of a city: where it is, where its counts come from, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, Field, field_validator, model_validator

from velocast.core.city.area import BoundingBox
from velocast.core.city.events import PlannedEvent
from velocast.core.city.histories import (
    ListedContinuation,
    ListedSite,
    VirtualSum,
    histories_of,
    listed_continuations,
)
from velocast.core.city.messages import Messages
from velocast.core.city.reading import ClockConvention, CounterFields, FileFormat, Layout, Strict
from velocast.core.city.sources import Source
from velocast.core.errors import SettingsError

LONGEST_SCHOOL_HOLIDAYS = 120  # days, in any country


class MapTiles(Strict):
    """A source of map tiles for the page, in Web Mercator. Its server sees the address of every reader."""

    url: str = Field(
        description="Address of a tile with {z}, {x} and {y}.",
        pattern=r"^https?://[^\s'\";,]+\{z\}[^\s'\";,]*$",
    )
    attribution: str
    attribution_url: str | None = None
    max_zoom: int = Field(19, ge=1, le=22)

    @field_validator("url")
    @classmethod
    def _names_a_tile(cls, url: str) -> str:
        missing = [part for part in ("{z}", "{x}", "{y}") if part not in url]
        if missing:
            raise ValueError(
                f"{url!r} lacks {' and '.join(missing)}; write them where the tile's numbers go"
            )
        return url


class WeatherConfig(Strict):
    """The source of the city's weather, read for one point (degrees, WGS 84). Default: Open-Meteo's free API."""

    adapter: Literal["open_meteo"] = "open_meteo"
    latitude: float
    longitude: float
    forecast_base_url: str = "https://api.open-meteo.com"
    previous_runs_base_url: str = "https://previous-runs-api.open-meteo.com"
    licence: str = "CC BY 4.0"
    licence_url: str = "https://creativecommons.org/licenses/by/4.0/"
    attribution: str = "Weather data by Open-Meteo.com"
    attribution_url: str = "https://open-meteo.com/"


class Counts(Strict):
    """Where counts come from and how they are read."""

    source: Source | None = None
    file: FileFormat = FileFormat()
    layout: Layout
    clock: ClockConvention
    step_minutes: int = Field(60, description="Minutes of one record: a divisor of 60.")

    @field_validator("step_minutes")
    @classmethod
    def _divides_the_hour(cls, minutes: int) -> int:
        if minutes >= 1440:
            raise ValueError(
                f"{minutes} minutes: daily totals cannot be forecast hour by hour; ask the city for hourly counts"
            )
        if minutes < 1 or 60 % minutes:
            raise ValueError(f"{minutes} minutes are no divisor of an hour; choose 5, 15, 30 or 60")
        return minutes


class ListedCounter(Strict):
    """A counter that the city's file describes itself."""

    id: str
    name: str | None = None
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class Counters(Strict):
    """Where names and places of counters come from, if not from the counts themselves."""

    source: Source | None = None
    file: FileFormat = FileFormat()
    fields: CounterFields | None = None
    listed: tuple[ListedCounter, ...] = ()

    @model_validator(mode="after")
    def _fields_of_the_source(self) -> Self:
        if self.source is not None and self.fields is None:
            raise ValueError(
                "counters has a source, so it needs fields: the columns of id, name and place"
            )
        return self


class Verified(Strict):
    """How a description was checked: against real files, or against the portal's documented answers."""

    by: Literal["file", "docs"]
    source: str


def _read_already(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(
            f"{value!r} is a file, which is read with a city's file only; give the list"
        )
    return value


class City(Strict):
    """One city. Only its name, its clock and the layout of its counts must be described."""

    name: str
    time_zone: str = Field(description="IANA name, such as Europe/Paris.")
    holidays: str | None = Field(
        None,
        description="ISO 3166 code of the holiday calendar, such as FR or DE-BE. None: no holidays.",
    )
    school_holidays: tuple[tuple[str, str], ...] = Field(
        (),
        description="First and last day (ISO 8601) of each of the school holidays that are known: those of the years "
        "with counts, and those to come.",
    )
    bounding_box: BoundingBox | None = None
    largest_credible_count: int | None = Field(
        None,
        gt=0,
        description="A count above this in an hour is rejected. Default: learned from each counter.",
    )
    kept_months: int | None = Field(
        None, description="How many months the city's data set reaches back. None: not known."
    )
    licence: str | None = None
    licence_url: str | None = None
    attribution: str | None = None
    attribution_url: str | None = None
    language: Literal["en", "fr", "de"] | None = Field(
        None,
        description="Language of messages, and of the page for readers of none of its languages. Default: English.",
    )
    map_tiles: MapTiles | None = Field(
        None, description="Streets under the map. None: a quiet background, and no third party."
    )
    counts: Counts
    counters: Counters = Counters()
    weather: WeatherConfig | None = None
    messages: Messages = Messages()
    events: Annotated[
        tuple[PlannedEvent, ...],
        BeforeValidator(_read_already, json_schema_input_type=str | tuple[PlannedEvent, ...]),
    ] = Field(
        (),
        description="Events and closures: a CSV beside the city's file, a gs:// address of one, or the list itself.",
    )
    continuations: tuple[ListedContinuation, ...] = Field(
        (), description="Counters that continue others: replaced, moved, renamed, merged or split."
    )
    sums: tuple[VirtualSum, ...] = Field(
        (), description="Sums of counters, forecast and shown as counters, in no total of the city."
    )
    within_day: tuple[Annotated[int, Field(ge=1, le=23)], ...] = Field(
        (),
        description="Local hours, such as [10, 12, 15]: as soon as the day's counts until one of them are known, the "
        "rest of the day is forecast again. Useful where counts come within hours. Default: forecasts from midnight "
        "only.",
    )
    sites: tuple[ListedSite, ...] = Field(
        (), description="Counters of one place, where ids, names and places do not say so."
    )
    verified: Verified | None = None

    @model_validator(mode="after")
    def _counts_no_hour_twice(self) -> Self:
        try:
            histories_of(listed_continuations(self.continuations, self.zone), self.sums)
        except SettingsError as exc:
            raise ValueError(str(exc)) from exc
        named = [counter for site in self.sites for counter in site.counters]
        twice = sorted({counter for counter in named if named.count(counter) > 1})
        if twice:
            raise ValueError(
                f"sites: {', '.join(twice)} would be at two sites; name each counter once"
            )
        return self

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError) as exc:
            raise ValueError(
                f"{name!r} is no time zone{_nearest(name, available_timezones())}; give an IANA name like Europe/Paris"
            ) from exc
        return name

    @field_validator("holidays")
    @classmethod
    def _known_holidays(cls, name: str | None) -> str | None:
        if name is None:
            return None
        try:
            holidays = import_module("holidays")
        except ModuleNotFoundError:
            return name  # the functions that use no holidays do not install the package

        code, _, subdivision = name.partition("-")
        known = holidays.list_supported_countries(include_aliases=False)
        if code not in known:
            raise ValueError(
                f"{name!r} is no holiday calendar{_nearest(code, known)}; give an ISO 3166 code like FR or DE-BE"
            )
        if subdivision:
            try:
                holidays.country_holidays(code, subdiv=subdivision)
            except NotImplementedError as exc:
                named = [f"{code}-{part}" for part in known[code]]
                raise ValueError(
                    f"{name!r}: {code} has no subdivision {subdivision}{_nearest(name, named)}; "
                    f"choose from {', '.join(named) or 'none'}"
                ) from exc
        return name

    @field_validator("school_holidays", mode="before")
    @classmethod
    def _days_as_text(cls, spans: Any) -> Any:
        if not isinstance(spans, list | tuple):
            return spans
        return [
            [day.isoformat() if isinstance(day, date) else day for day in span]  # as YAML reads it
            if isinstance(span, list | tuple)
            else span
            for span in spans
        ]

    @field_validator("school_holidays")
    @classmethod
    def _known_days(cls, spans: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for first, last in spans:
            for day in (first, last):
                try:
                    date.fromisoformat(day)
                except ValueError:
                    raise ValueError(f"{day!r} is no date; write it like 2025-07-14") from None
            length = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
            if not 1 <= length <= LONGEST_SCHOOL_HOLIDAYS:
                raise ValueError(
                    f"from {first} to {last} there are {length} days; give the first and the last day of one holiday, "
                    f"at most {LONGEST_SCHOOL_HOLIDAYS} days"
                )
        return spans

    @property
    def zone(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.time_zone)


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that names the known name nearest to a wrong one, or nothing where none is near."""
    by_case = {each.casefold(): each for each in known}
    found = get_close_matches(name.casefold(), by_case, n=1)
    return f" (did you mean {by_case[found[0]]}?)" if found else ""
