"""The process of an outside forecaster: one JSON line in for each origin, one JSON line back when it has forecast.

A line to the command has:

- counts: a Parquet file of the usable counts that became known since the line before (counter_id, counted_at in UTC,
  bike_count); on the first line all counts before the origin. Nothing from the origin on is ever handed over.
- origin_at: the time of the forecast (ISO 8601, UTC); hours: how many hours from it to forecast.
- retrain: whether the backtest trains its own models again here.
- zone and holidays: the city's time zone, and its public holidays from the first count to the last hour to forecast.
- forecasts: the Parquet file to write, with counter_id, target_at (UTC), predicted_count, and optionally lower and
  upper (90 % interval).

The command answers one JSON object on its standard output. It may contain `fit_seconds`: how much of the time was
training. Standard error is free for its messages.
"""

from __future__ import annotations

import json
import queue
import subprocess  # nosec B404
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any, cast

import psutil

from velocast.core.errors import VelocastError
from velocast_cli.backtesting.outside.request import OutsideForecaster
from velocast_cli.backtesting.resources import cpu_seconds_of

SAMPLING_SECONDS = 0.1
LEAVING_SECONDS = 10.0
SHOWN_CHARACTERS = 400


class ForecasterFailed(VelocastError):
    """An outside forecaster ended, answered nonsense, took too long, or wrote forecasts that cannot be used."""

    code = "outside_forecaster_failed"


@dataclass
class ForecasterCost:
    """What an outside forecaster cost: wall time of training and of forecasting, CPU time (s), peak memory (MB).

    The CPU time is that of all threads since the command was started. It and the memory are sums over the command and
    the processes that it started.
    """

    fit_seconds: float = 0.0
    forecast_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass
class RunningForecaster:
    """A started forecaster. `ask` sends a line and waits for the answer."""

    name: str
    process: subprocess.Popen[str]
    messages: IO[bytes]
    timeout: float
    cost: ForecasterCost = field(default_factory=ForecasterCost)
    answers: queue.Queue[str] = field(default_factory=queue.Queue)

    def ask(self, line: dict[str, Any]) -> None:
        """Send a line, wait for the answer and add its time to the cost. Raises ForecasterFailed."""
        began = time.monotonic()
        answer = self._answer(json.dumps(line))
        took = time.monotonic() - began
        fit = answer.get("fit_seconds", 0.0)
        if not isinstance(fit, (int, float)) or not fit >= 0:
            raise ForecasterFailed(
                f"{self.name}: fit_seconds is {fit!r} in its answer, expected seconds or nothing"
            )
        self.cost.fit_seconds += min(fit, took)
        self.cost.forecast_seconds += took - min(fit, took)

    def _answer(self, line: str) -> dict[str, Any]:
        given = _pipe(self.process.stdin)
        with suppress(BrokenPipeError):  # it has ended, which the missing answer tells
            given.write(line + "\n")
            given.flush()
        try:
            text = self.answers.get(timeout=self.timeout)
        except queue.Empty:
            raise ForecasterFailed(
                f"{self.name}: no answer within {self.timeout:,.0f} s; allow more time (--against-timeout) or fewer "
                f"origins and counters (--against-every, --against-counters){self._last_messages()}"
            ) from None
        if not text:
            code = self.process.wait()
            raise ForecasterFailed(
                f"{self.name}: ended with exit code {code} before it answered{self._last_messages()}"
            )
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ForecasterFailed(
                f"{self.name}: answered {text[:80].strip()!r}; expected one JSON object on a line, and everything else "
                "on standard error"
            )
        return answer

    def _last_messages(self) -> str:
        """Return the end of what it wrote on standard error, for an error message."""
        self.messages.seek(0)
        text = self.messages.read().decode(errors="replace").strip()
        return f"; its last messages: {text[-SHOWN_CHARACTERS:]}" if text else ""


@contextmanager
def started(forecaster: OutsideForecaster, timeout: float) -> Iterator[RunningForecaster]:
    """Start a forecaster, measure it while the block runs, and end it. Raises ForecasterFailed."""
    with TemporaryFile() as messages:
        try:
            # The command is what a person named on the command line; it is run without a shell.
            process = subprocess.Popen(  # nosec B603
                forecaster.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as exc:
            raise ForecasterFailed(
                f"{forecaster.name}: cannot start {forecaster.command!r}: {exc.strerror or exc}"
            ) from exc
        running = RunningForecaster(forecaster.name, process, messages, timeout)
        over = threading.Event()
        threads = [
            threading.Thread(target=_read_answers, args=(running,), daemon=True),
            threading.Thread(target=_sample, args=(running, over), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield running
        except ForecasterFailed:
            for member in _tree(process.pid):  # it need not be asked to leave
                with suppress(psutil.Error):
                    member.kill()
            raise
        finally:
            over.set()
            _end(process)
            for thread in threads:
                thread.join()
            _pipe(process.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    """Return a stream of a process that was started with pipes for both."""
    return cast("IO[str]", stream)


def _read_answers(running: RunningForecaster) -> None:
    for text in _pipe(running.process.stdout):
        running.answers.put(text)
    running.answers.put("")  # the end


def _sample(running: RunningForecaster, over: threading.Event) -> None:
    cost = running.cost
    while not over.is_set():
        memory, processes = 0.0, _tree(running.process.pid)
        for process in processes:
            with suppress(psutil.Error):
                memory += process.memory_info().rss / 2**20
        seconds = cpu_seconds_of(processes)
        cost.peak_mb = max(cost.peak_mb, memory)
        cost.cpu_seconds = max(cost.cpu_seconds, seconds)
        over.wait(SAMPLING_SECONDS)


def _tree(pid: int) -> list[psutil.Process]:
    """Return a process and those that it started; nothing when it has ended."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def _end(process: subprocess.Popen[str]) -> None:
    """Close the forecaster's input, which asks it to leave, and kill it where it stays."""
    with suppress(BrokenPipeError):
        _pipe(process.stdin).close()
    try:
        process.wait(LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
