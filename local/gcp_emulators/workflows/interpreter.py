"""Executes a workflow file once, in a process of its own.

    python -m gcp_emulators.workflows.interpreter --source workflow.yaml --argument '{"force":true}' \
        --result result.json --endpoint http://127.0.0.1:8080 --clock clock

The file is the one that is deployed, executed by workflows-emulator. Where that library differs from Cloud Workflows,
it is corrected here, in expressions.py, standard_library.py and connectors.py, never in the workflow. The library keeps
a global lock and global variables, so each execution needs a process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import workflows_emulator.main as emulator
from workflows_emulator import render
from workflows_emulator.lib import http_utils
from workflows_emulator.utils import WorkflowError

from gcp_emulators.core.clock import Clock
from gcp_emulators.workflows import expressions
from gcp_emulators.workflows.connectors import GOOGLE_HOSTS, OutgoingCalls
from gcp_emulators.workflows.scopes import check_scopes
from gcp_emulators.workflows.standard_library import replace_functions, to_string

Json = dict[str, Any]

_NULL = object()
_execute_step = emulator.execute_step
_execute_subworkflow = emulator.execute_subworkflow
_SEVERITIES = {"DEFAULT": "INFO", "NOTICE": "INFO", "ALERT": "CRITICAL", "EMERGENCY": "CRITICAL"}
# In the cloud a workflow can read these variables, and those that its deployment sets (user_env_vars).
_BUILT_IN_VARIABLES = (
    "GOOGLE_CLOUD_PROJECT_ID",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_WORKFLOW_ID",
    "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID",
)


@dataclass(frozen=True)
class ExecutionInputs:
    """The file, its argument and the world around it.

    endpoints: base URL by service, as in connectors.local_url. clock: None for the machine's time. environment: its
    built-in variables and those that start with `variable_prefix` can be read with sys.get_env.
    """

    source: Path
    argument: Any
    endpoints: Mapping[str, str]
    clock: Clock | None
    environment: Mapping[str, str]
    variable_prefix: str | None = None


def execute(inputs: ExecutionInputs) -> Json:
    """Execute the workflow and return {state: SUCCEEDED, result} or {state: FAILED, error: {payload, context}}.

    `result` and `payload` are JSON texts, as the Executions API gives them.
    """
    correct_emulator(inputs)
    try:
        workflow = emulator.load_workflow(str(inputs.source))
        check_scopes(workflow)
        main = workflow if isinstance(workflow, list) else workflow["main"]
        parameters = [] if isinstance(main, list) else main.get("params", [])
        names = [p if isinstance(p, str) else next(iter(p)) for p in parameters]
        value = emulator.execute_workflow(workflow, dict.fromkeys(names[:1], inputs.argument))
    except WorkflowError as exc:
        return _failed(
            expressions.plain(exc.payload), f"in {getattr(exc, 'where', inputs.source.name)}"
        )
    # outermost handler: any error must reach whoever waits for this execution
    except Exception as exc:
        logging.getLogger("workflows").exception("the workflow failed")
        payload = {"message": f"{type(exc).__name__}: {exc}", "tags": ["SystemError"]}
        return _failed(payload, f"in {inputs.source.name}")
    return {"state": "SUCCEEDED", "result": json.dumps(value)}


def _failed(payload: Any, context: str) -> Json:
    summary = payload.get("message") if isinstance(payload, dict) else payload
    return {
        "state": "FAILED",
        "error": {"payload": json.dumps(payload), "context": f"{summary}\n{context}"},
    }


def correct_emulator(inputs: ExecutionInputs) -> None:
    """Replace the parts of workflows-emulator, in this process, that differ from Cloud Workflows."""
    outgoing = OutgoingCalls(inputs.endpoints)
    http_utils.request = outgoing.request
    emulator.StepCall.execute_connector = staticmethod(outgoing.connector)
    render.render_str = expressions.render_text
    emulator.run_code = expressions.call_function
    emulator.assign_var = expressions.assign
    # An error inside an assign never releases the lock, and the next assign would wait forever.
    emulator.LOCK = _NoLock()
    emulator.execute_step = _execute_step_located
    emulator.execute_subworkflow = _execute_subworkflow_with_null
    emulator.StepReturn.execute = _return
    emulator.StepTry.execute = _try
    emulator.StepRetry.execute = _retry
    emulator.WORKFLOW_SCHEMA = _loosened(emulator.WORKFLOW_SCHEMA)
    replace_functions("http", request=outgoing.request)
    replace_functions("sys", log=_log, get_env=_environment_reader(inputs))
    if inputs.clock is not None:
        clock = inputs.clock
        replace_functions("sys", now=lambda: clock.now().timestamp())


def _loosened(schema: Any) -> Any:
    """Allow fractions and expressions for numbers and booleans: `multiplier: 1.5`, `timeout: ${seconds}`."""
    if isinstance(schema, list):
        return [_loosened(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    looser = {key: _loosened(value) for key, value in schema.items()}
    if looser.get("type") in ("integer", "number", "boolean"):
        looser["type"] = ["number", "boolean", "string"]
    return looser


class _NoLock:
    def acquire(self) -> None: ...

    def release(self) -> None: ...


def _execute_step_located(step_id: str, config: Json, context: Json) -> Any:
    """Run a step; record the step in which a WorkflowError was raised."""
    try:
        return _execute_step(step_id, config, context)
    except WorkflowError as exc:
        if not hasattr(exc, "where"):
            exc.where = f'step "{step_id}"'
        raise


def _execute_subworkflow_with_null(workflow: Json, params: Json, context: Json) -> Any:
    value = _execute_subworkflow(workflow, params, context)
    return None if value is _NULL else value


def _return(self: Any) -> Any:
    """`return: null` ends the workflow too; the emulator reads None as "nothing returned yet"."""
    value = render.render_config(self.config["return"], self.context)
    return self.context, None, _NULL if value is None else value


def _try(self: Any) -> Any:
    try:
        return emulator.execute_step(self.step_id, self.config["try"], self.context)
    except WorkflowError as exc:
        return _except(self, exc)


def _except(step: Any, error: WorkflowError) -> Any:
    """Run the `except` steps with the error's payload, a map or the raised text; without steps, raise it again.

    Variables that the steps make are local to them; the emulator keeps them.
    """
    handler = step.config.get("except")
    if handler is None:
        raise error
    around = set(step.context)
    step.context[handler["as"]] = expressions.plain(error.payload)
    context, following, value = emulator.execute_steps_list(handler["steps"], step.context)
    for name in context.keys() - around:
        del context[name]
    return context, following, value


def _retry(self: Any) -> Any:
    """Retry as the policy says.

    The emulator reads `delay` instead of `initial_delay`, gives up at `max_delay` instead of using it as the longest
    wait, and sleeps once more after the last attempt.
    """
    policy = render.render_config(self.config["retry"], self.context)
    backoff = policy.get("backoff") or {}
    delay = float(backoff.get("initial_delay", 1))
    left = int(policy.get("max_retries", 5))
    while True:
        try:
            return emulator.execute_step(self.step_id, self.config["try"], self.context)
        except WorkflowError as exc:
            if left == 0 or not _wants_retry(policy.get("predicate"), exc, self.context):
                return _except(self, exc)
        left -= 1
        time.sleep(delay)
        delay = min(
            delay * float(backoff.get("multiplier", 1.25)), float(backoff.get("max_delay", 60))
        )


def _wants_retry(predicate: Json | None, error: WorkflowError, context: Json) -> bool:
    if predicate is None:
        return True
    name = next(iter(predicate.get("params", ["e"])))
    known = emulator.keep_only_subworkflows(context)
    return bool(
        emulator.execute_subworkflow(predicate, {name: expressions.plain(error.payload)}, known)
    )


def _log(
    text: Any = None, severity: str = "INFO", json: Any = None, data: Any = None, **_unused: Any
) -> None:
    """Write one line in the form of Cloud Logging; the emulator knows only Python's severities."""
    entry = {
        "severity": severity,
        "message": next((v for v in (text, json, data) if v is not None), ""),
    }
    level = logging.getLevelNamesMapping().get(_SEVERITIES.get(severity, severity), logging.INFO)
    logging.getLogger("workflows.log").log(level, to_string(entry))


