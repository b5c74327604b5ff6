"""The examples for programs that use the API or the files, run as a reader runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.serving.serving_app import KEY, app, publish, running
from tests.shared.usecases.site.browser import file_server
from velocast.usecases.site.publication import make_site

pytestmark = [pytest.mark.emulator, pytest.mark.usefixtures("storage_buckets")]
GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# Wednesday 4 March at 8 h: the peak of the largest counter.
BIKES = snapshots.week_value(40 + 30 * 10, 2 * 24 + 8)
ANSWER = f"Rue 10 N-S: {BIKES:.0f} bikes, between {BIKES * 0.7:.0f} and {BIKES * 1.3 + 2:.0f}"


def blocks(guide: str, language: str) -> list[str]:
    """The blocks of code in a language."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def service() -> Iterator[dict[str, str]]:
    """The variables that the guide asks for."""
    publish(snapshots.snapshot(11))
    with running(app()) as url:
        yield {"URL": url, "KEY": KEY}


def output(command: list[str], variables: dict[str, str]) -> str:
    """Run an example; what it prints."""
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, env=plain | variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python(service: dict[str, str], tmp_path: Path) -> None:
    (code,) = blocks("use-the-api.md", "python")
    script = tmp_path / "busiest.py"
    script.write_text(code)
    assert output([sys.executable, str(script)], service) == f"{ANSWER}\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_javascript(service: dict[str, str], tmp_path: Path) -> None:
    (code,) = blocks("use-the-api.md", "js")
    script = tmp_path / "busiest.mjs"
    script.write_text(code)
    assert output(["node", str(script)], service) == f"{ANSWER}\n"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r(service: dict[str, str], tmp_path: Path) -> None:
    (code,) = blocks("use-the-api.md", "r")
    script = tmp_path / "busiest.R"
    script.write_text(code)
    assert output(["Rscript", "--vanilla", str(script)], service) == f"{ANSWER}\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_each_curl_command_gets_its_answer(service: dict[str, str]) -> None:
    _, commands = blocks("use-the-api.md", "sh")
    # An error's status ends the command, and the day after the test's clock is not the guide's.
    code = commands.replace("curl -sS", "curl -sS --fail-with-body")
    code = code.replace("$(date -u -d '+1 day' +%FT%H:00:00Z)", "2026-03-04T07:00:00Z")
    assert code.count("2026-03-04T07:00:00Z") == 1
    answers = output(["sh", "-euc", code], service)
    for key in ('"time_zone"', '"observed"', '"forecasts"', '"predictions"'):
        assert answers.count(key) == 1


def test_the_files_are_read_as_the_guide_reads_them(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for file in make_site(snapshots.snapshot(11)):
        path = site / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    (code,) = blocks("embed-and-download.md", "python")
    script = tmp_path / "busiest.py"
    script.write_text(code)
    with file_server(site) as address:
        printed = output([sys.executable, str(script)], {"SITE": address})
    assert printed.splitlines()[1].split()[:2] == ["c-10", f"{BIKES:.1f}"]
    assert len(printed.splitlines()) == 6


def test_every_file_of_the_open_data_is_in_the_guide() -> None:
    text = (GUIDES / "embed-and-download.md").read_text(encoding="utf-8")
    table = text[text.index("| File") : text.index("```python")]
    named = set(re.findall(r"`([\w.]+\.(?:csv|geojson|json|jsonld))`", table))
    made = {
        file.name.removeprefix("open/")
        for file in make_site(snapshots.snapshot(11))
        if file.name.startswith("open/")
    }
    assert named == {name for name in made if not name.endswith(".parquet")}


def test_the_line_of_html_is_the_pages() -> None:
    """The page's own words are compared in tests/shared/usecases/site/test_counter_page.py."""
    (line,) = blocks("embed-and-download.md", "html")
    source = (GUIDES.parents[1] / "shared/velocast/usecases/site/static/embed.js").read_text()
    height = re.search(r"HEIGHT = (\d+)", source)
    assert height is not None
    assert f'height="{height[1]}"' in line
    for name, value in (("width", "100%"), ("loading", "lazy"), ("style", "border:0")):
        assert f'{name}="{value}"' in line
        assert f'{name}: "{value}"' in source
    assert "?embed=1" in line
