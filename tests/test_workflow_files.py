"""GitHub's workflow files: by GitHub's schema, by actionlint, and by what may deploy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
ACTIONLINT = shutil.which("actionlint")
WORKFLOWS: dict[str, dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES
}
STEPS = [
    (name, job, step)
    for name, workflow in WORKFLOWS.items()
    for job in workflow["jobs"].values()
    for step in job["steps"]
]


def refused(*files: Path, schema: str = "github-workflows") -> str:
    """Return what GitHub's schema refuses in some files, empty if nothing."""
    program = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [program, "--builtin-schema", f"vendor.{schema}", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def lint(*files: Path) -> str:
    """Return what actionlint finds in some files, empty if nothing."""
    if ACTIONLINT is None:
        pytest.skip("actionlint is missing: go install github.com/rhysd/actionlint/cmd/actionlint")
    done = subprocess.run([ACTIONLINT, *files], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Return a copy of deploy.yml with one part replaced."""
    text = (FOLDER / "deploy.yml").read_text(encoding="utf-8")
    assert old in text
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "deploy.yml").write_text(text.replace(old, new), encoding="utf-8")
    return folder / "deploy.yml"


def test_schema_accepts_the_files() -> None:
    assert not refused(*FILES)
    assert not refused(ROOT / ".github/dependabot.yml", schema="dependabot")


def test_schema_refuses_an_unknown_key(tmp_path: Path) -> None:
    assert "runs_on" in refused(changed(tmp_path, "runs-on", "runs_on"))


def test_actionlint_accepts_the_files() -> None:
    assert not lint(*FILES)


def test_actionlint_refuses_a_job_that_needs_none(tmp_path: Path) -> None:
    assert "needs" in lint(changed(tmp_path, "needs: plan", "needs: planned"))


def test_every_action_is_at_a_version() -> None:
    used = {step["uses"] for _, _, step in STEPS if "uses" in step}
    assert len(used) > 5
    assert not {u for u in used if not re.search(r"@(v\d+(\.\d+)*|[0-9a-f]{40})$", u)}


def test_alert_rules_are_tested_wherever_their_tests_run() -> None:
    """Without promtool, they would be skipped."""
    jobs = WORKFLOWS["ci.yml"]["jobs"].values()
    scripts = [[step.get("run", "") for step in job["steps"]] for job in jobs]
    tested = [runs for runs in scripts if {"make test", "make test-terraform"} & set(runs)]
    assert len(tested) == 2
    for runs in tested:
        assert any(run.endswith(" prometheus") for run in runs), runs


def test_workflows_may_read_and_only_jobs_that_log_in_get_a_token() -> None:
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {"contents": "read"}, name
    for name, job, _ in STEPS:
        logs_in = any("google-github-actions/auth" in step.get("uses", "") for step in job["steps"])
        more = set(job.get("permissions", {})) - {"contents"}
        assert more == ({"id-token"} if logs_in else set()), name


def test_only_an_approved_job_on_main_deploys() -> None:
    workflow = WORKFLOWS["deploy.yml"]
    text = {name: yaml.safe_dump(job) for name, job in workflow["jobs"].items()}
    assert [name for name in text if "GCP_DEPLOYER" in text[name]] == ["apply"]
    apply = workflow["jobs"]["apply"]
    assert apply["needs"] == "plan"
    assert apply["if"] == "github.event_name == 'push'"
    assert workflow["on"]["push"] == {"branches": ["main"]}
    variables = (ROOT / "terraform/bootstrap/variables.tf").read_text(encoding="utf-8")
    default = re.search(r'"github_environment" \{.*?default\s+= "(\w+)"', variables, re.DOTALL)
    assert default is not None
    assert apply["environment"] == default[1]


def test_what_is_applied_is_the_plan_that_was_shown() -> None:
    jobs = WORKFLOWS["deploy.yml"]["jobs"]
    (up,) = [s for s in jobs["plan"]["steps"] if "upload-artifact" in s.get("uses", "")]
    (down,) = [s for s in jobs["apply"]["steps"] if "download-artifact" in s.get("uses", "")]
    assert (up["with"]["name"], up["with"]["path"]) == (down["with"]["name"], down["with"]["path"])
    runs = [step["run"] for step in jobs["apply"]["steps"] if "run" in step]
    assert runs[-1].startswith("python3 -m terraform.deploy apply ")


def test_the_guide_names_every_variable_and_role() -> None:
    guide = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    text = (FOLDER / "deploy.yml").read_text(encoding="utf-8")
    for variable in set(re.findall(r"vars\.(\w+)", text)):
        assert f"`{variable}`" in guide
    table = guide[guide.index("### Roles that the deployer needs") :].split("\n\n")[2]
    rows = [row for row in table.splitlines() if "billing account" not in row]
    listed = {f"roles/{role}" for row in rows for role in re.findall(r"`(\w+\.\w+)`", row)} | {
        f"roles/{role}" for row in rows for role in re.findall(r"`(\w+\.\w+\.\w+)`", row)
    }
    granted = (ROOT / "terraform/bootstrap/github.tf").read_text(encoding="utf-8")
    block = granted[granted.index("deployer_roles = [") :].split("]")[0]
    assert set(re.findall(r'"(roles/[\w.]+)"', block)) == listed
