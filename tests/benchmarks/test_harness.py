"""The benchmarks' settings are those that the jobs ask for."""

from __future__ import annotations

import os

import pytest

from benchmarks import harness
from velocast.core.settings import JobSettings


def test_the_settings_are_all_that_a_job_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("VELOCAST_", "GOOGLE_", "MLFLOW_", "OTEL_")):
            monkeypatch.delenv(name)
    for name, value in (harness.SETTINGS | {"VELOCAST_CITY": "paris"}).items():
        monkeypatch.setenv(name, value)
    assert JobSettings.load().project == harness.PROJECT
