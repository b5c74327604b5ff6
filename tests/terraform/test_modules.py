"""Terraform's own checks, each module's own tests, and rules for all modules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terraform import refusals
from tests.terraform.tree import Tree

TERRAFORM = Path(__file__).parents[2] / "terraform"
# Modules with tests, the longest first, so that two parallel workers finish together.
TESTED = sorted(
    (
        tests.parent.relative_to(TERRAFORM).as_posix()
        for tests in TERRAFORM.rglob("tests")
        if any(tests.glob("*.hcl"))
    ),
    key=lambda folder: -sum(f.stat().st_size for f in (TERRAFORM / folder).glob("tests/*.hcl")),
)
FOLDERS = sorted({path.parent for path in TERRAFORM.rglob("*.tf")})
CHECKOV = Path(sys.prefix) / "checkov/bin/checkov"


@pytest.mark.terraform
@pytest.mark.parametrize("folder", TESTED)
def test_a_module_passes_its_tests(folder: str, project: Tree) -> None:
    if folder != ".":
        project.init(folder)
    for file in (project.terraform / folder).glob("tests/*.hcl"):
        if file.relative_to(project.terraform).match("modules/*/tests/*"):
            refusals.leave_out(file)  # the next test has them
    assert "0 failed" in project.run("test", folder=folder)


@pytest.mark.terraform
def test_every_wrong_value_is_refused(project: Tree) -> None:
    expected = [r for f in sorted(TERRAFORM.glob("modules/*/tests/*.hcl")) for r in refusals.of(f)]
    assert len({refusal.module for refusal in expected}) > 10, "refusals are no longer found"
    assert refusals.found(project, expected) == {
        (refusal.module, refusal.run, name) for refusal in expected for name in refusal.variables
    }


@pytest.mark.terraform
def test_all_is_formatted_and_valid(project: Tree) -> None:
    project.run("fmt", "-check", "-diff", "-recursive")
    project.run("validate")


@pytest.mark.terraform
def test_checkov_finds_nothing_that_is_not_answered_in_place() -> None:
    if not CHECKOV.exists():
        pytest.skip("checkov is not installed; make test-terraform installs it")
    found = subprocess.run(
        [
            CHECKOV,
            "--directory", TERRAFORM,
            "--framework", "terraform",
            "--skip-path", "tests",
            "--skip-download",  # its maker's servers have nothing that is needed
            "--output", "json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    report = json.loads(found.stdout)["results"]
    failed = {
        f"{c['check_id']} {c['check_name']}: {c['resource']}" for c in report["failed_checks"]
    }
    assert not failed
    assert not report["parsing_errors"]
    assert len(report["passed_checks"]) > 40, "checkov has looked at next to nothing"
    without_reason = {
        c["resource"] for c in report["skipped_checks"] if not c["check_result"]["suppress_comment"]
    }
    assert not without_reason


def test_every_module_has_the_same_files_and_tests() -> None:
    for folder in FOLDERS:
        names = {path.name for path in folder.glob("*.tf")}
        assert {"main.tf", "outputs.tf", "variables.tf", "versions.tf"} <= names, folder
        assert folder.relative_to(TERRAFORM).as_posix() in TESTED, f"{folder} has no tests"


@pytest.mark.parametrize(
    "file",
    sorted(TERRAFORM.rglob("variables.tf")) + sorted(TERRAFORM.rglob("outputs.tf")),
    ids=lambda f: f.relative_to(TERRAFORM).as_posix(),
)
def test_every_variable_and_output_is_described_and_in_order(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=variable|output)", text, flags=re.MULTILINE)[1:]
    names = [re.match(r'\w+ "(\w+)"', block)[1] for block in blocks]
    assert names == sorted(names)
    for name, block in zip(names, blocks, strict=True):
        description = re.search(r'^  description\s+= "(.{15,})"$', block, flags=re.MULTILINE)
        assert description, f"{name} says nothing, or next to nothing, of what it is"
        assert description[1].endswith("."), f"{name}: a description is a sentence"
        assert not block.startswith("variable") or re.search(r"^  type\s+= ", block, re.MULTILINE)


def test_what_needs_a_new_grant_waits_as_long_as_google_says() -> None:
    """Two minutes at least; and only on creation, or when what is waited for grows."""
    found = {}
    for file in TERRAFORM.rglob("main.tf"):
        text = file.read_text(encoding="utf-8")
        for name, body in re.findall(
            r'resource "time_sleep" "(\w+)" \{(.*?)^\}', text, re.S | re.M
        ):
            seconds = int(re.findall(r'create_duration = "(\d+)s"', body)[0])
            found[f"{file.parent.name}.{name}"] = seconds
            assert "destroy_duration" not in body
    assert set(found) >= {
        "account.settled",
        "builder.settled",
        "mlflow.settled",
        "project.apis_answer",
    }
    assert not {name: seconds for name, seconds in found.items() if seconds < 120}


def test_no_lock_file_or_state_is_in_the_tree() -> None:
    if shutil.which("git") is None or not (TERRAFORM.parent / ".git").exists():
        pytest.skip("not a git checkout")
    tracked = subprocess.run(
        ["git", "ls-files", "terraform"],
        cwd=TERRAFORM.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not re.findall(r"\S*(?:\.terraform|tfstate)\S*", tracked)


@pytest.mark.parametrize("folder", ["terraform", "terraform/bootstrap"])
def test_a_lock_file_made_with_stand_ins_cannot_be_added_by_mistake(folder: str) -> None:
    if shutil.which("git") is None or not (TERRAFORM.parent / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "check-ignore", "--quiet", f"{folder}/.terraform.lock.hcl"]
    assert subprocess.run(command, cwd=TERRAFORM.parent, check=False).returncode == 0
