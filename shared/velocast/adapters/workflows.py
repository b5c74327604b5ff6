"""Executions of workflows."""

from __future__ import annotations

import re

from velocast.adapters import google_clients
from velocast.core.errors import WorkflowError
from velocast.core.requests import RetrainArgument

START_SECONDS = 60.0
LABEL = "velocast-cause"


def start(
    project: str, location: str, workflow: str, argument: RetrainArgument, *, label: str
) -> str:
    """Start an execution of a workflow and return its id, without waiting for its end.

    label: who or what asked for it (a message id); it becomes the execution's label `velocast-cause`.
    Raises WorkflowError when the service refuses or does not answer.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.workflows.executions_v1 import Execution

    parent = f"projects/{project}/locations/{location}/workflows/{workflow}"
    execution = Execution(argument=argument.model_dump_json(), labels={LABEL: _label_value(label)})
    try:
        # No retries: a start whose answer got lost may have happened, and the event that asked comes again anyway.
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
    """Spell a text as Google's labels must be: lower case letters, digits, - and _, at most 63."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
