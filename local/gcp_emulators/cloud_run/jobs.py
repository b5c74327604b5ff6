"""Cloud Run jobs: each task of an execution is a child process; the execution's record is kept across restarts."""

from __future__ import annotations

import secrets
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.documents import Document, DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.processes import ChildProcesses
from gcp_emulators.core.times import after_start, rfc3339
from gcp_emulators.core.warm_python import WarmPython

RUNNING, SUCCEEDED, FAILED, CANCELLED = "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
Environment = Callable[[Sequence[str]], dict[str, str]]


class Job(BaseModel):
    """A job: Python runs `script` with `args`. environment: names of the variables that the script sees.

    parallelism: how many tasks of an execution run at a time; 0: all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = "local"
    script: str
    memory_mb: int
    cpu: int = 1
    timeout_seconds: int
    max_retries: int = 0
    task_count: int = 1
    parallelism: int = 1
    environment: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunOverrides:
    """Changes for one execution: `env` is added, the others replace the job's; None changes nothing."""

    args: tuple[str, ...] | None = None
    env: Mapping[str, str] | None = None
    timeout_seconds: float | None = None
    task_count: int | None = None

    @classmethod
    def from_body(cls, body: Document) -> RunOverrides:
        """Read the `overrides` of a run request of API v1 or v2."""
        overrides = body.get("overrides") or {}
        container = (overrides.get("containerOverrides") or [{}])[0]
        args = tuple(container.get("args") or ())
        cleared = bool(container.get("clearArgs"))
        env = {entry["name"]: entry.get("value", "") for entry in container.get("env") or ()}
        timeout = overrides.get("timeout") or overrides.get("timeoutSeconds")
        return cls(
            args=args if args or cleared else None,
            env=env,
            timeout_seconds=float(str(timeout).rstrip("s")) if timeout else None,
            task_count=int(overrides.get("taskCount") or 0) or None,
        )


