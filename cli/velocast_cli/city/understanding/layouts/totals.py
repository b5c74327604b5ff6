"""Which columns of counts only repeat others: totals beside their directions, and copies.

Found by adding up: a total equals the sum of its parts in nearly every row. Words decide only what kind of total it is:
one of a place is kept and its directions are left out; one of several places is left out and the places are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from velocast.model.arrays import Floats
from velocast_cli.city.understanding import words

AGREE = 0.97  # the share of rows in which a total equals the sum of its parts
MOST_ROWS = 3000  # in which sums are tried
ENOUGH = 3  # rows in which a sum says something


@dataclass
class Counted:
    """The columns that are counts, once each. ignored: column -> why it is left out; parts: total -> its parts."""

    kept: list[str]
    ignored: dict[str, str] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)


def without_repeats(
    names: Sequence[str], numbers: dict[str, Floats], *, one_place: bool = False
) -> Counted:
    """Tell apart counts, totals, directions and copies.

    numbers: (n,) each, NaN where blank. one_place: all columns of a row are of one counter.
    """
    made = Counted(list(names))
    sums = _sums(made.kept, _some_rows(numbers))
    # the smallest totals first: a site's total is settled before that of the city, which then is a sum of totals
    for total, parts in sorted(
        sums.items(), key=lambda item: (len(item[1]), _weight(numbers[item[0]]))
    ):
        if total not in made.kept:
            continue
        live = [p for p in parts if p in made.kept]
        smaller = [
            t for t, own in sums.items() if t != total and (t in parts or set(own) < set(parts))
        ]
        of_totals = sum(len(sums[t]) > 1 for t in smaller) > 1
        if one_place or _is_one_place(total, parts, names, of_totals=of_totals):
            if _total_is_complete(numbers[total], [numbers[p] for p in parts]):
                for part in live:
                    made.kept.remove(part)
                    made.ignored[part] = f"a part of {total}"
                made.parts[total] = list(parts)
            else:
                made.kept.remove(total)
                made.ignored[total] = "the sum of other columns, and blank where they are not"
        else:
            made.kept.remove(total)
            made.ignored[total] = "the sum of several counters"
    _leave_out_copies(made, numbers)
    return made


def _some_rows(numbers: dict[str, Floats]) -> dict[str, Floats]:
    """Return the same rows of all columns: enough of them, spread over the table."""
    rows = max((len(values) for values in numbers.values()), default=0)
    chosen = (
        np.unique(np.linspace(0, rows - 1, MOST_ROWS).astype(int))
        if rows > MOST_ROWS
        else slice(None)
    )
    return {name: values[chosen] for name, values in numbers.items()}


def _weight(values: Floats) -> float:
    return float(np.nansum(values))


def _leave_out_copies(made: Counted, numbers: dict[str, Floats]) -> None:
    """Leave out columns that hold the same numbers as another; a heading with a total is the one to keep."""
    seen: dict[bytes, str] = {}
    for name in list(made.kept):
        values = numbers[name]
        if len(np.unique(values[np.isfinite(values)])) < ENOUGH:
            continue  # two counters may both stand still
        key = np.nan_to_num(values, nan=-1).tobytes()
        if key not in seen:
            seen[key] = name
            continue
        first = seen[key]
        better = _is_total(name) and not _is_total(first)
        keep, drop = (name, first) if better else (first, name)
        if _extends(keep, drop) and not better:
            keep, drop = drop, keep
        seen[key] = keep
        made.kept.remove(drop)
        made.ignored[drop] = f"the same numbers as {keep}"


def _sums(names: list[str], numbers: dict[str, Floats]) -> dict[str, list[str]]:
    """Return the parts of each column that is a sum of others."""
    found: dict[str, list[str]] = {}
    for total in names:
        for parts in _candidates(total, names):
            if (
                len(parts) >= 1
                and total not in parts
                and _adds_up(numbers[total], [numbers[p] for p in parts], _extended(total, parts))
            ):
                found[total] = parts
                break
        else:
            if searched := _by_search(total, names, numbers):
                found[total] = searched
    return found


def _extended(total: str, parts: Sequence[str]) -> bool:
    return all(_extends(part, total) for part in parts)


def _extends(longer: str, shorter: str) -> bool:
    """Return whether a heading says what the other says and more (`Main St north` and `Main St total`)."""
    base = words.without(shorter, words.TOTALS)
    return bool(base) and longer != shorter and words.tokens(longer)[: len(base)] == base


def _is_total(name: str) -> bool:
    return words.has(name, words.TOTALS)


def _candidates(total: str, names: list[str]) -> list[list[str]]:
    """Return the groups of columns that are likely to be the parts of a total, likeliest first."""
    place = names.index(total)
    named = [n for n in names if _extends(n, total)]
    base = _base(total)
    alike = [n for n in names if n != total and base and _base(n) == base]
    groups = [named, alike]
    others = [n for n in names if n != total]
    after, before = names[place + 1 :], names[:place]
    for size in range(2, min(len(others), 8) + 1):
        groups += [after[:size], before[-size:]]
    groups += [others, [n for n in others if not _is_total(n)], [n for n in others if _is_total(n)]]
    groups.append([n for n in others if not _is_total(n) and not _is_direction(n)])
    return [
        g for i, g in enumerate(groups) if g and g not in groups[:i] and (len(g) > 1 or g is named)
    ]


def _base(name: str) -> tuple[str, ...]:
    """Return what a heading says besides total, direction and mode: the place."""
    return words.without(name, words.TOTALS, words.DIRECTIONS, words.BIKES, words.COUNTS)


def _is_direction(name: str) -> bool:
    return words.has(name, words.DIRECTIONS)


def _adds_up(total: Floats, parts: list[Floats], extended: bool) -> bool:
    """Return whether a total equals the sum of its parts wherever all (of those that are ever there) are given."""
    used = [p for p in parts if np.isfinite(p).any()]
    if not used:
        return False
    stacked = np.vstack(used)
    known = np.isfinite(total) & np.isfinite(stacked).any(axis=0)
    says = known & ((total > 0) | (np.nansum(stacked, axis=0) > 0))
    if extended and not says.any():  # all of them stand still
        return bool(known.any())
    if says.sum() < (1 if extended else ENOUGH):
        return False
    lively = sum(bool((np.nan_to_num(p[says]) > 0).any()) for p in used)
    if lively < 2 and not extended:
        return False
    difference = np.abs(total[says] - np.nansum(stacked[:, says], axis=0))
    return bool((difference < 0.5).mean() >= AGREE)


def _by_search(total: str, names: list[str], numbers: dict[str, Floats]) -> list[str] | None:
    """Return two to four columns anywhere in the table that add up to a total."""
    if len(names) > 60:
        return None
    values = numbers[total]
    rows = np.flatnonzero(np.isfinite(values) & (values > 0))
    if len(rows) < 5:
        return None
    rows = rows[np.argsort(values[rows])[-200:]]
    smaller = [
        n
        for n in names
        if n != total
        and (np.nan_to_num(numbers[n][rows]) <= values[rows] + 0.5).mean() >= AGREE
        and (np.nan_to_num(numbers[n][rows]) > 0).any()
    ]
    if len(smaller) > 24:
        return None
    cut = {n: np.nan_to_num(numbers[n][rows]) for n in smaller}
    for size in (2, 3, 4):
        if size > 2 and len(smaller) > 14:
            break
        for parts in combinations(smaller, size):
            difference = np.abs(values[rows] - np.sum([cut[p] for p in parts], axis=0))
            if (difference < 0.5).mean() >= AGREE and _adds_up(
                values, [numbers[p] for p in parts], False
            ):
                return list(parts)
    return None


def _is_one_place(
    total: str, parts: Sequence[str], names: Sequence[str], *, of_totals: bool
) -> bool:
    """Return whether a sum is that of the directions or channels of one place, not of several places.

    of_totals: whether the parts are sums themselves, or those of several sums.
    """
    if _extended(total, parts):
        return True
    if of_totals:
        return False
    bases = {_base(part) for part in parts}
    if len(bases) == 1:  # Main St north + Main St south; or only north + south
        base = bases.pop()
        return (
            bool(base)
            or all(_is_direction(p) or words.is_bike(p) for p in parts)
            or len(names) == len(parts) + 1
        )
    own = _base(total)
    if own and all(set(own) & set(base) for base in bases):
        return True
    # numbers beside the names (353409612 ... IN): what is left after them
    texts = {tuple(t for t in base if not t.isdigit()) for base in bases}
    mine = tuple(t for t in own if not t.isdigit())
    return len(texts) == 1 and texts == {mine} and bool(mine)


def _total_is_complete(total: Floats, parts: list[Floats]) -> bool:
    """Return whether a total is there wherever its parts are, but for one row in a hundred."""
    stacked = np.vstack(parts)
    some = np.isfinite(stacked).any(axis=0)
    return bool(some.sum() == 0 or (some & ~np.isfinite(total)).sum() <= 0.01 * some.sum())
