"""Plays days on a stack, with faults or without: the same runs at the same simulated times, for as long as asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from gcp_emulators.scheduler.scheduler import due
from velocast.core.datetimes import rfc3339
from velocast.core.requests import RetrainArgument
from velocast_local.demo import DemoFailed, Player, Progress
from velocast_local.soak.catalogue import FaultKind, Stage
from velocast_local.soak.injection import Injector, wait_until
from velocast_local.stack.configuration import load_schedules

RETRAIN_EVERY_DAYS = 3
# A day without faults at the end: the system catches up, as it would after an outage.
QUIET_DAYS = 1
SETTLE_SECONDS = 900.0
RESTART_SECONDS = 300.0
POLL_SECONDS = 0.1
HEALINGS = 3
REORDERED = "event reordered"

During = Callable[[Stage, datetime], AbstractContextManager[list[FaultKind]]]
Say = Callable[[str], object]


@dataclass(frozen=True)
class PlannedRun:
    """One run: when it starts, what runs, and how it is started; `start` does not wait for its end."""

    at: datetime
    stage: Stage
    start: Callable[[], object]


class SoakPlayer(Player):
    """A player that survives the end of the supervisor, and starts again by hand what the system gave up."""

    def __init__(self, stack: dict[str, Any], progress: Progress) -> None:
        super().__init__(stack, progress)
        self._dead_seen: set[tuple[str, str]] = set()
        self._failed_seen: set[str] = set()
        self._executions = (
            f"/v1/projects/{self.project}/locations/{self.location}"
            "/workflows/velocast-retrain/executions"
        )

    def settle(self, what: str) -> None:
        """Wait until all messages are delivered and no workflow runs. Raises DemoFailed after SETTLE_SECONDS."""
        if not wait_until(lambda: bool(self._get("/local/idle")["idle"]), SETTLE_SECONDS):
            raise DemoFailed(f"{what}: still busy after {SETTLE_SECONDS:g} s; see {self.url}")

    def deliveries(self) -> list[dict[str, Any]]:
        """Return all deliveries so far, oldest first."""
        found: list[dict[str, Any]] = self._get("/local/deliveries?limit=1000000")["deliveries"]
        return found

    def deliveries_to(self, function: str) -> list[dict[str, Any]]:
        """Return the deliveries to one function, oldest first."""
        return [d for d in self.deliveries() if d["subscription"].endswith(f"velocast-{function}")]

    def new_dead_letters(self) -> list[tuple[str, str]]:
        """Return the dead letters since the last call, as (function, message id)."""
        dead = {
            (d["subscription"].rpartition("velocast-")[2], d["message_id"])
            for d in self.deliveries()
            if d["outcome"] == "dead"
        }
        fresh = sorted(dead - self._dead_seen)
        self._dead_seen |= dead
        return fresh

    def new_failed_retrainings(self) -> list[RetrainArgument]:
        """Return the arguments of the executions that failed since the last call."""
        listed = self._get(f"{self._executions}?view=FULL&pageSize=1000").get("executions", [])
        failed = [
            e for e in listed if e["state"] == "FAILED" and e["name"] not in self._failed_seen
        ]
        self._failed_seen |= {e["name"] for e in failed}
        arguments = [json.loads(e.get("argument") or "{}") for e in failed]
        # Started by a person without an as_of, it would work at the present instead.
        return [RetrainArgument(**argument) for argument in arguments if argument.get("as_of")]

    def _get(self, path: str) -> dict[str, Any]:
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                answer: dict[str, Any] = self._http.get(path).raise_for_status().json()
                return answer
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


class UnsettledPlayer(SoakPlayer):
    """Starts runs without waiting for their end."""

    def settle(self, what: str) -> None:
        """Return at once; `wait` waits."""

    def wait(self, what: str) -> None:
        """Wait as SoakPlayer.settle does."""
        super().settle(what)


def planned_runs(
    player: UnsettledPlayer, first_day: date, schedules: Path
) -> Iterator[tuple[date, list[PlannedRun]]]:
    """Yield the runs of each day from `first_day` on, without end; before the first day's those of an empty system."""
    start = datetime.combine(first_day, datetime.min.time(), tzinfo=UTC)
    begin = [
        PlannedRun(start, "fetch", partial(player.publish, "velocast-fetch")),
        PlannedRun(start, "predict", partial(player.publish, "velocast-predict")),
        PlannedRun(start, "retrain", partial(player.publish, "velocast-monitor")),
    ]
    stages: dict[str, Stage] = {"fetch": "fetch", "predict": "predict", "monitor": "monitor"}
    stages["digest"] = "monitor"
    number = 0
    while True:
        after = start + timedelta(days=number) - timedelta(seconds=1)
        runs = [
            PlannedRun(at, stages[name], partial(player.run_schedule, job))
            for at, job in due(load_schedules(schedules), after, after + timedelta(days=1))
            # sweeps are left out: faults are planned for one run of each function a day
            if (name := job.removeprefix("velocast-")) in stages
        ]
        number += 1
        if number % RETRAIN_EVERY_DAYS == 0:
            noon = start + timedelta(days=number) - timedelta(hours=12)
            argument = RetrainArgument(force=True, reason="soak", as_of=rfc3339(noon))
            runs.append(PlannedRun(noon, "retrain", partial(player.start_workflow, argument)))
        yield (start + timedelta(days=number - 1)).date(), begin + runs
        begin = []


