"""Injects the faults of one run, and takes them back when it is over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from gcp_emulators.core.relays import Injection
from velocast.core.datetimes import rfc3339
from velocast_local.soak import kills
from velocast_local.soak.catalogue import LATE, FaultKind, Stage, Strike
from velocast_local.soak.plan import FaultPlan
from velocast_local.soak.relays import StackRelays

Disarm = Callable[[], int]

# Service and effect to the calls that are hit: relay, part of the method and path, how many.
_CALLS: dict[str, tuple[str, Injection]] = {
    "mlflow refuses": ("mlflow", Injection("refuse", times=2)),
    "mlflow cut": ("mlflow", Injection("cut", where="GET ")),
    "mlflow loses": ("mlflow", Injection("lose", where="POST ")),
    "bigquery refuses": ("bigquery", Injection("refuse", times=2)),
    "bigquery cut": ("bigquery", Injection("cut", where="GET ")),
    "bigquery loses": ("bigquery", Injection("lose", where="POST ")),
    "bigquery-read refuses": ("bigquery_storage", Injection("refuse")),
    "bigquery-read cut": ("bigquery_storage", Injection("cut", where="ReadRows")),
    "storage refuses": ("storage", Injection("refuse", times=2)),
    "storage cut": ("storage", Injection("cut", where="alt=media")),
    "storage loses": ("storage", Injection("lose", where="POST /upload")),
    "discord refuses": ("discord", Injection("refuse", status=500, times=2)),
    "discord too-many-requests": ("discord", Injection("refuse", status=429)),
    "discord loses": ("discord", Injection("lose", status=500)),
}
_EVENTS = {
    "event twice": Injection("repeat"),
    "event unacknowledged": Injection("lose"),
    "event refused": Injection("refuse", status=429, times=2),
    "event reordered": Injection("refuse", status=429, times=-1),
}
# Fields of the replays' `Faults`; -1: until taken back.
_SOURCES: dict[str, dict[str, Any]] = {
    "city unavailable": {"kind": "unavailable", "times": 2},
    "city too-many-requests": {"kind": "too_many_requests", "times": 1},
    "city truncated": {"kind": "truncated", "times": 1, "endpoints": ["exports"]},
    "city disconnected": {"kind": "disconnected", "times": 1, "endpoints": ["exports"]},
    "city html": {"kind": "html", "times": 1},
    "city late": {"publication_delay_hours": 24},
    "city malformed": {},
    "weather away": {"kind": "unavailable", "times": -1},
    "weather truncated": {"kind": "truncated", "times": 1},
    "weather missing-hours": {"kind": "missing_hours", "times": 1},
    "weather fahrenheit": {"kind": "fahrenheit", "times": -1},
}
JOBS = ("train", "evaluate", "promote")
# Seconds between the beginning of a run and a kill; a retraining takes longer than the other runs.
_KILL_SOON = (0.05, 2.0)
_KILL_LATER = (0.5, 12.0)
WATCH_SECONDS = 0.1


def malformed_lines(day: str) -> list[str]:
    """Return the two records that a city with the fault `city malformed` adds to its answer."""
    return [
        json.dumps({"id_compteur": "soak", "date": f"{day}T00:00:00+00:00", "sum_counts": -5}),
        f"soaked on {day}",
    ]


class Injector:
    """Injects faults into one stack. restart: starts the stack again after its supervisor was killed."""

    def __init__(
        self, home: Path, url: str, relays: StackRelays, plan: FaultPlan, restart: Callable[[], Any]
    ) -> None:
        self.relays = relays
        self.plan = plan
        self.strikes: list[Strike] = []
        self._home = home
        self._url = url
        self._restart = restart

    @contextmanager
    def during(self, stage: Stage, at: datetime) -> Iterator[list[FaultKind]]:
        """Inject the planned faults of one run; yield them. Afterwards `strikes` says which of them struck."""
        kinds = self.plan.deal(stage)
        armed = [(kind, self._arm(kind, stage, at)) for kind in kinds]
        try:
            yield kinds
        finally:
            hits = [(kind, disarm()) for kind, disarm in armed if kind.name != LATE]
            self.relays.clear()
            # The repetition comes when everything else is over.
            hits += [(kind, disarm()) for kind, disarm in armed if kind.name == LATE]
            self.strikes += [Strike(kind, rfc3339(at), stage, struck) for kind, struck in hits]

    def release(self) -> None:
        """Let the events go that were held back."""
        for relay in self.relays.by_name.values():
            for injection in relay.injections:
                if injection.times < 0:
                    injection.times = 0

    def _arm(self, kind: FaultKind, stage: Stage, at: datetime) -> Disarm:
        if kind.family == "kill":
            return self._arm_kill(kind.name.split()[1], stage)
        if kind.name in _CALLS:
            relay, injection = _CALLS[kind.name]
            return self._arm_injection(relay, injection)
        if kind.name in _EVENTS:
            return self._arm_injection(stage, _EVENTS[kind.name])
        if kind.name in _SOURCES:
            return self._arm_source(kind, at)
        return partial(self._repeat_former, stage)

    def _arm_injection(self, relay: str, injection: Injection) -> Disarm:
        own = Injection(injection.effect, injection.where, injection.status, injection.times)
        self.relays.by_name[relay].inject(own)
        return lambda: own.struck

    def _arm_source(self, kind: FaultKind, at: datetime) -> Disarm:
        fields = dict(_SOURCES[kind.name])
        if kind.name == "city malformed":
            fields["extra_lines"] = malformed_lines(rfc3339(at)[:10])
        url = f"{self._url}/{kind.family}/faults"
        httpx.post(url, json=fields, timeout=30, trust_env=False).raise_for_status()
        before = fields.get("times", 0)

        def disarm() -> int:
            answer = httpx.post(url, json={}, timeout=30, trust_env=False).raise_for_status()
            return int(before - answer.json()["times"]) if before else 1

        return disarm

    def _arm_kill(self, part: str, stage: Stage) -> Disarm:
        begun = self._beginning_of("notify" if part == "notify" else stage, part)
        at_once = stage != "retrain" or part in (*JOBS, "notify")
        delay = self.plan.seconds(*(_KILL_SOON if at_once else _KILL_LATER))
        over, struck = threading.Event(), threading.Event()

        def strike() -> None:
            while not begun():
                if over.wait(WATCH_SECONDS):
                    return
            if not over.wait(delay) and self._kill(part):
                struck.set()

        thread = threading.Thread(target=strike, daemon=True)
        thread.start()

        def disarm() -> int:
            over.set()
            thread.join()
            return int(struck.is_set())

        return disarm

    def _beginning_of(self, stage: str, part: str) -> Callable[[], bool]:
        """Return a check of whether a job runs or a function has been sent an event; for others it is always true."""
        if part in JOBS:
            return lambda: bool(kills.find_job(self._home, part))
        if stage not in self.relays.http:
            return lambda: True
        known = len(self.relays.events(stage))
        return lambda: len(self.relays.events(stage)) > known

    def _kill(self, part: str) -> bool:
        if part == "supervisor":
            kills.kill_supervisor(self._home)
            self._restart()
            return True
        find = kills.find_job if part in JOBS else kills.find_part
        return kills.kill_all(find(self._home, part))

    def _repeat_former(self, stage: Stage) -> int:
        """Push the former event of a function once more, after the one of today."""
        former: Sequence[str] = self.relays.events(stage)[:-1]
        if not former:
            return 0
        with suppress(httpx.HTTPError):
            return int(self.relays.replay(stage, former[-1]))
        return 0


def wait_until(what: Callable[[], bool], seconds: float) -> bool:
    """Return once `what` is true, or False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(WATCH_SECONDS)
    return True
