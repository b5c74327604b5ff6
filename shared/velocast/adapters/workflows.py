"""Starts executions of workflows."""

from __future__ import annotations

import re

from velocast.adapters import google_clients
from velocast.core.errors import WorkflowError
from velocast.core.requests import Message

START_SECONDS = 60.0
LABEL = "velocast-cause"


def start_execution(
    project: str, location: str, workflow: str, argument: Message, *, label: str
) -> str:
    """Start an execution of a workflow and return its id, without waiting for it to end.

    label: what caused the execution (a message id); becomes its label `velocast-cause`.
    Raises WorkflowError if the service refuses or does not answer.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.workflows.executions_v1 import Execution

    parent = f"projects/{project}/locations/{location}/workflows/{workflow}"
    execution = Execution(argument=argument.model_dump_json(), labels={LABEL: _label_value(label)})
    try:
        # No retries: the execution may have started even if its answer was lost, and the event comes again anyway.
        created = google_clients.executions_client().create_execution(
            parent=parent, execution=execution, retry=None, timeout=START_SECONDS
        )
    except (GoogleAPIError, GoogleAuthError) as exc:
        message = getattr(exc, "message", None) or str(exc)
        raise WorkflowError(
            f"workflow {workflow} in {location} was not started: {message}"
        ) from exc
    return str(created.name).rsplit("/", 1)[-1]


def _label_value(text: str) -> str:
    """Return a text as a valid Google label: at most 63 characters, which are lower-case letters, digits, - or _."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
