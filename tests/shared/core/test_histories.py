"""Whose counts make up a counter's history, resolved from what the city's file says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from velocast.core.city import Continuation, histories_of, listed_continuations
from velocast.core.city.histories import (
    BEGINNING,
    END,
    ListedContinuation,
    Term,
    VirtualSum,
)
from velocast.core.errors import SettingsError

MARCH, MAY, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 5, 7))


def continued(counter: str, *parts: str, since: datetime = MARCH) -> Continuation:
    return Continuation(counter, parts, since)


def terms(*continuations: Continuation, sums: tuple[VirtualSum, ...] = ()) -> list[Term]:
    return list(histories_of(continuations, sums).terms)


def total(key: str, *counters: str) -> VirtualSum:
    return VirtualSum(id=key, name=key.title(), counters=counters)


def test_a_counter_has_the_history_of_the_one_before_up_to_a_day() -> None:
    found = histories_of([continued("b", "a")])
    assert found.terms == (
        Term("b", "a", BEGINNING, MARCH, 1),
        Term("b", "b", MARCH, END, 1),
    )
    assert found.affected == {"a", "b"}
    assert found.ended["a"].counter_id == "b"


def test_a_chain_leads_back_to_the_first_counter() -> None:
    chain = [continued("c", "b", since=JULY), continued("b", "a", since=MAY)]
    assert terms(*chain) == [
        Term("c", "a", BEGINNING, MAY, 1),
        Term("c", "b", MAY, JULY, 1),
        Term("c", "c", JULY, END, 1),
    ]
    assert histories_of(chain).continued == {"c": tuple(chain)}


def test_merged_counters_are_added_up_before_that_day() -> None:
    assert terms(continued("c", "a", "b")) == [
        Term("c", "a", BEGINNING, MARCH, 2),
        Term("c", "b", BEGINNING, MARCH, 2),
        Term("c", "c", MARCH, END, 1),
    ]


def test_a_split_counter_is_continued_by_the_sum_of_the_new_ones() -> None:
    found = histories_of([continued("all", "a")], [total("all", "b", "c")])
    assert found.terms == (
        Term("all", "a", BEGINNING, MARCH, 1),
        Term("all", "b", MARCH, END, 2),
        Term("all", "c", MARCH, END, 2),
    )
    assert found.affected == {"a", "all"}  # b and c are counters of their own, too


def test_a_part_of_a_sum_has_its_whole_history() -> None:
    assert terms(continued("b", "a"), sums=(total("s", "b", "c"),))[2:] == [
        Term("s", "a", BEGINNING, MARCH, 2),
        Term("s", "c", BEGINNING, MARCH, 2),
        Term("s", "b", MARCH, END, 2),
        Term("s", "c", MARCH, END, 2),
    ]


def test_without_sums_a_counter_that_a_sum_continues_stays_what_it_is() -> None:
    found = histories_of(
        [continued("s", "a"), continued("e", "d")], [total("s", "b", "c")], with_sums=False
    )
    assert {term.counter_id for term in found.terms} == {"e"}
    assert found.affected == {"d", "e"}
    assert not found.sums


def test_nothing_is_nothing() -> None:
    assert not histories_of([])


@pytest.mark.parametrize(
    ("continuations", "sums", "message"),
    [
        ([continued("a", "a")], [], "a -> a leads back to itself"),
        ([continued("a", "b"), continued("b", "a")], [], "leads back to itself"),
        ([continued("b", "a"), continued("c", "a")], [], "a is continued by b and by c; .* a sum"),
        ([continued("b", "a"), continued("b", "c")], [], "b is given twice"),
        ([continued("b", "a")], [total("s", "a", "b")], "counts a twice"),
        ([], [total("s", "a", "a")], "counts a twice"),
        ([], [total("s", "a", "b"), total("s", "c", "d")], "two have the same id"),
        ([], [total("s", "t", "b"), total("t", "s", "c")], "leads back to itself"),
        (
            [continued("c", "s")],
            [total("s", "a", "b")],
            r"c continues s, which is a sum; list its counters .*: \[a, b\]",
        ),
    ],
)
def test_what_would_count_an_hour_twice_is_refused(
    continuations: list[Continuation], sums: list[VirtualSum], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        histories_of(continuations, sums)


def test_a_day_of_the_citys_file_begins_at_its_midnight() -> None:
    listed = ListedContinuation(counter="b", continues="a", since=date(2026, 7, 1), why="moved")
    assert listed_continuations([listed], ZoneInfo("Europe/Paris")) == [
        Continuation("b", ("a",), datetime(2026, 6, 30, 22, tzinfo=UTC), "moved")
    ]
