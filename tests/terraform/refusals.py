"""Each wrong value that a module's tests expect to be refused, planned all at once.

Terraform starts its providers anew for every `run`, twice. A run that expects a variable to refuse its value needs
no plan of its own: here one configuration calls the module once for each such run, and one plan names every refusal.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.terraform.tree import Tree

RUN = re.compile(r'^run "(\w+)" \{\n(.*?)^\}\n', re.S | re.M)
VARIABLES = re.compile(r"^( *)variables \{\n(.*?)^\1\}\n", re.S | re.M)
EXPECTED = re.compile(r"^  expect_failures = \[([^\]]*)\]$", re.M)
REFUSED = "Invalid value for variable"
# Before a plan, Terraform validates without the root's variables; it would stop there at the refusals that depend on
# one variable alone, and never come to the others.
UNKNOWN = """
variable "known" {
  type    = bool
  default = true
}
"""
PLAN = """
mock_provider "google" {
  source = "../../tests/mocks/google"
}
mock_provider "time" {}

run "every_wrong_value" {
  command = plan
}
"""


@dataclass(frozen=True)
class Refusal:
    """A run that expects variables to refuse their values: the file's values, its own, and what must fail."""

    module: str
    run: str
    given: str
    wrong: str
    variables: tuple[str, ...]

    @property
    def call(self) -> str:
        """The module's call in HCL: the values of the file, but for those that the run replaces."""
        name, wrong = f"{self.module}_{self.run}", _names(self.wrong)
        taken = dict.fromkeys(_names(self.given), self.module) | dict.fromkeys(wrong, name)
        values = "".join(f"  {n} = local.{place}.{n}\n" for n, place in taken.items())
        source = f'  source = "../{self.module}"\n'
        return f'{_local(name, self.wrong)}module "{name}" {{\n{source}{values}}}\n'


def of(file: Path) -> list[Refusal]:
    """Return the runs of a module's test file that only expect variables to refuse their values."""
    module, text = file.parents[1].name, file.read_text(encoding="utf-8")
    (given,) = [values for indent, values in VARIABLES.findall(text) if not indent]
    return [
        Refusal(module, run, given, re.sub("^  ", "", values, flags=re.M), variables)
        for run, body in RUN.findall(text)
        if (variables := _refusing(body))
        for _, values in VARIABLES.findall(body)
    ]


def leave_out(file: Path) -> None:
    """Take these runs out of the file."""
    text = file.read_text(encoding="utf-8")
    file.write_text(RUN.sub(lambda run: "" if _refusing(run[2]) else run[0], text), "utf-8")


def found(project: Tree, refusals: list[Refusal]) -> set[tuple[str, str, str]]:
    """Plan all of them; returns module, run and variable of each refusal, and any other error with its words."""
    folder = project.terraform / "modules/refusals"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests/refusals.tftest.hcl").write_text(PLAN, encoding="utf-8")
    values = {refusal.module: refusal.given for refusal in refusals}
    text = UNKNOWN + "".join(_local(module, given) for module, given in values.items())
    at: dict[int, tuple[str, str, str]] = {}  # by line
    for refusal in refusals:
        for number, line in enumerate(refusal.call.splitlines(), text.count("\n") + 1):
            for name in _names(line):
                at[number] = (refusal.module, refusal.run, name)
        text += refusal.call
    (folder / "main.tf").write_text(text, encoding="utf-8")
    project.init("modules/refusals")
    errors = project.errors("test", "-json", folder="modules/refusals")
    shutil.rmtree(folder)
    return {
        at[error["range"]["start"]["line"]]
        if error["summary"] == REFUSED
        else ("", error["summary"], error["detail"])
        for error in errors
    }


def _refusing(run: str) -> tuple[str, ...]:
    """The variables that a run expects to fail, if it expects nothing else to."""
    expected = EXPECTED.search(run)
    names = [name.strip() for name in expected[1].split(",")] if expected else []
    only = all(name.startswith("var.") for name in names) and "assert {" not in run
    return tuple(name.removeprefix("var.") for name in names) if only else ()


def _local(name: str, values: str) -> str:
    return f"locals {{\n{name} = var.known ? {{\n{values}}} : null\n}}\n"


def _names(values: str) -> list[str]:
    """The names that a formatted block sets itself, not those inside their values."""
    return re.findall(r"^  (\w+) += ", values, re.M)
