"""Compares a run with faults with a clean run of the same days, and traces each difference to the fault behind it.

A difference is explained only by evidence: a forecast differs because the weather, the counts or the model behind it
differed, and those differ because a fault struck that may change them. Whatever has no such chain is unexplained.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from velocast.adapters.champion_manifest import SummaryEntry
from velocast.core import schemas
from velocast.core.datetimes import parse_instant, rfc3339
from velocast_local.soak.catalogue import LATE, RUNS, Change, Stage, Strike
from velocast_local.soak.evidence import AuditEntry, Evidence, Row
from velocast_local.soak.injection import JOBS, malformed_lines

# A day's missing weather is read from the archive by the next run, and a forecast issued two days before is used.
WEATHER_REACH = timedelta(days=2)
WORKFLOW = "retrain"
_FAILURES = ("FAILED", "BUSY")
# Titles of the cards that a fault may cause; all others tell news that a clean run has too.
OF_WEATHER = "🌦️"
OF_DECISIONS = ("🚀", "⏭️")
OF_FAILURES = ("💥", "🔒", "⏰", OF_WEATHER, "🪜")
# Component to the runs in which it works; notify in all.
STAGES: dict[str, tuple[Stage, ...]] = {
    "fetch": ("fetch",),
    "predict": ("predict",),
    "monitor": ("monitor", "retrain"),
    **dict.fromkeys((*JOBS, WORKFLOW), ("monitor", "retrain")),
}


@dataclass(frozen=True)
class Difference:
    """Where two runs differ. because: the fault that explains it, None when none does."""

    what: str
    because: str | None


def compare_runs(clean: Evidence, faulty: Evidence, strikes: Sequence[Strike]) -> list[Difference]:
    """Return every difference between two runs of the same days, one for each table and day or model."""
    return list(_Comparison(clean, faulty, strikes).differences())


class _Comparison:
    def __init__(self, clean: Evidence, faulty: Evidence, strikes: Sequence[Strike]) -> None:
        self.clean = clean
        self.faulty = faulty
        self.struck = [strike for strike in strikes if strike.hits]
        self._weather = self._weather_days()
        self._models = self._changed_models()

    def differences(self) -> Iterator[Difference]:
        """Yield all differences."""
        yield from (Difference(f"twice: {row}", None) for row in self.faulty.twice)
        yield from (Difference(f"doctor: {found}", None) for found in self.faulty.findings)
        yield from self._strict(schemas.COUNTS)
        yield from self._strict(schemas.COUNTERS)
        yield from self._ingested()
        yield from self._rejects()
        for day, because in self._weather.items():
            yield Difference(f"weather of {day}", because)
        yield from self._audit()
        yield from self._models.values()
        yield from self._champions()
        yield from self._forecasts()
        yield from self._messages()

    def _strict(self, name: str) -> Iterator[Difference]:
        for key in _differing(self.clean.tables[name], self.faulty.tables[name]):
            was, now = (e.tables[name].get(key) for e in (self.clean, self.faulty))
            yield Difference(f"{name} {key}: clean {was}, faulty {now}", None)

    def _ingested(self) -> Iterator[Difference]:
        """Counts that were stored by another run, by day."""
        later: Counter[tuple[str, str]] = Counter()
        for key, clean in self.clean.ingested.items():
            faulty = self.faulty.ingested.get(key)
            if faulty is not None and faulty != clean:
                later[clean, faulty] += 1
        for (clean, faulty), number in sorted(later.items()):
            because = self._fault("counts later", clean[:10]) or self._fault(
                "repeated later", faulty[:10]
            )
            yield Difference(f"{number} counts of {clean} stored at {faulty}", because)

    def _rejects(self) -> Iterator[Difference]:
        injected = {
            reject: strike.kind.name
            for strike in self._strikes("rejects")
            for reject in malformed_lines(strike.day)
        }
        for (reason, record), number in (self.clean.rejects - self.faulty.rejects).items():
            yield Difference(f"lost reject {reason} x{number}: {record[:60]}", None)
        for (reason, record), number in (self.faulty.rejects - self.clean.rejects).items():
            text = json.loads(record) if record.startswith('"') else record
            because = next((by for line, by in injected.items() if _same(line, text)), None)
            once = because if number == 1 else None
            yield Difference(f"reject {reason} x{number}: {record[:60]}", once)
        found = sum((self.faulty.rejects - self.clean.rejects).values())
        if found < len(injected):
            yield Difference(f"{len(injected)} malformed records sent, {found} rejects", None)

    def _weather_days(self) -> dict[str, str | None]:
        """Days of issue on which the runs differ in the weather, and why; None as soon as one row has no reason."""
        found: dict[str, str | None] = {}
        clean, faulty = (e.tables[schemas.WEATHER] for e in (self.clean, self.faulty))
        for key in _differing(clean, faulty):
            valid, issued = key[0][:10], key[1][:10]
            because = self._fault("weather", issued, reach=WEATHER_REACH)
            if because is None and key not in clean:
                because = self._filled_gap(valid, issued)
            found[issued] = because and found.get(issued, because)
        return found

    def _filled_gap(self, valid: str, issued: str) -> str | None:
        """Explain rows of the archive: it gives the missed hours as they were forecast up to five days before."""
        for strike in self._strikes("weather"):
            if valid >= _shifted(strike.day, -WEATHER_REACH.days) and issued <= strike.day:
                return _told(strike)
        return None

    def _audit(self) -> Iterator[Difference]:
        clean, faulty = (_by_key(e.audit) for e in (self.clean, self.faulty))
        for key in sorted(clean.keys() | faulty.keys()):
            before, now = clean.get(key, []), faulty.get(key, [])
            failures = [entry for entry in now if entry.decided[0] in _FAILURES]
            now = [entry for entry in now if entry not in failures]
            for entry in failures:
                yield Difference(
                    f"{_named(key)} {entry.decided[0]}: {entry.error}", self._failure(key)
                )
            if len(now) < len(before):
                yield Difference(f"lost: {_named(key)}", self._decided_otherwise(key))
            elif len(now) > len(before):
                yield Difference(f"more: {_named(key)} x{len(now) - len(before)}", self._more(key))
            elif [e.decided for e in before] != [e.decided for e in now]:
                told = f"{before[0].decided} became {now[0].decided}"
                yield Difference(f"{_named(key)}: {told}", self._changed_by(key[1][:10]))

    def _more(self, key: tuple[str, str, str]) -> str | None:
        """Explain rows that a clean run does not have: notices of failures, and retrainings started again."""
        if because := self._decided_otherwise(key):
            return because
        if key[0] == "notify":
            return self._news(key[2], key[1][:10])
        # An execution that was started again has rows of its own.
        again = [s for s in self.struck if s.as_of == key[1] and s.healed]
        return _told(again[0]) if again and key[0] in JOBS else None

    def _decided_otherwise(self, key: tuple[str, str, str]) -> str | None:
        """Explain rows of a retraining that another model led to another decision: SKIP has others than DEPLOY."""
        told = key[0] == "notify" and key[2].startswith(OF_DECISIONS)
        if key[0] not in JOBS and not told:
            return None
        decisions = [
            {e.task: e.decision for e in run.summary if e.trained_at == key[1]}
            for run in (self.clean, self.faulty)
        ]
        changed = [task for task, was in decisions[0].items() if decisions[1].get(task) != was]
        found = [self._models[task, key[1]] for task in changed if (task, key[1]) in self._models]
        return next((f"{each.what}: {each.because}" for each in found if each.because), None)

    def _changed_models(self) -> dict[tuple[str, str], Difference]:
        """Trainings that made another model, by task and as_of."""
        clean, faulty = (_by_training(e.summary) for e in (self.clean, self.faulty))
        found = {}
        for key in sorted(clean.keys() | faulty.keys()):
            before, now = clean.get(key), faulty.get(key)
            if before is None or now is None:
                found[key] = Difference(f"training {key}: only in one run", None)
            elif before.dataset_hashes != now.dataset_hashes:
                names = [
                    n for n, h in before.dataset_hashes.items() if now.dataset_hashes.get(n) != h
                ]
                because = self._inputs_changed_by(key[1][:10])
                found[key] = Difference(f"training {key}: other {', '.join(names)}", because)
            elif (before.sha256, before.metrics) != (now.sha256, now.metrics):
                found[key] = Difference(f"training {key}: same data, another model", None)
            elif before.decision != now.decision:
                earlier = self._models_before(found, key[1])
                found[key] = Difference(
                    f"training {key}: {before.decision} became {now.decision}", earlier
                )
        return found

    def _champions(self) -> Iterator[Difference]:
        changed = self._models_before(self._models, "9999")
        for task, manifest in self.clean.manifests.items():
            if manifest != self.faulty.manifests[task]:
                now = self.faulty.manifests[task]
                names = [n for n in (manifest or {}) if manifest and now and manifest[n] != now[n]]
                yield Difference(f"manifest of {task}: {', '.join(names) or 'only one'}", changed)
            if self.clean.aliases[task] != self.faulty.aliases[task]:
                told = f"{self.clean.aliases[task]} became {self.faulty.aliases[task]}"
                yield Difference(f"alias of {task}: {told}", changed)

    def _forecasts(self) -> Iterator[Difference]:
        tables = [e.tables[schemas.FORECASTS] for e in (self.clean, self.faulty)]
        by_origin = Counter((key[2], key[3]) for key in _differing(*tables))
        for (origin, version), number in sorted(by_origin.items()):
            missing = sum(
                (k[2], k[3]) == (origin, version) for k in tables[0].keys() - tables[1].keys()
            )
            told = f"{number} forecasts of {origin} by the model of {version}" + (
                f", {missing} missing" if missing else ""
            )
            yield Difference(told, self._forecast_changed_by(origin))

    def _forecast_changed_by(self, origin: str) -> str | None:
        # The origin is a local midnight, so its day is that of twelve hours later.
        day = rfc3339(parse_instant(origin) + timedelta(hours=12))[:10]
        return self._changed_by(day) or self._fault("repeated later", _shifted(day, 1))

    def _messages(self) -> Iterator[Difference]:
        for card, number in (self.clean.messages - self.faulty.messages).items():
            yield Difference(f"message lost: {_card(card)} x{number}", self._other_news(card))
        for card, number in (self.faulty.messages - self.clean.messages).items():
            if card in self.clean.messages:
                because = self._fault("message twice", card[1][:10])
            elif card[0].startswith(OF_FAILURES):
                twice = self._fault("message twice", card[1][:10])
                because = self._news(card[0], card[1][:10]) if number == 1 else twice
            else:
                because = self._other_news(card)
            yield Difference(f"message: {_card(card)} x{number}", because)

    def _news(self, title: str, day: str) -> str | None:
        """Explain a card that a clean run does not send."""
        if title.startswith(OF_WEATHER):
            return self._fault("weather", day)
        if title.startswith(OF_FAILURES):
            return self._any_on(day)
        return self._changed_by(day)

    def _other_news(self, card: tuple[str, str]) -> str | None:
        return self._changed_by(card[1][:10])

    def _changed_by(self, day: str) -> str | None:
        """Explain other results of a day by other inputs or another model before its end."""
        return self._inputs_changed_by(day) or self._models_before(self._models, f"{day}T99")

    def _inputs_changed_by(self, day: str) -> str | None:
        """Explain by weather, or by counts that came later, at any time before the end of a day."""
        weather = [why for at, why in self._weather.items() if at <= day and why]
        counts = [_told(s) for s in self._strikes("counts later") if s.day <= day]
        return next(iter([*weather[-1:], *counts[-1:]]), None)

    @staticmethod
    def _models_before(found: dict[tuple[str, str], Difference], until: str) -> str | None:
        earlier = [d for (_, at), d in found.items() if at < until and d.because]
        return f"{earlier[-1].what}: {earlier[-1].because}" if earlier else None

    def _strikes(self, change: Change) -> list[Strike]:
        return [
            strike
            for strike in self.struck
            if change in strike.kind.changes and (change != "weather" or strike.stage == "fetch")
        ]

    def _fault(self, change: Change, day: str, reach: timedelta = timedelta(days=1)) -> str | None:
        """Return the fault that may cause such a change and struck on a day or shortly before."""
        first = _shifted(day, -reach.days)
        near = [s for s in self._strikes(change) if first <= s.day <= day]
        # What fails in the first place explains more than an event that was repeated.
        near.sort(key=lambda strike: strike.kind.name != LATE)
        return _told(near[-1]) if near else None

    def _failure(self, key: tuple[str, str, str]) -> str | None:
        """Return the faults that struck while the run of an audit row was at work."""
        stages = STAGES.get(key[0], RUNS)
        at = [s for s in self.struck if s.as_of == key[1] and s.stage in stages]
        if key[0] == "notify":
            at = [s for s in at if s.kind.family == "discord"] or at
        return " and ".join(map(_told, at)) or None

    def _any_on(self, day: str) -> str | None:
        at = [strike for strike in self.struck if strike.day == day]
        return _told(at[0]) if at else None


def _told(strike: Strike) -> str:
    return f"{strike.kind.name} at {strike.as_of}"


def _named(key: tuple[str, str, str]) -> str:
    return f"{key[0]} {key[2]} of {key[1]}"


def _card(card: tuple[str, str]) -> str:
    return f"{card[0]} of {card[1]}"


def _shifted(moment: str, days: int) -> str:
    day = parse_instant(moment if "T" in moment else f"{moment}T00:00:00Z")
    return rfc3339(day + timedelta(days=days))[:10]


def _same(line: str, stored: str) -> bool:
    """Return whether a stored reject is the record that was sent: JSON is stored in its canonical form."""
    try:
        return bool(json.loads(line) == json.loads(stored))
    except ValueError:
        return line == stored


def _differing(clean: dict[Row, Row], faulty: dict[Row, Row]) -> list[Row]:
    """Return the keys whose values differ, or that only one run has."""
    keys: Iterable[Any] = clean.keys() | faulty.keys()
    return sorted((k for k in keys if clean.get(k) != faulty.get(k)), key=str)


def _by_key(entries: Sequence[AuditEntry]) -> dict[tuple[str, str, str], list[AuditEntry]]:
    found = defaultdict(list)
    for entry in entries:
        found[entry.key].append(entry)
    return found


def _by_training(entries: Sequence[SummaryEntry]) -> dict[tuple[str, str], SummaryEntry]:
    """Return the newest version of each training; one that was started again has made two."""
    return {(entry.task, entry.trained_at): entry for entry in entries}
