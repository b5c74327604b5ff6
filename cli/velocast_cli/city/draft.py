"""The city's file: the description of what was understood and answered, with comments."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

from velocast.core.city.description import City
from velocast.core.city.loading import parse_city
from velocast.core.city.reading import ISO
from velocast_cli.city.questions import NONE, Answers
from velocast_cli.city.understanding.understood import Understood
from velocast_cli.city.yaml_text import yaml_text

SCHEMA = "https://raw.githubusercontent.com/velocast/velocast/main/docs/reference/city.schema.json"
WHOLE = "a part of|the same numbers as|the sum of"


class Draft:
    """A city's description in the making.

    file: values of the format that looking may not tell; found: the format in words; source: values of the transport,
    None for files at hand alone.
    """

    def __init__(
        self,
        understood: Understood,
        answers: Answers,
        *,
        file: dict[str, Any],
        found: str,
        source: dict[str, Any] | None = None,
    ) -> None:
        self.understood, self.answers = understood, answers
        self.values: dict[str, Any] = {}
        self.comments: dict[str, str] = {}
        self._set_place()
        counts: dict[str, Any] = {}
        if source:
            counts["source"] = self._timed(source)
        if file:
            counts["file"] = file
        self.comments["counts.file" if file else "counts.layout"] = (
            f"The files are {found}; this is found by looking at them."
        )
        counts["layout"] = self._layout()
        counts["clock"] = self._clock()
        if understood.step.minutes != 60:
            counts["step_minutes"] = understood.step.minutes
        self.values["counts"] = counts
        if not source:
            self.comments["counts"] = (
                "Where counts come from is not said: this file is for `velocast backtest` and `demo --replay`.\n"
                "To deploy the city, add a source (docs/guides/add-a-city.md)."
            )

    def city(self) -> City:
        """Return the checked description. Raises SettingsError."""
        return parse_city(self.values, "the city's file")

    def text(self, origin: str) -> str:
        """Return the file. origin: what was looked at."""
        head = f"# yaml-language-server: $schema={SCHEMA}\n# Written by `velocast city new {origin}`.\n"
        return head + yaml_text(self.values, self.comments)

    def _set_place(self) -> None:
        said = self.answers
        self.values["name"] = said.name
        self.values["time_zone"] = said.zone
        if said.holidays and said.holidays != NONE:
            self.values["holidays"] = said.holidays
        else:
            self.comments["time_zone"] = (
                "No holidays: forecasts do not know them. Add for example `holidays: DE-BE`."
            )
        for key in ("licence", "licence_url", "attribution", "attribution_url"):
            value = getattr(said, key)
            if value and value != NONE:
                self.values[key] = value

    def _timed(self, source: dict[str, Any]) -> dict[str, Any]:
        """Name the field by which a portal is asked, where it takes one and the time is in one column."""
        if "time_field" not in source:
            return source
        columns = self.understood.time.columns
        rest = {k: v for k, v in source.items() if k != "time_field"}
        return rest | ({"time_field": columns[0]} if len(columns) == 1 else {})

    def _layout(self) -> dict[str, Any]:
        made = self.understood
        layout = {"shape": made.shape, "time": self._time()} | made.layout
        if "counter" in layout:
            layout["counter"] = self._with_grid(layout["counter"])
        if ignored := self._ignored():
            layout["ignore"] = ignored
        self._comment_layout(layout)
        return layout

    def _time(self) -> dict[str, Any]:
        time, order = self.understood.time, self.answers.order
        formats = list(time.formats.ordered(order))
        values: dict[str, Any] = {"columns": _one(time.columns)}
        if formats != [ISO]:
            values["format"] = _one(formats)
        if time.marks_end or self.understood.step.marks_end:
            values["marks"] = "end"
        if time.gap_column:
            values |= {"gap_column": time.gap_column, "first_gap": time.first_gap}
        return values

    def _with_grid(self, counter: dict[str, Any]) -> dict[str, Any]:
        """Add the reference system of positions, or leave positions out whose system is not known for certain."""
        place = self.understood.roles.place
        crs = place.crs(str(self.answers.zone))
        if crs is None:
            self.comments["counts.layout.counter"] = (
                f"{' and '.join(place.columns)} hold positions in an unknown system; to use them, add latitude,\n"
                "longitude and crs (EPSG:...)."
            )
            return {k: v for k, v in counter.items() if v not in place.columns}
        return counter if crs == "EPSG:4326" else counter | {"crs": crs}

    def _ignored(self) -> list[str]:
        """Return regular expressions of the columns that are known and not needed."""
        used = _used_columns(self.values_of_layout())
        return [f"^{re.escape(n)}$" for n in self.understood.ignored if n not in used]

    def values_of_layout(self) -> dict[str, Any]:
        """Return the layout as it was understood, without what is written around it."""
        return self.understood.layout

    def _comment_layout(self, layout: dict[str, Any]) -> None:
        made = self.understood
        whole = {n: why for n, why in made.ignored.items() if re.match(WHOLE, why)}
        said = [f"{total}: the total of {', '.join(parts)}" for total, parts in made.parts.items()]
        if said:
            where = "values" if "values" in layout else "counters"
            self.comments[f"counts.layout.{where}"] = (
                "Totals are read, but the columns that they add up are not, so that nothing is counted twice."
            )
        if "ignore" in layout:
            text = "Columns that are not read"
            self.comments["counts.layout.ignore"] = text + (
                ": parts and sums of other columns, and columns that are not counts."
                if whole
                else "."
            )
        if made.time.formats.order is None and any("{0}" in f for f in made.time.formats.formats):
            self.comments["counts.layout.time"] = (
                "The file does not show whether the day or the month comes first; this was given."
            )
        if "status" in layout:
            rest = (
                f" Marked, so not learned from: {', '.join(made.status_rest)}."
                if made.status_rest
                else ""
            )
            self.comments["counts.layout.status"] = (
                f"Check with the city which values mean a good count.{rest}"
            )

    def _clock(self) -> dict[str, Any]:
        made = self.understood
        times = self.answers.times or made.times
        values: dict[str, Any] = {"times": times}
        if times != "local":
            return values
        seen = made.clock(ZoneInfo(str(self.answers.zone)), self.answers.order)
        unknown = []
        for key, season in (("missing_hour", "spring"), ("repeated_hour", "autumn")):
            value = getattr(seen, key)
            if value:
                values[key] = value
            else:
                unknown.append(season)
        if unknown:
            self.comments["counts.clock"] = (
                f"What the city publishes when clocks change in {' and '.join(unknown)} is not seen in this file;\n"
                "the default (spring: absent, autumn: merged) marks the repeated hour, and nothing is learned from it."
            )
        return values


def _one(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else values


def _used_columns(layout: dict[str, Any]) -> set[str]:
    """Return every column that a layout names."""
    found: set[str] = set()
    for value in layout.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                found |= _used_columns(each)
            elif isinstance(each, str):
                found.add(each)
    return found
