"""The project's own promises: layers, requirements from the lock, one version."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PARTS = {
    f"functions/{name}": name for name in ("fetch", "predict", "monitor", "notify", "serve")
} | {"workflows/jobs": "jobs"}


def test_imports_run_downward() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("part", PARTS)
def test_requirements_are_what_the_lock_says(part: str) -> None:
    exported = subprocess.run(
        [Path(sys.executable).parent / "uv", "export", "--quiet", "--locked", "--no-default-groups",
         "--group", PARTS[part], "--no-emit-project", "--no-annotate", "--no-header"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert exported == (ROOT / part / "requirements.txt").read_text(), (
        "stale: run `make requirements`"
    )


def third_party_imports(entry: Path) -> set[str]:
    """Top-level modules loaded by importing one entry point, in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(entry.parent)!r}); import {entry.stem}; print(*sys.modules)"
    env = {
        "PATH": "/usr/bin", "HOME": "/nonexistent", "GOOGLE_CLOUD_PROJECT": "p", "VELOCAST_LOCATION": "l",
        "VELOCAST_ENVIRONMENT": "dev", "VELOCAST_CITY": "paris", "VELOCAST_MODELS_BUCKET": "m",
        "VELOCAST_REPORTS_BUCKET": "r", "VELOCAST_DATASETS_BUCKET": "d", "VELOCAST_ALERTS_TOPIC": "t",
        "VELOCAST_WORKFLOW": "w", "VELOCAST_DISCORD_WEBHOOK_FILE": "/x", "VELOCAST_API_KEYS_FILE": "/x",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none",
    }  # fmt: skip
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    return {name.split(".")[0] for name in loaded.stdout.split()}


@pytest.mark.parametrize(
    "entry",
    [f"functions/{name}/main.py" for name in ("fetch", "predict", "monitor", "notify", "serve")]
    + [f"workflows/jobs/{name}.py" for name in ("train", "evaluate", "promote")],
)
def test_what_an_entry_point_imports_is_in_its_requirements(entry: str) -> None:
    file = ROOT / entry
    required = {
        line.split("==")[0].lower()
        for line in (file.parent / "requirements.txt").read_text().splitlines()
        if "==" in line
    }
    owners = importlib.metadata.packages_distributions()
    # A namespace package ("google") belongs to many; one of them required is enough here.
    missing = {
        module
        for module in third_party_imports(file)
        if module in owners
        and module not in {"velocast", "velocast_local", "_virtualenv"}
        and not {o.lower().replace("_", "-").replace(".", "-") for o in owners[module]}
        & {r.replace("_", "-").replace(".", "-") for r in required}
    }
    assert not missing, f"{entry} imports {sorted(missing)}, which its requirements.txt lacks"


def test_changelog_speaks_of_this_version() -> None:
    version = importlib.metadata.version("velocast")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_what_contributors_run() -> None:
    ci = (ROOT / ".ci/run").read_text()
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["test"]["steps"]]
    for command in ("make check", "make test"):
        assert command in ci
        assert command in steps
        assert command in (ROOT / "CONTRIBUTING.md").read_text()
