"""Make the file of a new city: look, ask, describe, read, and say what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast_cli.city.check import Checked, check_files
from velocast_cli.city.draft import Draft
from velocast_cli.city.files import files_of, look_at_all, tables_of
from velocast_cli.city.questions import (
    LICENCE,
    NONE,
    Answers,
    Question,
    clock_question,
    date_question,
    first_questions,
    holiday_question,
    settle,
)
from velocast_cli.city.understanding.formats import file_values, format_words
from velocast_cli.city.understanding.understand import understand
from velocast_cli.city.understanding.understood import Understood


@dataclass(frozen=True)
class NewCity:
    """A city's file, its checked description, and what is read with it."""

    text: str
    city: City
    checked: Checked
    notes: list[tuple[str, str]]


@dataclass(frozen=True)
class Looked:
    """What is looked at: files at hand, and what is known of where they came from.

    name: a guess, sure where it is that of a file; source: the transport's values; known: further values of the city's
    file, such as the licence.
    """

    paths: Sequence[Path]
    origin: str
    name: str
    source: dict[str, Any] | None = None
    known: dict[str, Any] = field(default_factory=dict)
    sure: bool = True


def guessed_name(path: Path) -> str:
    """Return a city's name from the name of its file or folder."""
    stem = re.sub(
        r"(\.(csv|tsv|txt|json|jsonl|ndjson|parquet|xlsx?|zip|gz))+$",
        "",
        path.resolve().name,
        flags=re.IGNORECASE,
    )
    plain = re.sub(r"[-_ .]*(?:19|20)\d{2}(?:[-_.]?\d{2}){0,2}.*$", "", stem)
    plain = re.sub(
        r"[-_. ]*(counts?|counters?|bikes?|daily|hourly|velo|data|export|raw)\b.*$",
        "",
        plain,
        flags=re.IGNORECASE,
    )
    words = re.split(r"[-_. ]+", plain or stem)
    return " ".join(w[:1].upper() + w[1:] for w in words if w) or "My city"


def make_city(
    looked: Looked, answers: Answers, *, ask: Callable[[Question], str] | None, as_of: datetime
) -> NewCity:
    """Describe a city. ask: None takes sure guesses only.

    Raises NotUnderstood, AnswersMissing and ValueError (a wrong answer), SettingsError, CityRefused, CityTruncated.
    """
    files = files_of(looked.paths)
    aside: dict[str, str] = {}
    understood = understand(tables_of(files, FileFormat(), aside))
    understood.aside |= aside
    _ask(understood, looked, answers, ask)
    formats = look_at_all([f for f in files if str(f) not in aside])
    draft = Draft(
        understood,
        answers,
        file=file_values(understood.sample, _counted(understood), understood.aside),
        found=format_words(formats),
        source=looked.source,
    )
    city = draft.city()
    checked = check_files(city, looked.paths, as_of=as_of, aside=understood.aside)
    return NewCity(
        draft.text(looked.origin), city, checked, _notes(understood, format_words(formats))
    )


def _ask(
    understood: Understood, looked: Looked, answers: Answers, ask: Callable[[Question], str] | None
) -> None:
    """Ask what is open: what is the same for every city, what the file leaves open, what depends on the zone."""
    formats = understood.time.formats
    for key, value in looked.known.items():
        if getattr(answers, key, None) is None:
            setattr(answers, key, value)
    questions = first_questions(looked.name, sure=looked.sure)
    if formats.ambiguous or formats.contradictory:
        questions.append(date_question(formats.shown, contradictory=formats.contradictory))
    elif answers.order and formats.order and answers.order != formats.order:
        raise ValueError(
            f"--date-format {answers.date_format}: the dates of the file have the other order, as {formats.shown}"
        )
    if ask is None:  # all that is missing is named at once
        zone = answers.zone or "UTC"
        settle(answers, [*questions, holiday_question(zone), LICENCE], ask=None)
    else:
        settle(answers, questions, ask=ask)
        settle(answers, [holiday_question(str(answers.zone)), LICENCE], ask=ask)
    if answers.attribution is None and answers.licence and answers.licence != NONE:
        answers.attribution = f"Bike counts: {answers.name}, under {answers.licence}"
    _ask_for_the_clock(understood, answers, ask)


def _ask_for_the_clock(
    understood: Understood, answers: Answers, ask: Callable[[Question], str] | None
) -> None:
    from zoneinfo import ZoneInfo

    if answers.times or understood.times != "local":
        return
    seen = understood.clock(ZoneInfo(str(answers.zone)), answers.order)
    if seen.impossible >= 3:
        settle(answers, [clock_question(seen.impossible, str(answers.zone))], ask=ask)


def _counted(understood: Understood) -> list[str]:
    """Return the columns that are read as counts."""
    layout = understood.layout
    if "values" in layout:
        return [v["column"] for v in layout["values"]]
    if "counters" in layout:
        return [c for each in layout["counters"] for c in each["columns"]]
    pattern = layout.get("pattern") or layout.get("hours")
    return [c for c in understood.sample.frame.columns if pattern and re.search(pattern, c)]


def _notes(understood: Understood, found: str) -> list[tuple[str, str]]:
    """Return what the table says beside the description: the file's format and the columns that are not read."""
    notes = [("file", found)]
    by_reason: dict[str, list[str]] = {}
    for column, why in understood.ignored.items():
        by_reason.setdefault(why, []).append(column)
    said = [
        f"{', '.join(map(repr, names[:4]))}{', ...' if len(names) > 4 else ''} ({why})"
        for why, names in by_reason.items()
    ]
    if said:
        notes.append(("not read", "; ".join(said[:6]) + ("; ..." if len(said) > 6 else "")))
    if understood.status_rest:
        notes.append(("marked", f"counts with status {', '.join(understood.status_rest)}"))
    if not understood.step.sure:
        notes.append(("step", "too few rows to see the step; an hour is assumed"))
    return notes
