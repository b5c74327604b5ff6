"""Links between files of the repository, as the site's source has them; and the paths that prose names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.scripts import load

ROOT = Path(__file__).parents[2]
links = load("build_site/repository_links.py")
ADOPTED = {"CHANGELOG.md": "changelog.md"}
TOP = "functions|shared|cli|local|workflows|terraform|tests|benchmarks|docs|\\.github"
NAMED = re.compile(rf"`((?:{TOP})/[\w./*-]*)`")
PLACED = re.compile(rf"`(\w+)`\s+(?:in|of)\s+`((?:{TOP})/[\w./-]*\.\w+)`")
# Written by Terraform, or by whoever follows a guide.
EXAMPLES = {"terraform/.terraform.lock.hcl", "shared/velocast/cities/brest.yaml"}
PROSE = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md")]
    + [page for top in TOP.split("|")[:-1] for page in ROOT.glob(f"{top}/**/*.md")]
)


@pytest.mark.parametrize(
    ("source", "page", "link", "found"),
    [
        ("docs/deploy.md", "deploy.md", "adr/index.md", "adr/index.md"),
        ("docs/adr/index.md", "adr/index.md", "../deploy.md#upgrade", "../deploy.md#upgrade"),
        ("docs/deploy.md", "deploy.md", "../CHANGELOG.md", "changelog.md"),
        ("CHANGELOG.md", "changelog.md", "docs/deploy.md", "deploy.md"),
        (
            "docs/adr/index.md",
            "adr/index.md",
            "../../pyproject.toml",
            "https://github.com/velocast/velocast/blob/main/pyproject.toml",
        ),
        (
            "CHANGELOG.md",
            "changelog.md",
            "terraform",
            "https://github.com/velocast/velocast/tree/main/terraform",
        ),
        ("docs/deploy.md", "deploy.md", "https://example.org/a", "https://example.org/a"),
        ("docs/deploy.md", "deploy.md", "#upgrade", "#upgrade"),
        ("docs/deploy.md", "deploy.md", "http-api.md#schemas", "http-api.md#schemas"),
    ],
)
def test_a_link_becomes_one_of_the_site(source: str, page: str, link: str, found: str) -> None:
    assert links.at_site(f"[x]({link})", source, page, ROOT, ADOPTED) == f"[x]({found})"


def test_code_is_left_alone() -> None:
    text = "```md\n[x](nowhere.md)\n```\n"
    assert links.at_site(text, "docs/deploy.md", "deploy.md", ROOT, ADOPTED) == text


def test_a_link_to_no_file_is_refused() -> None:
    with pytest.raises(
        links.BrokenLink, match=r"docs/deploy.md: link to ../gone.py, but there is no"
    ):
        links.at_site("[x](../gone.py)", "docs/deploy.md", "deploy.md", ROOT, ADOPTED)


@pytest.mark.parametrize("page", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_prose_names_exist(page: Path) -> None:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    missing = [p for p in set(named) - EXAMPLES if not list(ROOT.glob(p.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("page", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_that_prose_places_in_a_file_are_there(page: Path) -> None:
    missing = [
        f"{name} in {path}"
        for name, path in PLACED.findall(page.read_text(encoding="utf-8"))
        if not re.search(rf"\b{name}\b", (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not missing


@pytest.mark.parametrize("page", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_of_prose_lead_somewhere(page: Path) -> None:
    source = page.relative_to(ROOT).as_posix()
    links.at_site(page.read_text(encoding="utf-8"), source, source, ROOT, {})


@pytest.mark.parametrize("page", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_that_prose_names_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = re.findall(
        r"(?:`|^)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(named) <= targets
