"""Workflow executions: each is a child process; its record is kept across restarts."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.documents import Document, DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.processes import ChildProcesses
from gcp_emulators.core.times import after_start, rfc3339
from gcp_emulators.core.warm_python import WarmPython
from gcp_emulators.workflows.scopes import check_scopes

ACTIVE, SUCCEEDED, FAILED, CANCELLED = "ACTIVE", "SUCCEEDED", "FAILED", "CANCELLED"
ARGUMENT_LIMIT_BYTES = 32_768


class WorkflowExecutions:
    """The workflows and their executions, in the shape of the Executions API's REST answers.

    endpoint: base URL that answers for Google's APIs. environment: returns the variables of an execution's process.
    variable_prefix: sys.get_env reads, besides the built-in variables, those that start with it; None for no others.
    python: starts the executions' processes; None starts a new Python for each.
    Raises ScopeError for a file that Google would refuse to deploy for its variables.
    """

    def __init__(
        self,
        workflows: Mapping[str, Path],
        *,
        project: str,
        location: str,
        records: DocumentStore,
        folder: Path,
        clock_file: Path,
        endpoint: str,
        environment: Callable[[], dict[str, str]],
        variable_prefix: str | None = None,
        python: WarmPython | None = None,
    ) -> None:
        for source in workflows.values():
            check_scopes(yaml.safe_load(source.read_text(encoding="utf-8")))
        self.workflows = dict(workflows)
        self.parent = f"projects/{project}/locations/{location}"
        self._project, self._location = project, location
        self._records = records
        self._folder = folder
        self._clock_file = clock_file
        self._clock = Clock(clock_file)
        self._endpoint = endpoint
        self._environment = environment
        self._variable_prefix = variable_prefix
        self._python = python
        self._runs = ChildProcesses()
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> int:
        """Run the executions again, under their ids, that were ACTIVE at the last stop; return their number.

        In the cloud an execution outlives any machine. Here its process has ended, so it starts from its first step:
        the workflow must be idempotent by execution id.
        """
        everything = self._records.newest_first()
        left = [r for r in everything if r["state"] == ACTIVE and _workflow(r) in self.workflows]
        for record in reversed(left):
            self._start(record)
        return len(left)

    def workflow(self, name: str) -> Document:
        """Return a workflow's resource with its source; raises GoogleApiError 404."""
        if name not in self.workflows:
            known = ", ".join(sorted(self.workflows)) or "none"
            raise GoogleApiError(
                404, f"workflow '{name}' not found in {self.parent}; there is {known}"
            )
        source = self.workflows[name].read_text(encoding="utf-8")
        return {
            "name": f"{self.parent}/workflows/{name}",
            "state": "ACTIVE",
            "revisionId": "000001-" + hashlib.sha256(source.encode()).hexdigest()[:3],
            "createTime": "2025-01-01T00:00:00Z",
            "updateTime": "2025-01-01T00:00:00Z",
            "sourceContents": source,
        }

    def create(self, workflow: str, execution: Document) -> Document:
        """Start an execution and return its record at once, ACTIVE.

        Raises GoogleApiError 404 for an unknown workflow and 400 for an argument that is not JSON or over 32 KB.
        """
        resource = self.workflow(workflow)
        argument = _checked_argument(execution.get("argument"))
        execution_id = str(uuid.uuid4())
        record: Document = {
            "name": f"{resource['name']}/executions/{execution_id}",
            "createTime": rfc3339(self._clock.now()),
            "startTime": rfc3339(self._clock.now()),
            "state": ACTIVE,
            "workflowRevisionId": resource["revisionId"],
            "labels": dict(execution.get("labels") or {}),
        }
        if argument is not None:
            record["argument"] = argument
        self._records.put(execution_id, record)
        self._start(record)
        return record

    def get(self, workflow: str, execution_id: str) -> Document:
        """Return an execution; raises GoogleApiError 404."""
        record = self._records.get(execution_id)
        if record is None or _workflow(record) != workflow:
            raise GoogleApiError(
                404, f"execution '{execution_id}' of workflow '{workflow}' not found"
            )
        return record

    def list(self, workflow: str, state: str | None = None) -> list[Document]:
        """Return a workflow's executions, newest first, optionally only those in `state`."""
        self.workflow(workflow)
        mine = [r for r in self._records.newest_first() if _workflow(r) == workflow]
        return [r for r in mine if state in (None, r["state"])]

    def cancel(self, workflow: str, execution_id: str) -> Document:
        """End an execution's process; jobs that it started continue, as in the cloud.

        Raises GoogleApiError 404, or 400 when the execution has already ended.
        """
        record = self.get(workflow, execution_id)
        if record["state"] != ACTIVE:
            raise GoogleApiError(
                400, f"execution '{execution_id}' has ended already: {record['state']}"
            )
        self._runs.stop(execution_id)
        return self._records.update(
            execution_id, state=CANCELLED, endTime=rfc3339(self._clock.now())
        )

    def active(self) -> int:
        """Return the number of running executions."""
        return sum(record["state"] == ACTIVE for record in self._records.newest_first())

    def stop(self) -> None:
        """End all running executions."""
        self._runs.stop_all()

    def _start(self, record: Document) -> None:
        threading.Thread(target=self._run, args=(_workflow(record), record), daemon=True).start()

    def _run(self, workflow: str, record: Document) -> None:
        execution_id, began = _id(record), time.monotonic()
        result = self._folder / f"{execution_id}.result.json"
        log = self._folder / f"{execution_id}.log"
        command = self._command(workflow, record.get("argument", "null"), result)
        environment = self._environment() | {
            "GOOGLE_CLOUD_PROJECT_ID": self._project,
            "GOOGLE_CLOUD_LOCATION": self._location,
            "GOOGLE_CLOUD_WORKFLOW_ID": workflow,
            "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": execution_id,
        }
        code = self._runs.run(
            execution_id,
            command,
            environment=environment,
            log=log,
            cwd=self._folder,
            starter=self._python.start if self._python else None,
        )
        if self._runs.closed and not result.exists():
            return  # interrupted by stop(): it stays ACTIVE for `resume`
        cancelled = self._runs.was_stopped(execution_id)
        end = {"state": CANCELLED} if cancelled else _end(result, code, log)
        elapsed = time.monotonic() - began
        ended = after_start(record["startTime"], elapsed)
        self._records.update(execution_id, endTime=ended, duration=f"{elapsed:.3f}s", **end)

    def _command(self, workflow: str, argument: str, result: Path) -> Sequence[str]:
        command = [sys.executable, "-m", "gcp_emulators.workflows.interpreter"]
        command += ["--source", str(self.workflows[workflow]), "--argument", argument]
        command += ["--result", str(result), "--endpoint", self._endpoint]
        command += ["--clock", str(self._clock_file)]
        if self._variable_prefix:
            command += ["--variable-prefix", self._variable_prefix]
        return command


def _checked_argument(argument: Any) -> str | None:
    if argument is None or argument == "":
        return None
    try:
        json.loads(argument)
    except (TypeError, ValueError) as exc:
        raise GoogleApiError(400, f"the execution's argument is not a JSON text: {exc}") from exc
    if len(argument.encode()) > ARGUMENT_LIMIT_BYTES:
        raise GoogleApiError(
            400,
            f"the argument has {len(argument.encode())} bytes, {ARGUMENT_LIMIT_BYTES} are allowed",
        )
    return str(argument)


def _end(result: Path, code: int, log: Path) -> Document:
    if not result.exists():
        return {
            "state": FAILED,
            "error": _error(f"the execution's process ended with {code}", f"log: {log}"),
        }
    end: Document = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()
    return end


def _error(message: str, context: str) -> Document:
    return {
        "payload": json.dumps({"message": message, "tags": ["SystemError"]}),
        "context": context,
    }


def _id(record: Document) -> str:
    return str(record["name"]).rpartition("/")[2]


def _workflow(record: Document) -> str:
    return str(record["name"]).split("/")[5]