class CloudRun:
    """The jobs and their executions.

    scripts: folder of the jobs' scripts. environment: returns the environment of a process, given the names of the
    variables that it sees. python: starts the scripts; None starts a new process for each. clock_variable: name of the
    variable that tells a script the simulated time at which its execution was created; None for no variable.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        *,
        scripts: Path,
        records: DocumentStore,
        logs: Path,
        clock: Clock,
        environment: Environment,
        python: WarmPython | None = None,
        clock_variable: str | None = None,
    ) -> None:
        self.jobs = dict(jobs)
        self._scripts = scripts
        self._records = records
        self._logs = logs
        self._clock = clock
        self._environment = environment
        self._runs = ChildProcesses()
        self._python = python
        self._clock_variable = clock_variable
        for left in records.newest_first():
            if left["state"] == RUNNING:
                records.update(
                    left["id"], state=FAILED, message="The emulator stopped during this execution."
                )

    def job(self, name: str) -> Job:
        """Return a job; raises GoogleApiError 404 with the names of the existing jobs."""
        if name not in self.jobs:
            raise GoogleApiError(
                404, f"Job '{name}' not found; there are {', '.join(sorted(self.jobs))}"
            )
        return self.jobs[name]

    def run(self, name: str, overrides: RunOverrides) -> Document:
        """Start an execution of a job and return its record at once."""
        job = self.job(name)
        execution_id = f"{name}-{''.join(secrets.choice(string.ascii_lowercase) for _ in range(5))}"
        args = list(job.args if overrides.args is None else overrides.args)
        now = rfc3339(self._clock.now())
        record = self._records.put(
            execution_id,
            {
                "id": execution_id,
                "job": name,
                "args": args,
                "created": now,
                "state": RUNNING,
                "message": "",
                "tasks": overrides.task_count or job.task_count,
                "counts": {},
                "log": str(self._logs / f"{execution_id}.log"),
            },
        )
        threading.Thread(target=self._run, args=(record, overrides), daemon=True).start()
        return record

    def execution(self, execution_id: str) -> Document:
        """Return an execution's record; raises GoogleApiError 404."""
        record = self._records.get(execution_id)
        if record is None:
            raise GoogleApiError(404, f"Execution '{execution_id}' not found")
        return record

    def executions(self, job: str | None = None) -> list[Document]:
        """Return the records of all executions, or of one job's, newest first."""
        return [r for r in self._records.newest_first() if job in (None, r["job"])]

    def active(self) -> int:
        """Return the number of running executions."""
        return sum(record["state"] == RUNNING for record in self._records.newest_first())

    def cancel(self, execution_id: str) -> Document:
        """End an execution's processes and return the record; an execution that has ended is unchanged."""
        for index in range(tasks_of(self.execution(execution_id))):
            self._runs.stop(_key(execution_id, index))
        return self.execution(execution_id)

    def stop(self) -> None:
        """End all running executions."""
        self._runs.stop_all()

    def _run(self, record: Document, overrides: RunOverrides) -> None:
        """Run all tasks. One that fails for good does not end the others, but the execution fails."""
        job, count = self.jobs[record["job"]], tasks_of(record)
        began = time.monotonic()
        with ThreadPoolExecutor(min(job.parallelism or count, count)) as pool:
            ended = list(pool.map(lambda n: self._task(record, job, overrides, n), range(count)))
        states = [task.state for task in ended]
        worst = next(task for task in ended if task.state == _worst(states))
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        self._records.update(
            record["id"],
            state=worst.state,
            message=worst.message,
            counts=counts,
            retried=sum(task.retried for task in ended),
            ended=after_start(record["created"], time.monotonic() - began),
        )

    def _task(self, record: Document, job: Job, overrides: RunOverrides, index: int) -> _EndedTask:
        state, message, attempt = FAILED, "", 0
        for attempt in range(job.max_retries + 1):
            state, message = self._attempt(record, job, overrides, index, attempt)
            if state != FAILED:
                break
        named = f"Task {index}: " if tasks_of(record) > 1 and state == FAILED else ""
        return _EndedTask(state, named + message, retried=attempt)

    def _attempt(
        self, record: Document, job: Job, overrides: RunOverrides, index: int, attempt: int
    ) -> tuple[str, str]:
        execution_id, log = record["id"], Path(record["log"])
        key = _key(execution_id, index)
        clock = {self._clock_variable: record["created"]} if self._clock_variable else {}
        environment = self._environment(job.environment) | clock | dict(overrides.env or {})
        environment |= {
            "CLOUD_RUN_JOB": record["job"],
            "CLOUD_RUN_EXECUTION": execution_id,
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_COUNT": str(tasks_of(record)),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
        }
        timeout = overrides.timeout_seconds or job.timeout_seconds
        command = [sys.executable, str(self._scripts / job.script), *record["args"]]
        try:
            code = self._runs.run(
                key,
                command,
                environment=environment,
                log=log,
                cwd=self._scripts,
                timeout=timeout,
                starter=self._python.start if self._python else None,
            )
        except subprocess.TimeoutExpired:
            return (
                FAILED,
                f"The task was ended after its timeout of {timeout:g} s. {_last_line(log)}",
            )
        if self._runs.was_stopped(key):
            return CANCELLED, "The execution was cancelled."
        if code == 0:
            return SUCCEEDED, "Execution completed successfully."
        return FAILED, f"The container exited with an error, exit code {code}. {_last_line(log)}"


@dataclass(frozen=True)
class _EndedTask:
    state: str
    message: str
    retried: int


def tasks_of(record: Document) -> int:
    """Return how many tasks an execution has; records of earlier versions have one."""
    return int(record.get("tasks", 1))


def _key(execution_id: str, index: int) -> str:
    return f"{execution_id}/{index}"


def _worst(states: Sequence[str]) -> str:
    return next(state for state in (CANCELLED, FAILED, SUCCEEDED) if state in states)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f"Its last line: {lines[-1][:500]} " if lines else ""
    return f"{last}(log: {log})"
