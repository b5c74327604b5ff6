"""`make soak MINUTES=30`: play days with faults, play them again without, and compare. Exit code 1 if they differ."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from gcp_emulators.core.http_server import free_ports
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast_cli.operations.restoring.rehearsal import rehearse_restore
from velocast_cli.target import job_run
from velocast_local.city.files import CityFiles, make_synthetic
from velocast_local.city.replayed_counts import CityFile
from velocast_local.demo import Progress
from velocast_local.soak import playing
from velocast_local.soak.comparison.runs import compare_runs
from velocast_local.soak.evidence import Evidence, read_evidence
from velocast_local.soak.injection import Injector
from velocast_local.soak.plan import FaultPlan
from velocast_local.soak.relays import StackRelays
from velocast_local.soak.report import SoakReport, print_soak
from velocast_local.stack import environment, lifecycle
from velocast_local.stack.configuration import load_functions
from velocast_local.stack.state import BASE_PARTS, REPOSITORY, StackState

HISTORY_DAYS = 90
CITY = "demoville"

Say = Callable[[str], object]


def main(
    minutes: Annotated[float, typer.Option(min=0, help="Minutes to play with faults.")] = 30,
    days: Annotated[int, typer.Option(min=0, help="Days with faults, instead of minutes.")] = 0,
    counters: Annotated[int, typer.Option(min=1, help="Counters of the city.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the city and of the plan of faults.")] = 7,
    at_once: Annotated[int, typer.Option(min=1, help="Faults of one run.")] = 3,
    home: Annotated[Path | None, typer.Option(help="Folder for both stacks; kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON report.")] = False,
) -> None:
    """Play days while faults are injected, play the same days without them, and compare the two."""
    console = Console(stderr=as_json, highlight=False)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # cut answers are meant
    folder = home or Path(tempfile.mkdtemp(prefix="velocast-soak-"))
    soak = Soak(folder, counters=counters, seed=seed, at_once=at_once, say=console.print)
    report = soak.run(minutes=minutes, days=days)
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        print_soak(report, console)
    if report.unexplained:
        console.print(f"Both stacks are kept in {folder}; `velocast local up --home` starts them.")
        raise typer.Exit(1)
    if home is None:
        shutil.rmtree(folder)


class Soak:
    """Two stacks in one folder that play the same days: `faulty` and `clean`."""

    def __init__(self, folder: Path, *, counters: int, seed: int, at_once: int, say: Say) -> None:
        self.folder = folder.resolve()
        self.seed = seed
        self.say = say
        self._plan = FaultPlan(seed, at_once)
        self._counters = counters
        self._seconds: dict[str, float] = {}

    def run(self, *, minutes: float, days: int) -> SoakReport:
        """Play `days` days with faults (0: as many as fit into the minutes), then the clean run; compare them."""
        ahead = (days or int(minutes * 2) + 3) + playing.QUIET_DAYS
        files = make_synthetic(
            self.folder, counters=self._counters, days=HISTORY_DAYS + ahead, seed=self.seed
        )
        # A city publishes a day on the next one.
        first_day = CityFile(files.counts).last.date() - timedelta(days=ahead - 2)
        self.say(f"plan of faults: seed {self.seed}, {self._counters} counters, from {first_day}")
        played, faulty, injector = self._faulty(files, first_day, minutes=minutes, days=days)
        clean = self._clean(files, first_day, played)
        differences = compare_runs(clean, faulty, injector.strikes)
        return SoakReport(self.seed, played, injector.strikes, differences, self._seconds)

    def _faulty(
        self, files: CityFiles, first_day: date, *, minutes: float, days: int
    ) -> tuple[int, Evidence, Injector]:
        state = new_state(self.folder / "faulty", files)
        with StackRelays(state) as relays:

            def start() -> dict[str, Any]:
                return lifecycle.start_stack(state.home, relays=relays.ports)

            try:
                stack = start()
                injector = Injector(state.home, state.url, relays, self._plan, start)
                began = time.monotonic()
                with connect(state) as player:
                    played = playing.play_with_faults(
                        player,
                        injector,
                        first_day,
                        lifecycle.SCHEDULES,
                        more=lambda n: (
                            n < days if days else time.monotonic() - began < 60 * minutes
                        ),
                        say=self.say,
                    )
                self._seconds["faulty"] = time.monotonic() - began
                evidence = read_evidence(run_at(stack), stack)
                evidence.findings += rehearse(run_at(stack))
                return played, evidence, injector
            finally:
                lifecycle.stop_stack(state.home)

    def _clean(self, files: CityFiles, first_day: date, days: int) -> Evidence:
        self.say(f"the same {days} days without faults")
        state = new_state(self.folder / "clean", files)
        try:
            stack = lifecycle.start_stack(state.home)
            began = time.monotonic()
            with connect(state) as player:
                playing.play_clean(player, first_day, days, lifecycle.SCHEDULES)
            self._seconds["clean"] = time.monotonic() - began
            return read_evidence(run_at(stack), stack)
        finally:
            lifecycle.stop_stack(state.home)


def new_state(home: Path, files: CityFiles) -> StackState:
    """Write the state of a stack with free ports, so that relays know the ports before it starts."""
    parts = [*BASE_PARTS, *load_functions(REPOSITORY / "terraform" / "config" / "functions.yaml")]
    ports = dict(zip(parts, free_ports(len(parts)), strict=True))
    home.mkdir(parents=True)
    state = StackState(home, REPOSITORY, CITY, files.counts, ports, weather=files.weather)
    state.write()
    return state


def connect(state: StackState) -> playing.UnsettledPlayer:
    """Connect this process to a stack, past its relays, and return a player of it."""
    os.environ.update(environment.stack_environment(state))
    return playing.UnsettledPlayer(state.as_dict(), Progress(lambda line: line))


def run_at(stack: dict[str, Any]) -> Run[JobSettings]:
    """Return a run of a person on the stack to which this process is connected, at its simulated time."""
    clock = httpx.get(f"{stack['url']}/local/clock", timeout=30, trust_env=False).json()
    return job_run("soak", home=None, as_of=clock["now"])


def rehearse(run: Run[JobSettings]) -> list[str]:
    """Rehearse the restore from backups on what the faults have left; return what did not come back."""
    steps = rehearse_restore(run)
    return [f"restore of {step.what}: {step.detail}" for step in steps if not step.restored]


if __name__ == "__main__":
    typer.run(main)
