"""A checkout with the real configuration and tiny functions, jobs and a workflow, and a control plane over it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcp_emulators.core.http_server import free_ports
from velocast.core.city import load_city
from velocast_local.city.replayed_city import write_description
from velocast_local.stack.configuration import load_functions
from velocast_local.stack.control_plane import ControlPlane
from velocast_local.stack.state import BASE_PARTS, REPOSITORY, StackState

EVENT_FUNCTION = """
import functions_framework

@functions_framework.cloud_event
def {name}(event):
    print("event", event["id"], event["source"], event.data["message"]["publishTime"], flush=True)
"""
HTTP_FUNCTION = """
import functions_framework

@functions_framework.http
def serve(request):
    return "well"
"""
JOB = """
import os, sys, time
task, count, attempt = (os.environ[f"CLOUD_RUN_TASK_{n}"] for n in ("INDEX", "COUNT", "ATTEMPT"))
if count != "1":
    print(f"task {task} of {count} attempt {attempt}\\n", end="", flush=True)
print("attempt", attempt, "args", sys.argv[1:], flush=True)
print("sees", sorted(n for n in os.environ if n.startswith("VELOCAST_") and "BUCKET" in n), flush=True)
print("extra", os.environ.get("EXTRA"), flush=True)
if "--sleep" in sys.argv:
    time.sleep(60)
sys.exit(3 if "--fail" in sys.argv or f"--fail-task={task}" in sys.argv else 0)
"""
WORKFLOW = """
main:
  params: [args]
  steps:
    - begin:
        assign:
          - project: ${"projects/" + sys.get_env("GOOGLE_CLOUD_PROJECT_ID")}
          - location: ${project + "/locations/" + sys.get_env("GOOGLE_CLOUD_LOCATION")}
          - jobs_args: ${default(map.get(args, "jobs_args"), ["--seed=1"])}
    - train:
        call: googleapis.run.v2.projects.locations.jobs.run
        args:
          name: ${location + "/jobs/velocast-train"}
          body: {overrides: {containerOverrides: [{args: "${jobs_args}"}]}}
        result: execution
    - tell:
        call: googleapis.pubsub.v1.projects.topics.publish
        args:
          topic: ${project + "/topics/velocast-alerts"}
          body: {messages: [{data: "${base64.encode(json.encode(execution.succeededCount))}"}]}
    - end:
        return: {decision: DEPLOY, succeeded: "${execution.succeededCount}", at: "${time.format(sys.now())}"}
"""


def make_checkout(folder: Path) -> Path:
    """Write a checkout that holds what a stack runs, and return its root."""
    shutil.copytree(REPOSITORY / "terraform" / "config", folder / "terraform" / "config")
    for name in load_functions(folder / "terraform" / "config" / "functions.yaml"):
        text = HTTP_FUNCTION if name == "serve" else EVENT_FUNCTION.format(name=name)
        _write(folder / "functions" / name / "main.py", text)
    for name in ("train", "evaluate", "promote", "forecast", "publish"):
        _write(folder / "workflows" / "jobs" / f"{name}.py", JOB)
    _write(folder / "workflows" / "retrain.yaml", WORKFLOW)
    return folder


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def make_state(folder: Path, **ports: int) -> StackState:
    """Make the state of a stack over a tiny checkout in `folder`, with free ports but for those given."""
    root = make_checkout(folder / "checkout")
    parts = [*BASE_PARTS, *load_functions(root / "terraform" / "config" / "functions.yaml")]
    chosen = dict(zip(parts, free_ports(len(parts)), strict=True)) | ports
    home = folder / "home"
    (home / "secrets").mkdir(parents=True)
    (home / "secrets" / "api-keys").write_text("local:secret-of-the-test\n", encoding="utf-8")
    state = StackState(home, root, "demoville", None, chosen)
    write_description(load_city("demoville"), state.city_file)
    return state


@contextmanager
def running_control_plane(state: StackState) -> Iterator[ControlPlane]:
    """Run a control plane in this process: everything but the children."""
    plane = ControlPlane(state)
    plane.start()
    try:
        yield plane
    finally:
        plane.stop()
