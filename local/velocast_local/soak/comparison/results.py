"""What two runs made of the city: decisions, models, champions, forecasts, messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from velocast.adapters.champion_manifest import SummaryEntry
from velocast.core import schemas
from velocast.core.datetimes import parse_instant, rfc3339
from velocast_local.soak.comparison.causes import Causes, describe_strike, shifted_day
from velocast_local.soak.comparison.difference import Difference, differing_keys
from velocast_local.soak.comparison.inputs import InputComparison
from velocast_local.soak.evidence import AuditEntry, Evidence
from velocast_local.soak.injection import JOBS

_FAILURES = ("FAILED", "BUSY")
# Titles of the cards that a fault may cause; all others tell news that a clean run has too.
OF_WEATHER = "🌦️"
OF_DECISIONS = ("🚀", "⏭️")
OF_FAILURES = ("💥", "🔒", "⏰", OF_WEATHER, "🪜")


class ResultComparison:
    """Differences of results, each explained by an input or a model that differed before it, or by a fault."""

    def __init__(
        self, clean: Evidence, faulty: Evidence, causes: Causes, inputs: InputComparison
    ) -> None:
        self.clean = clean
        self.faulty = faulty
        self.causes = causes
        self.inputs = inputs
        self._models = self._changed_models()

    def differences(self) -> Iterator[Difference]:
        """Yield all differences."""
        yield from self._audit()
        yield from self._models.values()
        yield from self._champions()
        yield from self._forecasts()
        yield from self._messages()

    def _audit(self) -> Iterator[Difference]:
        clean, faulty = (_by_key(e.audit) for e in (self.clean, self.faulty))
        for key in sorted(clean.keys() | faulty.keys()):
            before, now = clean.get(key, []), faulty.get(key, [])
            failures = [entry for entry in now if entry.decided[0] in _FAILURES]
            now = [entry for entry in now if entry not in failures]
            for entry in failures:
                yield Difference(
                    f"{_named(key)} {entry.decided[0]}: {entry.error}", self.causes.failure(key)
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
        again = [s for s in self.causes.struck if s.as_of == key[1] and s.healed]
        return describe_strike(again[0]) if again and key[0] in JOBS else None

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
                because = self.inputs.changed_by(key[1][:10])
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
        by_origin = Counter((key[2], key[3]) for key in differing_keys(*tables))
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
        return self._changed_by(day) or self.causes.fault("repeated later", shifted_day(day, 1))

    def _messages(self) -> Iterator[Difference]:
        for card, number in (self.clean.messages - self.faulty.messages).items():
            yield Difference(f"message lost: {_card(card)} x{number}", self._other_news(card))
        for card, number in (self.faulty.messages - self.clean.messages).items():
            if card in self.clean.messages:
                because = self.causes.fault("message twice", card[1][:10])
            elif card[0].startswith(OF_FAILURES):
                twice = self.causes.fault("message twice", card[1][:10])
                because = self._news(card[0], card[1][:10]) if number == 1 else twice
            else:
                because = self._other_news(card)
            yield Difference(f"message: {_card(card)} x{number}", because)

    def _news(self, title: str, day: str) -> str | None:
        """Explain a card that a clean run does not send."""
        if title.startswith(OF_WEATHER):
            return self.causes.fault("weather", day)
        if title.startswith(OF_FAILURES):
            return self.causes.any_on(day)
        return self._changed_by(day)

    def _other_news(self, card: tuple[str, str]) -> str | None:
        return self._changed_by(card[1][:10])

    def _changed_by(self, day: str) -> str | None:
        """Explain other results of a day by other inputs or another model before its end."""
        return self.inputs.changed_by(day) or self._models_before(self._models, f"{day}T99")

    @staticmethod
    def _models_before(found: dict[tuple[str, str], Difference], until: str) -> str | None:
        earlier = [d for (_, at), d in found.items() if at < until and d.because]
        return f"{earlier[-1].what}: {earlier[-1].because}" if earlier else None


def _named(key: tuple[str, str, str]) -> str:
    return f"{key[0]} {key[2]} of {key[1]}"


def _card(card: tuple[str, str]) -> str:
    return f"{card[0]} of {card[1]}"


def _by_key(entries: Sequence[AuditEntry]) -> dict[tuple[str, str, str], list[AuditEntry]]:
    found = defaultdict(list)
    for entry in entries:
        found[entry.key].append(entry)
    return found


def _by_training(entries: Sequence[SummaryEntry]) -> dict[tuple[str, str], SummaryEntry]:
    """Return the newest version of each training; one that was started again has made two."""
    return {(entry.task, entry.trained_at): entry for entry in entries}
