"""Tests that need Terraform: `make test-terraform` runs them, `make test` does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terraform import tree
from tests.terraform.tree import Tree


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the project with the root's providers installed; only `init` writes into it."""
    if tree.TERRAFORM is None:
        pytest.skip("terraform is not installed")
    copied = tree.copy_project(tmp_path_factory.mktemp("project") / "copy")
    copied.init()
    return copied


@pytest.fixture
def mutant(project: Tree, tmp_path: Path) -> Tree:
    """A separate copy that a test may change."""
    return project.copy(tmp_path / "mutant")
