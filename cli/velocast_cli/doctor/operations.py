"""What may be stuck: the lease of the retraining, and messages that nobody could process."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from velocast.adapters import google_clients
from velocast.adapters.retrain_lease import LEASE
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import EventError, ObjectMissing
from velocast_cli.doctor.findings import Finding
from velocast_cli.doctor.grants import read_config
from velocast_cli.doctor.system import System
from velocast_cli.operations.dead_letters import DeadLetter, DeadLetterBox
from velocast_cli.operations.deployment import DEAD_LETTERS

WORKFLOW = "velocast-retrain"
AT_WORK = ("ACTIVE", "QUEUED")
JOB_RUNNING = "JOB_RUNNING"
LISTED = 20


@dataclass(frozen=True)
class RetrainLease:
    """The lease: its generation, holder and end. `expires_at` None: the object cannot be read."""

    generation: int
    owner: str
    expires_at: datetime | None


def read_lease(system: System) -> RetrainLease | None:
    """Return the lease that is held; None when it is free."""
    try:
        stored = system.models.read(LEASE)
    except ObjectMissing:
        return None
    try:
        content = json.loads(stored.data)
        return RetrainLease(
            stored.generation, str(content["owner"]), parse_instant(content["expires_at"])
        )
    except (ValueError, KeyError, TypeError, EventError):
        return RetrainLease(stored.generation, "unknown", None)


def holder_state(system: System, owner: str) -> str | None:
    """Return the state of the execution that holds the lease (ACTIVE, FAILED, ...); None if it is no execution.

    JOB_RUNNING: it has ended, but a job that it started goes on, as after a cancellation.
    """
    from google.api_core.exceptions import InvalidArgument, NotFound

    parent = f"projects/{system.project}/locations/{system.location}"
    name = f"{parent}/workflows/{WORKFLOW}/executions/{owner}"
    try:
        found = google_clients.executions_client().get_execution(name=name, timeout=30)
    except (NotFound, InvalidArgument):
        return None
    state = str(found.state.name)
    return JOB_RUNNING if state not in AT_WORK and _job_runs(system, parent, owner) else state


def _job_runs(system: System, parent: str, owner: str) -> bool:
    """Return whether a job that an execution of the workflow started still runs."""
    api, argument = system.api("run"), f"--execution-id={owner}"
    return any(
        "completionTime" not in execution
        and argument in execution["template"]["containers"][0].get("args", ())
        for job in read_config("jobs")
        for execution in api.get(f"v2/{parent}/jobs/{job}/executions", pageSize=LISTED).get(
            "executions", []
        )
    )


def examine_lease(system: System) -> list[Finding]:
    """Check that the lease is free, or held by an execution that works."""
    lease = read_lease(system)
    if lease is None:
        return []
    state = None if lease.expires_at is None else holder_state(system, lease.owner)
    return judge_lease(lease, state, system.as_of, uri=system.models.uri(LEASE))


def judge_lease(
    lease: RetrainLease, state: str | None, as_of: datetime, *, uri: str
) -> list[Finding]:
    """Judge a held lease. state: of the execution that holds it; None if the holder is no execution."""
    if state in AT_WORK:
        return []
    until = lease.expires_at
    when = "unreadable" if until is None else f"until {rfc3339(until)}"
    who = f"execution {lease.owner}, which is {state}" if state else f"{lease.owner!r}"
    values: dict[str, Any] = {
        "check": "lease",
        "subject": uri,
        "found": f"The lease is held by {who}, {when}.",
        "meaning": "Nobody works under this lease, and it may keep every retraining from starting.",
        "command": f"gcloud storage rm {uri}",
        "repair": "release_lease",
    }
    if state == JOB_RUNNING:
        values |= {
            "found": f"The lease is held by execution {lease.owner}, which is over; a job it started still runs.",
            "meaning": "The retraining was cancelled, but not its job. No other retraining starts until the job ends.",
            "command": "gcloud run jobs executions list",
            "repair": None,
        }
    elif state is None and until is not None and until > as_of:
        values |= {
            "kind": "unknown",
            "meaning": f"The holder is not an execution of {WORKFLOW}, so it is unknown whether it is still at work. "
            "No retraining starts until then.",
            "command": f"gcloud storage cat {uri}",
            "repair": None,
        }
    return [Finding.model_validate(values)]


def examine_dead_letters(system: System) -> list[Finding]:
    """Look for messages in the subscription that keeps dead letters, and leave them there."""
    with DeadLetterBox(system.run) as box:
        return judge_dead_letters(box.waiting())


def judge_dead_letters(letters: Sequence[DeadLetter]) -> list[Finding]:
    """Judge the messages that wait in the dead-letter subscription."""
    if not letters:
        return []
    sources = Counter(letter.subscription for letter in letters)
    parts = ", ".join(f"{number} of {name}" for name, number in sources.most_common())
    return [
        Finding(
            check="dead_letters",
            subject=DEAD_LETTERS,
            found=f"Messages that could not be processed: {len(letters)} ({parts}).",
            meaning="What they asked for was not done. Find the cause, then replay or drop them.",
            command="velocast dead-letters list",
        )
    ]
