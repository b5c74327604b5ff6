"""A pytest plugin (`-p tests.measured_coverage`) that measures with SlipCover what the tests run of the product.

Every process of pytest writes `.coverage.<worker>.json`; `make test` merges these files and reports. SlipCover inserts
its probes when a module is imported, so this module must be imported before anything of `velocast`. Pytest imports a
plugin named with `-p` ahead of every conftest.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
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

# -1: probes stay. To remove one, SlipCover would replace the code of functions while other threads run them.
coverage = Slipcover(
    branch=True, source=SOURCES, exclude_also=CONFIG["exclude-also"], d_miss_threshold=-1
)
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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what this process ran."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    report = session.config.rootpath / f".coverage.{worker}.json"
    report.write_text(json.dumps(coverage.get_coverage()), encoding="utf-8")
