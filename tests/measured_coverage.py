"""A pytest plugin (`-p tests.measured_coverage`) that measures with SlipCover what the tests run of the product.

Every process of pytest writes `.coverage.<worker>.json`; `make test` merges these files and reports. SlipCover inserts
its probes when a module is imported, so this module must be imported before anything of `velocast`. Pytest imports a
plugin named with `-p` ahead of every conftest.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from slipcover import FileMatcher, ImportManager, Slipcover
from slipcover.config import read_config
from slipcover.importer import SlipcoverLoader

ROOT = Path(__file__).parent.parent
CONFIG = read_config(ROOT / "pyproject.toml")
SOURCES = [str(ROOT / folder) for folder in CONFIG["source"]]

# -1: a probe that is hit often does not remove itself, in the midst of a test. `ProbeRemoval` does.
coverage = Slipcover(
    branch=True, source=SOURCES, exclude_also=CONFIG["exclude-also"], d_miss_threshold=-1
)
REMOVAL_SECONDS = 2.0  # of CPU, since looking through all functions takes 30 ms
measured = FileMatcher(sources=SOURCES)
ImportManager(coverage, measured).__enter__()

# The Functions Framework loads a main.py from its file, without an import. SlipCover's own wrapper of this function
# takes the attribute __path__ from packages that pytest loads.
_spec_from_file = importlib.util.spec_from_file_location


def _measured_spec(name: str, location: Any = None, **options: Any) -> ModuleSpec | None:
    spec = _spec_from_file(name, location, **options)
    if spec and spec.loader and spec.origin and measured.matches(spec.origin):
        spec.loader = SlipcoverLoader(coverage, spec.loader, spec.origin)
    return spec


importlib.util.spec_from_file_location = _measured_spec


class ProbeRemoval:
    """Takes the probes out of what has run, between two tests: hot code takes a third more CPU time with them."""

    def __init__(self) -> None:
        self.done_at = time.process_time()

    def pytest_runtest_teardown(self) -> None:
        """Look for code that has run, unless that was done a moment ago."""
        if time.process_time() - self.done_at > REMOVAL_SECONDS:
            coverage.deinstrument_seen()
            self.done_at = time.process_time()


def pytest_configure(config: pytest.Config) -> None:
    """Remove probes as tests go."""
    config.pluginmanager.register(ProbeRemoval())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what this process ran."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    report = session.config.rootpath / f".coverage.{worker}.json"
    report.write_text(json.dumps(coverage.get_coverage()), encoding="utf-8")
