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


def test_what_the_emulator_worked_is_that_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(harness.EMULATOR_PID, raising=False)
    assert harness.emulator_cpu_seconds() == 0.0
    monkeypatch.setenv(harness.EMULATOR_PID, str(os.getpid()))
    times = os.times()
    assert harness.emulator_cpu_seconds() == pytest.approx(times.user + times.system, abs=0.5)
