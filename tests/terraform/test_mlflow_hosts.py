"""MLflow itself, asked which Host headers it lets in with the names that Terraform gives it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Terraform's own tests hold the module to these values.
TESTS = Path(__file__).parents[2] / "terraform/modules/mlflow/tests/mlflow.tftest.hcl"
GIVEN = re.findall(r'"MLFLOW_SERVER_ALLOWED_HOSTS"\]\) == "([^"]+)"', TESTS.read_text("utf-8"))
OWN = "velocast-mlflow-123456789012.europe-west1.run.app"
DOMAIN = "mlflow.example.org"
OTHERS = ["", "evil.example.org", "10.0.0.1", f"{OWN}.evil.org", "run.app"]
# In a process of its own, because importing MLflow's server warns.
ASK = """
import json, sys
from mlflow.server.security_utils import is_allowed_host_header

hosts, names = json.load(sys.stdin)
print(json.dumps([name for name in names if is_allowed_host_header(hosts, name)]))
"""


def let_in(given: str, names: list[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps([given.split(","), names]),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.emulator  # imports a whole server
def test_mlflow_lets_its_own_names_in_with_a_port_and_without() -> None:
    own, domain = ([name + port for port in ("", ":443", ":8080")] for name in (OWN, DOMAIN))
    by_default, with_domain = GIVEN
    assert let_in(by_default, [*own, *domain, *OTHERS]) == own
    assert let_in(with_domain, [*own, *domain, *OTHERS]) == [*own, *domain]
