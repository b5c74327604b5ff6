"""Schemathesis judges serve: requests made from its OpenAPI document, and answers compared with it.

The short form takes some twenty seconds; `make fuzz SECONDS=300` goes on as long as it is told.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gcp_emulators.core.http_server import LOOPBACK
from tests import emulators
from tests.functions.serving_process import running_serve
from tests.shared.usecases.serving.serving_app import KEY

ROOT = Path(__file__).parents[2]
HOOKS = "tests.functions.schemathesis_hooks"
# A request that the document allows may name a counter that does not exist.
EXCLUDED = "positive_data_acceptance"
SHORT_EXAMPLES = 15
# Without answers on these routes the comparison would be worth little.
ANSWERED = ("/v1/predict", "/v1/counters/<string:counter_id>/forecast", "/v1/forecast")


@pytest.mark.timeout(1800)
def test_no_server_error_and_no_answer_outside_the_document(
    object_store: emulators.RunningObjectStore, stack_variables: dict[str, str], tmp_path: Path
) -> None:
    seconds = os.environ.get("VELOCAST_FUZZ_SECONDS")
    amount = (
        ["--max-time", seconds]
        if seconds
        else ["--max-examples", str(SHORT_EXAMPLES), "--seed", "1"]
    )
    with running_serve(object_store, stack_variables, tmp_path) as server:
        command = [
            *(str(Path(sys.executable).parent / "schemathesis"), "run"),
            f"http://{LOOPBACK}:{server.port}/openapi.json",
            *("--header", f"X-API-Key: {KEY}", "--exclude-checks", EXCLUDED),
            *("--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"),
            *amount,
        ]
        variables = os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        memory = server.memory_mb()
        counted = server.ask("GET", "/metrics").body.decode()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 selected / 8 total" in done.stdout
    for route in ANSWERED:
        assert re.search(f'route="{re.escape(route)}",status="200"}}', counted), counted
    assert memory < 256
