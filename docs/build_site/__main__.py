"""Write the Markdown that the documentation site is built from: `docs/`, and the pages that are generated.

python docs/build_site build/docs && mkdocs build --strict

Everything generated is plain Markdown, so that the builder can be exchanged (docs/adr/0010-documentation-site.md).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import command_line
import http_api
import library_api
from repository_links import at_site

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What lives in docs/ and is no page.
NOT_PUBLISHED = ("build_site", "*.py", "__pycache__")
# Files elsewhere in the repository that are pages of the site, too.
ADOPTED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "local/gcp_emulators/README.md": "emulators.md",
}

ICON = ROOT / "shared/velocast/usecases/site/static/icon.svg"


def copy_docs(target: Path) -> None:
    """Copy docs/ to the target, with links to the repository's other files made absolute."""
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns(*NOT_PUBLISHED))
    for copied in target.rglob("*.md"):
        page = copied.relative_to(target).as_posix()
        text = copied.read_text(encoding="utf-8")
        copied.write_text(at_site(text, f"docs/{page}", page, ROOT, ADOPTED), encoding="utf-8")


def adopt_pages(target: Path) -> None:
    """Copy the pages that live beside the code they describe."""
    for source, page in ADOPTED.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (target / page).write_text(at_site(text, source, page, ROOT, ADOPTED), encoding="utf-8")


def main() -> None:
    """Read the command line and write the source of the site."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="folder to write; replaced if it exists")
    target = parser.parse_args().target
    shutil.rmtree(target, ignore_errors=True)
    copy_docs(target)
    adopt_pages(target)
    shutil.copy(ICON, target / "assets")
    command_line.write(target / "command-line.md")
    http_api.write(target)
    library_api.write(target / "library", ROOT / "shared")


if __name__ == "__main__":
    main()
