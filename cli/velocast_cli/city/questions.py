"""What a city's file cannot say itself: asked of a person, or taken from options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import available_timezones

from pydantic import ValidationError

from velocast.core.city.description import City
from velocast_cli.city.understanding.clocks.dates import day_month_order

NONE = "none"


class AnswersMissing(ValueError):
    """Options that `--yes` needs, because the file cannot tell; the message names them."""


@dataclass
class Answers:
    """What a person says; None is not yet asked."""

    name: str | None = None
    zone: str | None = None
    holidays: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    attribution: str | None = None
    attribution_url: str | None = None
    date_format: str | None = None
    times: str | None = None

    @property
    def order(self) -> str | None:
        """The order of day and month."""
        return day_month_order(self.date_format) if self.date_format else None


@dataclass(frozen=True)
class Question:
    """One thing to ask: the field of Answers, its option, the text; guess: offered, and taken where `sure`."""

    field: str
    option: str
    text: str
    guess: str | None = None
    sure: bool = False
    check: Callable[[str], str | None] = lambda _: None  # returns what is wrong


def settle(
    answers: Answers, questions: list[Question], *, ask: Callable[[Question], str] | None
) -> None:
    """Fill in the answers: those given are checked, the others asked, or guessed where a guess is sure.

    ask: None takes sure guesses and raises AnswersMissing, naming the options, for the others. Raises ValueError with
    what is wrong with an answer that was given.
    """
    missing = []
    for question in questions:
        given = getattr(answers, question.field)
        if given is not None:
            if wrong := question.check(given):
                raise ValueError(f"{question.option} {given}: {wrong}")
        elif ask is None and question.guess is not None and question.sure:
            setattr(answers, question.field, question.guess)
        elif ask is None:
            missing.append(question)
        else:
            setattr(answers, question.field, ask(question))
    if missing:
        listed = "\n".join(f"  {q.option}: {q.text}" for q in missing)
        raise AnswersMissing(f"the file does not say all that is needed; give\n{listed}")


def first_questions(guessed_name: str, *, sure: bool) -> list[Question]:
    """Return what is asked of every city."""
    return [
        Question("name", "--name", "Name of the city", guessed_name, sure=sure, check=_nonblank),
        Question(
            "zone",
            "--zone",
            "Time zone, an IANA name such as Europe/Paris",
            zone_of(guessed_name),
            check=lambda text: _wrong("time_zone", text),
        ),
    ]


def holiday_question(zone: str) -> Question:
    """Return the question of the holidays; the country of the zone is offered."""
    return Question(
        "holidays",
        "--holidays",
        f"Holiday calendar, ISO 3166, with its subdivision where it matters (FR, DE-BE, US-NY), or {NONE}",
        country_of(zone),
        check=lambda text: None if text == NONE else _wrong("holidays", text),
    )


LICENCE = Question(
    "licence",
    "--licence",
    f"Licence of the counts as the portal names it (CC BY 4.0, ODbL 1.0, ...), or {NONE}",
    check=lambda text: None if text.strip() else "it is blank",
)


def date_question(shown: str, *, contradictory: bool) -> Question:
    """Return the question of which number is the day."""
    why = (
        "some dates have the day first and others the month"
        if contradictory
        else "no day is above 12"
    )
    return Question(
        "date_format",
        "--date-format",
        f"Is the day or the month first in {shown}? {why}; answer DD/MM/YYYY or MM/DD/YYYY",
        check=lambda text: (
            None
            if day_month_order(text)
            else "give the order of day and month, as in DD/MM/YYYY or MM/DD/YYYY"
        ),
    )


def clock_question(impossible: int, zone: str) -> Question:
    """Return the question of which clock the times follow, for times that cannot be those of the city's clock."""
    return Question(
        "times",
        "--times",
        f"{impossible} counts are of times that the clock of {zone} skips in spring; are the times utc or local?",
        "utc",
        check=lambda text: None if text in ("utc", "local") else "answer utc or local",
    )


def _nonblank(text: str) -> str | None:
    return None if text.strip() else "it is blank"


def _wrong(key: str, value: str) -> str | None:
    """Return what City says against a value, None where it accepts it."""
    layout = {"shape": "wide", "time": {"columns": "time"}}
    values: dict[str, Any] = {
        "name": "city",
        "time_zone": "UTC",
        "counts": {"layout": layout, "clock": {"times": "utc"}},
    }
    try:
        City(**(values | {key: value}))
    except ValidationError as exc:
        return exc.errors()[0]["msg"].removeprefix("Value error, ")
    return None


@cache
def _countries() -> dict[str, str]:
    """Return the country of each zone, from the tz database's own table."""
    lines = files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {row[2]: row[0] for row in rows}


def country_of(zone: str) -> str | None:
    """Return the ISO 3166 code of a zone's country, None where it has none."""
    return _countries().get(zone)


def zone_of(name: str) -> str | None:
    """Return the zone that is called like a city, None without one."""
    plain = name.casefold().replace(" ", "_")
    found = [
        z
        for z in available_timezones()
        if z.rpartition("/")[2].casefold() == plain and z in _countries()
    ]
    return found[0] if len(found) == 1 else None
