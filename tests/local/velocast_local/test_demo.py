"""The whole system, played on one machine by the command that the README names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulator

VELOCAST = Path(sys.executable).parent / "velocast"


@pytest.mark.timeout(540)
def test_demo_prints_its_summary_as_json_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "stack"
    command: list[str | Path] = [
        VELOCAST,
        "demo",
        "--days",
        "2",
        "--counters",
        "8",
        "--once",
        "--json",
        "--home",
        home,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=500, env=_clean_environment()
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["rows_ingested"] > 8 * 24 * 80
    assert summary["weather"]["sources"] == ["perturbed"]
    assert summary["weather"]["rows_ingested"] > 6 * 24 * 90
    assert summary["forecasts"] >= 3 * 8 * 119
    assert summary["champion"]["version"] >= 1
    assert 0.5 < summary["champion"]["r2"] <= 1
    assert summary["deployment_decisions"]["DEPLOY"] >= 1
    assert sum(summary["deployment_decisions"].values()) == 2, (
        "the first training and the forced one"
    )
    assert summary["retrain_decisions"]["FIRST"] == 1
    assert summary["messages"] >= 2
    assert summary["fault"] is None, "two days are too few to find a fault"
    assert {"load history", "fetch", "predict", "forced retraining"} <= set(summary["seconds"])
    assert not (home / "stack.lock").exists() or _nothing_runs(home)


def test_demo_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("a,b\n1,2\n")
    command: list[str | Path] = [
        VELOCAST,
        "demo",
        "--replay",
        file,
        "--once",
        "--home",
        tmp_path / "stack",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=_clean_environment()
    )
    assert done.returncode == 1
    assert "id_compteur" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_demo_says_what_is_wrong_with_the_weather(tmp_path: Path) -> None:
    from velocast_local.simulation.city import simulate, write_city

    counts, weather = tmp_path / "counts.parquet", tmp_path / "weather.csv"
    write_city(simulate(1, days=3), counts)
    weather.write_text("time,temperature_2m\n2025-03-01T00:00Z,7\n")
    command: list[str | Path] = [
        VELOCAST,
        "demo",
        "--once",
        "--home",
        tmp_path / "stack",
        "--weather",
        weather,
    ]
    alone = subprocess.run(
        command, capture_output=True, text=True, check=False, env=_clean_environment()
    )
    assert alone.returncode == 2
    assert "needs --replay" in alone.stderr
    done = subprocess.run(
        [*command, "--replay", counts],
        capture_output=True,
        text=True,
        check=False,
        env=_clean_environment(),
    )
    assert done.returncode == 1
    assert "weather.csv: weather: no column" in done.stdout.replace("\n", " ")


def test_demo_injects_no_fault_whose_end_it_would_not_show(tmp_path: Path) -> None:
    command: list[str | Path] = [VELOCAST, "demo", "--inject-fault", "--days", "11", "--home"]
    done = subprocess.run(
        [*command, tmp_path / "stack"],
        capture_output=True,
        text=True,
        check=False,
        env=_clean_environment(),
    )
    assert done.returncode == 2
    assert "needs 12 days" in done.stderr
    assert not (tmp_path / "stack").exists()


def test_demo_empties_no_folder_that_is_not_a_stacks(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.txt"
    kept.write_text("years of work\n")
    command: list[str | Path] = [VELOCAST, "demo", "--once", "--home", tmp_path]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=_clean_environment()
    )
    assert done.returncode == 1
    assert "not the folder of a stack" in done.stdout
    assert kept.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "/proc/x.parquet", "--counters", "1", "--days", "2"],
        ["local", "up", "--home", "/proc/x"],
        ["demo", "--once", "--home", "/proc/x"],
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line(arguments: list[str]) -> None:
    if not Path("/proc").exists():
        pytest.skip("this system has no /proc")
    done = subprocess.run(
        [VELOCAST, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=_clean_environment(),
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert sum("No such file or directory" in line for line in said.splitlines()) == 1
    assert "\x1b" not in said  # plain text in a pipe


def _clean_environment() -> dict[str, str]:
    """The tests' own emulators must not be what the demo talks to."""
    kept = ("PATH", "HOME", "LANG")
    # the model of eight counters may lose to similar days; what is tested is the way from training to serving
    limits = {"MIN_REFERENCE_GAIN": "-100", "MIN_REFERENCE_GAIN_LOW": "-100"}
    return {name: os.environ[name] for name in kept if name in os.environ} | limits


def _nothing_runs(home: Path) -> bool:
    status = subprocess.run(
        [VELOCAST, "local", "status", "--json", "--home", home],
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(status.stdout)["up"] is False
