"""Messages in English, French and German; numbers and dates against the Unicode CLDR, as Babel has it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Literal

import pytest
from babel.dates import get_day_names, get_month_names
from babel.numbers import format_decimal, format_percent

from tests.shared.usecases.notifications.alerts import INCIDENT, NOTICES, closed
from velocast.adapters.channels.addressed import body
from velocast.adapters.channels.card import Card
from velocast.adapters.channels.discord import within_limits
from velocast.core.notices import CounterFault, CountersOutOfOrder, CountersWorkAgain, WeeklyDigest
from velocast.model.faults.kinds import NAMES
from velocast.usecases.notifications.event_cards import notice_card
from velocast.usecases.notifications.incident_cards import Incident, incident_card
from velocast.usecases.notifications.words import Words, read_page_words, read_words

LANGUAGES: tuple[Literal["en", "fr", "de"], ...] = ("en", "fr", "de")
# What English takes from the notice itself.
TRANSLATED = {
    "faults.text", "suspect.text", "moved.text", "line.suspect", "line.over", "line.none", "line.explained",
}  # fmt: skip
FR, DE = read_words("fr"), read_words("de")


@pytest.fixture(params=LANGUAGES)
def words(request: pytest.FixtureRequest) -> Words:
    return read_words(request.param)


def test_months_days_and_numbers_are_those_of_the_language(words: Words) -> None:
    locale = words.language
    months = get_month_names("abbreviated", locale=locale)
    days = get_day_names("abbreviated", locale=locale)
    assert words.form["months"] == [months[n] for n in range(1, 13)]
    assert words.form["weekdays"] == [days[n] for n in range(7)]
    for value in (0, 7, 1_234, 812_345, 1_234_567):
        assert words.number(value) == format_decimal(value, locale=locale)
    assert words.number(1_234.5, 1) == format_decimal(1_234.5, locale=locale)
    assert words.percent(0.21) == format_percent(0.21, locale=locale)
    monday = date(2026, 3, 2)
    assert [words.weekday(monday + timedelta(days=n)) for n in range(7)] == [
        days[n] for n in range(7)
    ]


def test_each_language_has_the_same_texts_with_the_same_values() -> None:
    wanted = read_words("en").texts
    for other in (FR, DE):
        assert other.texts.keys() - wanted.keys() == TRANSLATED
        assert wanted.keys() <= other.texts.keys()
        for key in wanted.keys() - read_page_words("en").keys():
            assert _values(other.texts[key]) == _values(wanted[key]), key
    assert all(_values(FR.texts[key]) == _values(DE.texts[key]) for key in TRANSLATED)


def _values(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_no_text_of_the_page_is_written_twice(words: Words) -> None:
    assert len(read_page_words(words.language)) > 200
    assert {f"fault.{name}" for name in NAMES} <= read_page_words(words.language).keys()


def test_every_message_is_whole_in_every_language(words: Words) -> None:
    cards = [notice_card(notice, words) for notice in NOTICES]
    cards += [incident_card(Incident(**each["incident"]), words) for each in (INCIDENT, closed())]
    for card in cards:
        assert within_limits(card) == card
        assert not re.search(r"\{\w+\}", body(card) + card.title)
    english = [notice_card(notice, read_words("en")).title for notice in NOTICES]
    if words.language != "en":
        assert not {card.title for card in cards} & set(english)


def lines(card: Card) -> dict[str, str]:
    return {field.name: field.value for field in card.fields}


def test_a_digest_in_french_and_german() -> None:
    digest = next(n for n in NOTICES if isinstance(n, WeeklyDigest))
    french, german = notice_card(digest, FR), notice_card(digest, DE)
    assert french.title == "🗓️ Demoville : la semaine du 23 févr. au 1 mars 2026"
    assert german.title == "🗓️ Demoville: die Woche vom 23. Feb. bis 1. März 2026"
    assert lines(french)["Précision"] == (
        "Les prévisions se sont écartées de 21,0\u00a0% des vélos (14,2 vélos par heure), plus que dans les quatre "
        "semaines précédentes (18,0\u00a0%)."
    )
    assert lines(german)["Was kommt"] == (
        "Di. 3. März, 08:00: etwa 5.230 Räder, die stärkste Stunde des Tages\n"
        "Works on the bridge: 2. März bis 4. März (2 Zählstellen)\nStrike: ab 6. März bis auf Weiteres"
    )
    assert lines(french)["Modèles"].startswith(
        "La version 8 est en service : R² 0,916 contre 0,896"
    )
    assert lines(german)["Zählstellen zum Nachsehen: 6"].endswith(
        "Rue: hat noch nie gezählt\nPlace: 61\u00a0% der Stunden der letzten drei Tage außerhalb des "
        "Prognosebereichs\nund 2 weitere"
    )


def test_faulty_counters_are_named_in_the_language() -> None:
    faults = (
        CounterFault(counter="Quai", kind="dead", since="2026-03-01"),
        CounterFault(counter="Pont", kind="suspect", count=12_345),
        CounterFault(counter="Rue", kind="moved"),
    )
    notice = CountersOutOfOrder(
        event_id="e", occurred_at="x", counters=("a", "b", "c"), reason="r", cause="faults", faults=faults
    )  # fmt: skip
    assert notice_card(notice, read_words("en")).fields[0].value == "a\nb\nc"
    assert notice_card(notice, FR).fields[0].value == (
        "Quai : ne compte rien depuis le 1 mars 2026\nPont (12\u202f345 en une heure)\nRue"
    )
    assert "nicht verwendet" in notice_card(notice, DE).description
    old = notice.model_copy(update={"cause": None, "faults": ()})  # as 0.1 published it
    assert notice_card(old, DE).fields[0].value == "a\nb\nc"
    assert notice_card(old, DE).description == "Einzelheiten, auf Englisch: r"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"over": "ended", "until": "2026-03-04"}, "c-1: zählt nichts, 1. März 2026 bis 4. März 2026"),
        ({"over": "none"}, "c-1: seit 1. März 2026 doch keine Störung"),
        ({"over": "explained", "what": "Marathon"}, "c-1: seit 1. März 2026 erklärt durch Marathon"),
    ],
)  # fmt: skip
def test_a_fault_that_is_over_is_told_in_the_language(change: dict[str, str], said: str) -> None:
    fault = CounterFault(counter="c-1", kind="dead", since="2026-03-01").model_copy(update=change)
    notice = CountersWorkAgain(event_id="e", occurred_at="x", counters=("x",), faults=(fault,))
    assert notice_card(notice, DE).fields[0].value == said
