"""What the command of the README refuses before it plays. test_demo_and_doctor.py looks at what it plays."""

import subprocess
from pathlib import Path

import pytest

from tests.local.velocast_local.broken_stack import VELOCAST, clean_environment

pytestmark = pytest.mark.emulator


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
        command, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert done.returncode == 1
    assert "id_compteur" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_demo_says_what_is_wrong_with_the_weather(tmp_path: Path) -> None:
    from velocast_local.simulation.city import simulate
    from velocast_local.simulation.files import write_city

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
        command, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert alone.returncode == 2
    assert "needs --replay" in alone.stderr
    done = subprocess.run(
        [*command, "--replay", counts],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
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
        env=clean_environment(),
    )
    assert done.returncode == 2
    assert "needs 12 days" in done.stderr
    assert not (tmp_path / "stack").exists()


def test_demo_empties_no_folder_that_is_not_a_stacks(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.txt"
    kept.write_text("years of work\n")
    command: list[str | Path] = [VELOCAST, "demo", "--once", "--home", tmp_path]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean_environment()
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
        env=clean_environment(),
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert sum("No such file or directory" in line for line in said.splitlines()) == 1
    assert "\x1b" not in said  # plain text in a pipe
