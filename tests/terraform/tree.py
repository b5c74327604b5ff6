"""Runs Terraform in a copy of everything it reads, so that no lock file or state is left in the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TERRAFORM = shutil.which("terraform")

# With GOGC's default of 100, Go spends a quarter of the CPU of an apply on collecting what Terraform no longer needs.
SETTINGS = {"TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "GOGC": "400"}

# The whole configuration with one environment's variables and mocked providers, so that no account is needed. After
# `applied` every value is known; `again` is the plan after it.
MOCKED = """
mock_provider "google" {
  source = "./tests/mocks/google"
}
mock_provider "time" {}

variables {
  project_id   = "velocast-test"
  packages_dir = "tests/packages"
}
"""
PLAN_ONLY = f"""{MOCKED}
run "planned" {{
  command = plan
}}
"""
AFTERWARDS = """
run "applied" {}

run "again" {
  command = plan
}
"""
APPLIED = PLAN_ONLY + AFTERWARDS
ONLY_APPLIED = MOCKED + AFTERWARDS


class TerraformFailed(Exception):
    """Terraform failed; the message is its output."""


@dataclass(frozen=True)
class Tree:
    """A copy of the project's files that Terraform reads."""

    path: Path

    @property
    def terraform(self) -> Path:
        return self.path / "terraform"

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the only occurrence of `old`. Raises ValueError when there is none or more than one."""
        path = self.path / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{file}: {old!r} stands there {text.count(old)} times, needs once")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def copy(self, to: Path) -> Tree:
        """Return a second copy, including what `init` has installed in this one."""
        installed = self.terraform / ".terraform/providers"
        shutil.copytree(
            self.path,
            to,
            symlinks=True,
            ignore=lambda folder, _: ["providers"] if folder == str(installed.parent) else [],
        )
        copied = Tree(to)
        (copied.terraform / ".terraform/providers").symlink_to(installed)
        return copied

    def run(self, *arguments: str, folder: str = ".") -> str:
        """Run Terraform in a folder of terraform/ and return its output. Raises TerraformFailed."""
        assert TERRAFORM is not None
        done = subprocess.run(
            [TERRAFORM, *arguments],
            cwd=self.terraform / folder,
            env=os.environ | SETTINGS,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise TerraformFailed(f"terraform {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def init(self, folder: str = ".") -> None:
        """Install providers: for the root from Terraform's configured source, for all others from the root."""
        installed = (
            [] if folder == "." else [f"-plugin-dir={self.terraform / '.terraform/providers'}"]
        )
        self.run("init", "-backend=false", "-input=false", *installed, folder=folder)

    def errors(self, *arguments: str, folder: str) -> list[dict[str, Any]]:
        """Run Terraform with JSON lines and return the errors that it reports."""
        try:
            self.run(*arguments, folder=folder)
        except TerraformFailed as failed:
            return _errors(str(failed))
        return []

    def results(self, environment: str, runs: str) -> dict[str, dict[str, Any]]:
        """Run a test file on the root and return the JSON plan or state of each of its runs."""
        (self.terraform / "tests/topology.tftest.hcl").write_text(runs, encoding="utf-8")
        try:
            said = self.run(
                "test",
                "-json",
                "-verbose",
                "-filter=tests/topology.tftest.hcl",
                f"-var-file=environments/{environment}.tfvars",
            )
        except TerraformFailed as failed:
            texts = [f"{d['summary']}: {d['detail']}" for d in _errors(str(failed))]
            raise TerraformFailed("\n".join(texts) or str(failed)) from None
        lines = [json.loads(line) for line in said.splitlines()]
        return {
            line["@testrun"]: line[line["type"]]
            for line in lines
            if line["type"] in ("test_plan", "test_state")
        }


def _errors(output: str) -> list[dict[str, Any]]:
    """The errors in Terraform's JSON lines."""
    start = output.find("{")
    lines = [json.loads(line) for line in output[start:].splitlines() if line.startswith("{")]
    found = [line["diagnostic"] for line in lines if "diagnostic" in line]
    return [diagnostic for diagnostic in found if diagnostic["severity"] == "error"]


def copy_project(to: Path) -> Tree:
    """Copy what Terraform reads: terraform/, and the files it uses of the library and the workflows."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "__pycache__", ".mypy_cache")
    for folder in ("terraform", "shared/velocast/schemas", "shared/velocast/cities"):
        shutil.copytree(ROOT / folder, to / folder, ignore=ignored)
    (to / "workflows").mkdir()
    for file in (
        "shared/velocast/thresholds.yaml",
        "workflows/retrain.yaml",
        "workflows/forecast.yaml",
    ):
        shutil.copy(ROOT / file, to / file)
    return Tree(to)
