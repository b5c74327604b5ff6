"""What `velocast city` asks, refuses and prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.cli.city import published_shapes as shapes
from velocast_cli.city.commands import city_app
from velocast_cli.city.new_city import guessed_name
from velocast_cli.city.questions import country_of, zone_of
from velocast_cli.main import app

RUN = CliRunner()
KNOWN = ["--zone", "Europe/Rome", "--holidays", "IT", "--licence", "CC BY 4.0"]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the days 2 to 5 of May: no day above 12."""
    path = tmp_path_factory.mktemp("rome") / "roma.csv"
    path.write_bytes(shapes.ambiguous_days_first().files["r.csv"])
    return path


@pytest.fixture(scope="module")
def described(counts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("described") / "roma.yaml"
    done = run("new", counts, "-o", out, "--yes", *KNOWN, "--date-format", "DD/MM/YYYY")
    assert done[0] == 0, done[1]
    return out


def run(*arguments: object, typed: str | None = None) -> tuple[int, str]:
    """Return exit code and output, its white space single."""
    done = RUN.invoke(city_app, [str(a) for a in arguments], input=typed)
    return done.exit_code, " ".join(done.output.split())


def test_yes_names_every_option_that_is_missing(counts: Path, tmp_path: Path) -> None:
    code, output = run("new", counts, "-o", tmp_path / "c.yaml", "--yes")
    assert code == 1
    assert all(
        option in output for option in ("--zone", "--holidays", "--licence", "--date-format")
    )
    assert "--name" not in output
    assert "02/05/2024 00:00" in output
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--zone", "Europe/Roma"],
            "--zone Europe/Roma: 'Europe/Roma' is no time zone (did you mean Europe/Rome?)",
        ),
        (["--holidays", "it"], "'it' is no holiday calendar (did you mean IT?)"),
        (["--date-format", "YYYY"], "give the order of day and month"),
    ],
)
def test_a_wrong_answer_is_refused_with_the_nearest_name(
    options: list[str], message: str, counts: Path, tmp_path: Path
) -> None:
    code, output = run(
        "new",
        counts,
        "-o",
        tmp_path / "c.yaml",
        "--yes",
        *KNOWN,
        "--date-format",
        "DD/MM",
        *options,
    )
    assert (code, message in output) == (1, True), output


def test_what_is_asked_is_written(counts: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.yaml"
    typed = (
        "\n".join(["Roma", "Europe/Roma", "Europe/Rome", "DD/MM/YYYY", "IT", "CC BY 4.0"]) + "\n"
    )
    code, output = run("new", counts, "-o", out, typed=typed)
    assert code == 0, output
    city = yaml.safe_load(out.read_text(encoding="utf-8"))
    assert (city["name"], city["time_zone"], city["holidays"]) == ("Roma", "Europe/Rome", "IT")
    assert city["counts"]["layout"]["time"]["format"] == "%d/%m/%Y %H:%M"
    assert "did you mean Europe/Rome?" in output


def test_nobody_answers(counts: Path, tmp_path: Path) -> None:
    code, output = run("new", counts, "-o", tmp_path / "c.yaml", typed="")
    assert code == 1
    assert "give --name" in output


def test_a_date_format_that_the_file_contradicts(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(shapes.tabs_and_a_byte_order_mark().files["dub.txt"])
    code, output = run(
        "new", path, "-o", tmp_path / "c.yaml", "--yes", *KNOWN, "--date-format", "MM/DD/YYYY"
    )
    assert code == 1
    assert "the dates of the file have the other order" in output


def test_an_existing_file_is_kept(counts: Path, described: Path) -> None:
    before = described.read_bytes()
    code, output = run("new", counts, "-o", described, "--yes", *KNOWN, "--date-format", "MM/DD")
    assert (code, "give --overwrite" in output) == (1, True)
    assert described.read_bytes() == before


def test_the_file_explains_itself(described: Path) -> None:
    text = described.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=https://")
    assert (
        "# The file does not show whether the day or the month comes first; this was given." in text
    )
    assert (
        "# What the city publishes when clocks change in spring and autumn is not seen in this file"
        in text
    )
    assert "# To deploy the city, add a source" in text


def test_the_table_has_all_figures(counts: Path, described: Path) -> None:
    code, output = run("check", described, counts)
    assert code == 0
    for part in (
        "counters 3: A1, B2, C3",
        "step 60 minutes",
        "hours 288",
        "missing hours 0",
        "doubles 0",
        "suspicious none",
        "rows as they are stored",
    ):
        assert part in output


def test_rejects_are_told_by_reason_and_nothing_usable_ends_with_1(
    counts: Path, described: Path, tmp_path: Path
) -> None:
    lines = counts.read_text(encoding="utf-8").splitlines()
    bad = tmp_path / "bad.csv"
    bad.write_text(
        "\n".join([lines[0], *[line.rsplit(",", 3)[0] + ",-1,x,1.5" for line in lines[1:30]]]),
        encoding="utf-8",
    )
    code, output = run("check", described, bad)
    assert code == 1
    assert "nothing usable" in output
    assert all(reason in output for reason in ("below 0", "not a number", "fraction"))
    code, output = run("check", described, bad, "--json")
    found = json.loads(output)
    assert code == 1
    assert {r["reason"]: r["records"] for r in found["rejects"]} == {
        "negative_count": 29,
        "unreadable_count": 29,
        "fractional_count": 29,
    }
    assert all(len(r["samples"]) == 3 for r in found["rejects"])


def test_a_city_without_a_source_needs_files(described: Path) -> None:
    code, output = run("check", described)
    assert code == 1
    assert "names no counts.source" in output


def test_what_is_not_there(described: Path, tmp_path: Path) -> None:
    assert "there is no such file" in run("check", described, tmp_path / "none.csv")[1]
    assert "no file in it ends with" in run("new", tmp_path, "--yes", *KNOWN)[1]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("seattle.csv", "Seattle"),
        ("vienna-counts_2023.xlsx", "Vienna"),
        ("new_york_2024-05.csv.gz", "New York"),
        ("muenster", "Muenster"),
    ],
)
def test_the_name_that_a_file_suggests(path: str, name: str) -> None:
    assert guessed_name(Path(path)) == name


def test_guesses_from_the_zone() -> None:
    assert (
        zone_of("Dublin"),
        zone_of("Nowhere"),
        country_of("America/Toronto"),
        country_of("UTC"),
    ) == ("Europe/Dublin", None, "CA", None)


@pytest.mark.parametrize(
    "command",
    [
        ["city", "new", "{}", "--yes"],
        ["city", "check", "{described}", "{}"],
        ["backtest", "{}"],
        ["backtest", "{}", "--city", "{described}"],
    ],
    ids=["new", "check", "backtest", "backtest a city"],
)
@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf\n\n"], ids=["0 bytes", "no line"])
def test_an_empty_file_is_reported_by_name(
    tmp_path: Path, described: Path, command: list[str], body: bytes
) -> None:
    file = tmp_path / "empty.csv"
    file.write_bytes(body)
    given = [text.format(file, described=described) for text in command]
    done = RUN.invoke(app, given)
    assert done.exit_code == 1
    assert "empty.csv: the file is empty" in " ".join(done.output.split())
