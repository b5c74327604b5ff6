"""The documentation site: it holds every page, loads nothing from elsewhere, and a broken link fails its build."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulator

ROOT = Path(__file__).parents[2]
PYTHON = Path(sys.executable)
CONFIG = """
INHERIT: {root}/mkdocs.yml
docs_dir: {folder}/docs
site_dir: {folder}/site
"""
# Paths in a configuration are relative to its file, which is not the project's own here.
PROJECT_PATHS = f"""
plugins:
  mkdocstrings:
    handlers:
      python:
        paths: [{ROOT}/shared]
        options:
          extensions: [{ROOT}/docs/build_site/docstrings.py]
"""
PAGES = (
    "index",
    "getting-started",
    "how-forecasts-are-made",
    "model-card",
    "guides/use-the-api",
    "guides/embed-and-download",
    "deploy",
    "operate",
    "from-predecessor",
    "guides/add-a-city",
    "guides/add-a-kind-of-model",
    "guides/add-a-table-or-column",
    "guides/add-an-alert",
    "runbooks/index",
    "runbooks/dead_letters",
    "architecture",
    "glossary",
    "emulators",
    "benchmarks",
    "gotchas",
    "adr/index",
    "reference/city-file",
    "command-line",
    "http-api",
    "contributing",
    "release",
    "security",
    "changelog",
)


def build(folder: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    """Build the site of `folder`/docs with the project's own settings."""
    config = folder / "mkdocs.yml"
    config.write_text(CONFIG.format(root=ROOT, folder=folder) + more, encoding="utf-8")
    return subprocess.run(
        [PYTHON.parent / "mkdocs", "build", "--strict", "--config-file", config],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site() -> Path:
    """The whole site, built by `make docs` itself, so that .ci/run need not build it again."""
    done = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build/site"


@pytest.mark.parametrize("page", PAGES)
def test_the_site_has_the_page(site: Path, page: str) -> None:
    assert (site / f"{page}.html").is_file()


def test_every_decision_is_a_page_with_date_and_status(site: Path) -> None:
    records = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert len(records) >= 10
    index = (ROOT / "docs" / "adr" / "index.md").read_text(encoding="utf-8")
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE), record.name
        assert re.search(r"^- Status: (Accepted|Superseded)", text, re.MULTILINE), record.name
        assert f"({record.name})" in index, f"{record.name} is not in the index"
        assert (site / "adr" / f"{record.stem}.html").is_file()


def test_every_package_of_the_library_has_a_page_with_its_modules(site: Path) -> None:
    library = ROOT / "shared" / "velocast"
    for module in library.rglob("*.py"):
        if module.stem == "__init__":
            continue
        package = ".".join(module.parent.relative_to(ROOT / "shared").parts)
        page = (site / "library" / f"{package}.html").read_text(encoding="utf-8")
        assert f'id="{package}.{module.stem}"' in page


def test_the_commands_and_the_http_api_are_there(site: Path) -> None:
    commands = (site / "command-line.html").read_text(encoding="utf-8")
    for command in ("demo", "backtest", "status", "reproduce", "local-up", "dataset-freeze"):
        assert f'id="velocast-{command}"' in commands
    document = json.loads((site / "openapi.json").read_text(encoding="utf-8"))
    page = (site / "http-api.html").read_text(encoding="utf-8")
    for path in document["paths"]:
        assert path in page
    for schema in document["components"]["schemas"]:
        assert f'id="{schema.lower()}"' in page


def test_search_knows_prose_and_code_without_a_server(site: Path) -> None:
    # opened from the file system, a page cannot fetch JSON; it loads this script instead
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    for word in ("velocast.usecases.ingest.fetch", "dead letter", "POST /v1/predict"):
        assert word.lower() in index.lower()


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^\"'\s>]+"
    )
    for page in site.rglob("*.html"):
        assert not loaded.findall(page.read_text(encoding="utf-8")), page.name


def test_make_builds_with_the_command_that_is_tested_here() -> None:
    # with --quiet the warnings are dropped before they are counted, and nothing fails
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"/mkdocs build(.*)$", makefile, re.MULTILINE) == [" --strict"]


BROKEN = {
    "[gone](no-such-page.md)": "'no-such-page.md', but the target is not found",
    "[gone](other.md#no-such-heading)": "does not contain an anchor '#no-such-heading'",
    "[gone](#nor-this-one)": "'#nor-this-one', but there is no such anchor on this page",
    "![gone](no-such-picture.png)": "'no-such-picture.png', but the target is not found",
}


def test_every_broken_link_is_named_and_fails_the_build(tmp_path: Path) -> None:
    done = build_two_pages(tmp_path, "\n\n".join(BROKEN))
    assert done.returncode != 0
    for complaint in BROKEN.values():
        assert complaint in done.stdout + done.stderr
    assert f"Aborted with {len(BROKEN)} warnings" in done.stdout + done.stderr


def test_one_missing_anchor_is_enough_to_fail_the_build(tmp_path: Path) -> None:
    assert build_two_pages(tmp_path, "[gone](other.md#no-such-heading)").returncode != 0


def test_a_module_that_is_not_there_fails_the_build(tmp_path: Path) -> None:
    done = build_two_pages(tmp_path, "::: velocast.no_such_module")
    assert done.returncode != 0
    assert "velocast.no_such_module" in done.stdout + done.stderr


def test_links_that_are_whole_pass(tmp_path: Path) -> None:
    done = build_two_pages(tmp_path, "[there](other.md#a-heading)")
    assert done.returncode == 0, done.stderr


def test_a_page_outside_the_navigation_fails_the_build(tmp_path: Path) -> None:
    pages(tmp_path, "text")
    done = build(tmp_path, PROJECT_PATHS + "nav: [index.md]\n")
    assert done.returncode != 0
    assert "other.md" in done.stdout + done.stderr


def build_two_pages(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Build a site of two pages, the first with `text`."""
    pages(folder, text)
    return build(folder, PROJECT_PATHS + "nav: [index.md, other.md]\n")


def pages(folder: Path, text: str) -> None:
    docs = folder / "docs"
    (docs / "assets").mkdir(parents=True)
    for name in ("icon.svg", "site.css", "iframe-worker.js"):
        (docs / "assets" / name).touch()
    (docs / "index.md").write_text(f"# Start\n\n{text}\n", encoding="utf-8")
    (docs / "other.md").write_text("# Other\n\n## A heading\n", encoding="utf-8")
