"""The words, numbers and dates of messages in the city's language.

What the page says too (faults, silent counters) is read from the page's own words, so that each is written once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from velocast.usecases.site.page_files import read_page_file

Language = Literal["en", "fr", "de"]
_PAIR = re.compile(r'("(?:[^"\\]|\\.)*"): ("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class Words:
    """One language. texts: by key, with {name} where a value goes. form: months, weekdays and marks in numbers."""

    language: Language
    texts: dict[str, str]
    form: dict[str, Any]

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of a key with its values. Raises KeyError for a key or a value that is missing."""
        return self.texts[key].format(**values)

    def some(self, key: str, number: int) -> str:
        """Return a text that holds a number: that of `key.one` for 1."""
        one = f"{key}.one"
        return self(one if number == 1 and one in self.texts else key, n=self.number(number))

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number in the form of the language."""
        return self._marked(f"{value:,.{digits}f}")

    def signed(self, value: float, digits: int) -> str:
        """Return a number with its sign."""
        return self._marked(f"{value:+,.{digits}f}")

    def percent(self, share: float, digits: int = 0, *, signed: bool = False) -> str:
        """Return a share as a percentage."""
        text = f"{share:+.{digits}%}" if signed else f"{share:.{digits}%}"
        return self._marked(text[:-1]) + str(self.form["percent"])

    def day(self, day: date, *, year: bool = False) -> str:
        """Return a day, such as "27 Feb" or "27 Feb 2026"."""
        text = str(self.form["day"]).format(day=day.day, month=self.form["months"][day.month - 1])
        return f"{text} {day.year}" if year else text

    def weekday(self, day: date) -> str:
        """Return the short name of a day of the week."""
        return str(self.form["weekdays"][day.weekday()])

    def hour(self, at: datetime) -> str:
        """Return a day with its weekday, and the time."""
        return f"{self.weekday(at)} {self.day(at)}, {at:%H:%M}"

    def _marked(self, text: str) -> str:
        marks = {",": str(self.form["thousands"]), ".": str(self.form["decimal"])}
        return "".join(marks.get(letter, letter) for letter in text)


@cache
def read_words(language: Language | None) -> Words:
    """Return the words of a language; None: English."""
    name = language or "en"
    folder = files("velocast.usecases.notifications").joinpath("languages")
    own = yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    return Words(name, read_page_words(name) | own["texts"], own["form"])


def read_page_words(language: Language) -> dict[str, str]:
    """Return the page's words in a language, by key."""
    text = read_page_file(f"{language}.js").decode("utf-8")
    return {json.loads(key): json.loads(value) for key, value in _PAIR.findall(text)}