def _environment_reader(inputs: ExecutionInputs) -> Any:
    prefix = inputs.variable_prefix
    visible = {
        name: value
        for name, value in inputs.environment.items()
        if name in _BUILT_IN_VARIABLES or (prefix and name.startswith(prefix))
    }

    def get_env(name: str, default: str | None = None) -> str:
        value = visible.get(name, default)
        if value is None:
            raise KeyError(f"environment variable {name} is not set for this workflow")
        return value

    return get_env


def main() -> None:
    """Execute the workflow that the command line names and write the outcome to the file `--result`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--argument", default="null", help="the execution's argument, as JSON")
    parser.add_argument(
        "--result", type=Path, required=True, help="file to which the outcome is written, as JSON"
    )
    parser.add_argument("--endpoint", required=True, help="base URL that answers for Google's APIs")
    parser.add_argument(
        "--clock", type=Path, help="file of the simulated clock; default: the machine's time"
    )
    parser.add_argument(
        "--variable-prefix",
        help="sys.get_env also reads environment variables that start with it",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    inputs = ExecutionInputs(
        source=options.source,
        argument=json.loads(options.argument),
        endpoints=dict.fromkeys(GOOGLE_HOSTS, options.endpoint),
        clock=Clock(options.clock) if options.clock else None,
        environment=dict(os.environ),
        variable_prefix=options.variable_prefix,
    )
    draft = options.result.with_suffix(".draft")
    draft.write_text(json.dumps(execute(inputs)), encoding="utf-8")
    draft.replace(options.result)


if __name__ == "__main__":
    main()
