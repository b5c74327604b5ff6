"""The stack's log files as the resources of Cloud Logging that they are in the cloud."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gcp_emulators.cloud_logging.api import LogFile
from gcp_emulators.cloud_run.jobs import CloudRun
from gcp_emulators.workflows.executions import WorkflowExecutions
from velocast_local.stack.configuration import NAME_PREFIX
from velocast_local.stack.state import StackState


def stack_log_files(
    state: StackState, functions: Collection[str], jobs: CloudRun, executions: WorkflowExecutions
) -> Iterator[LogFile]:
    """Yield the logs of the functions, of all executions of jobs and of all workflow executions."""
    place = {"location": state.location, "project_id": state.project}
    for name in functions:
        labels = place | {"service_name": NAME_PREFIX + name}
        yield LogFile(state.logs / f"{name}.log", "cloud_run_revision", labels)
    for record in jobs.executions():
        execution = {"run.googleapis.com/execution_name": record["id"]}
        labels = place | {"job_name": record["job"]}
        file = state.logs / "jobs" / f"{record['id']}.log"
        yield LogFile(file, "cloud_run_job", labels, execution)
    for workflow in executions.workflows:
        for record in reversed(executions.list(workflow)):
            execution_id = str(record["name"]).rpartition("/")[2]
            yield LogFile(
                state.logs / "workflows" / f"{execution_id}.log",
                "workflows.googleapis.com/Workflow",
                place | {"workflow_id": workflow},
                {"workflows.googleapis.com/execution_id": execution_id},
            )
