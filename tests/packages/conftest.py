"""Tests of what is deployed, installed by pip and started from its package: `make test-packages` runs them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.packages import environments
from tests.packages.environments import ROOT


@pytest.fixture(scope="session")
def package() -> ModuleType:
    """terraform/package.py."""
    spec = importlib.util.spec_from_file_location("package", ROOT / "terraform/package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def packages(package: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `make package` writes, by name of function or image."""
    folder = tmp_path_factory.mktemp("packages")
    listing = package.package(ROOT, folder)
    return {name: folder / file for kind in listing.values() for name, file in kind.items()}


@pytest.fixture(scope="session")
def old_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oldest pip that must do."""
    return environments.old_pip(tmp_path_factory.mktemp("pip"))