def play_clean(player: UnsettledPlayer, first_day: date, days: int, schedules: Path) -> None:
    """Play so many days without faults. Raises DemoFailed when a message is dead-lettered or a retraining fails."""
    player.set_clock(datetime.combine(first_day, datetime.min.time(), tzinfo=UTC), back=True)
    for _, runs in _first(planned_runs(player, first_day, schedules), days):
        _play_day(player, runs)


def _play_day(player: UnsettledPlayer, runs: list[PlannedRun]) -> None:
    for run in runs:
        player.set_clock(run.at)
        run.start()
        player.wait(run.stage)
        broken = [*player.new_dead_letters(), *player.new_failed_retrainings()]
        if broken:
            raise DemoFailed(f"{run.stage} at {rfc3339(run.at)}, without a fault: {broken}")


def _play_faulty_day(
    player: UnsettledPlayer, injector: Injector, runs: list[PlannedRun], say: Say
) -> None:
    left = list(runs)
    while left:
        run = left.pop(0)
        if _play_run(player, injector, run, left[0] if left else None, say):
            left.pop(0)


def play_with_faults(
    player: UnsettledPlayer,
    injector: Injector,
    first_day: date,
    schedules: Path,
    *,
    more: Callable[[int], bool],
    say: Say,
) -> int:
    """Play days with faults while `more(days played)`, then QUIET_DAYS without; return the number of days."""
    player.set_clock(datetime.combine(first_day, datetime.min.time(), tzinfo=UTC), back=True)
    days, quiet = 0, 0
    for day, runs in planned_runs(player, first_day, schedules):
        faulty = more(days) and not quiet
        if faulty:
            _play_faulty_day(player, injector, runs, say)
        else:
            _play_day(player, runs)
        days, quiet = days + 1, quiet + (not faulty)
        say(f"{day:%a %d %b} played" + ("" if faulty else ", without faults"))
        if quiet == QUIET_DAYS:
            break
    return days


def _first(
    days: Iterator[tuple[date, list[PlannedRun]]], number: int
) -> Iterator[tuple[date, list[PlannedRun]]]:
    for _, day in zip(range(number), days, strict=False):
        yield day


def _play_run(
    player: UnsettledPlayer, injector: Injector, run: PlannedRun, then: PlannedRun | None, say: Say
) -> bool:
    """Play one run with the faults planned for it; return whether the next run was played with it."""
    player.set_clock(run.at)
    before = len(injector.strikes)
    with injector.during(run.stage, run.at) as kinds:
        say(f"  {rfc3339(run.at)} {run.stage}: {', '.join(k.name for k in kinds)}")
        run.start()
        overtaken = then is not None and any(kind.name == REORDERED for kind in kinds)
        if then is not None and overtaken:
            _overtake(player, then)
            injector.release()
        player.wait(run.stage)
    healed = _heal(player, injector)
    if healed:
        say(f"    by hand: {'; '.join(healed)}")
        injector.strikes[before:] = [
            replace(strike, healed=tuple(healed)) for strike in injector.strikes[before:]
        ]
    return overtaken


def _overtake(player: UnsettledPlayer, run: PlannedRun) -> None:
    """Play a run while the one before it is held back."""
    player.set_clock(run.at)
    known = len(player.deliveries_to(run.stage))
    run.start()
    done = wait_until(
        lambda: [d["outcome"] for d in player.deliveries_to(run.stage)[known:]] == ["ok"],
        SETTLE_SECONDS,
    )
    if not done:
        raise DemoFailed(f"{run.stage} at {rfc3339(run.at)}, ahead of its turn: not processed")


def _heal(player: UnsettledPlayer, injector: Injector) -> list[str]:
    """Do what the runbooks tell a person to do; return what was done."""
    done = []
    for _ in range(HEALINGS):
        dead, failed = player.new_dead_letters(), player.new_failed_retrainings()
        for function, message in dead:
            replayed = injector.relays.replay(function, message)
            done.append(
                f"{function}: dead letter {message} replayed{'' if replayed else ' in vain'}"
            )
        for argument in failed:
            player.start_workflow(argument)
            done.append(f"retraining of {argument.as_of} started again")
        player.wait("what was started by hand")
        if not dead and not failed:
            break
    return done
