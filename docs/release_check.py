"""Check that a release is consistent: version, changelog, tag and working tree. Called by `make release-check`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

HEADING = re.compile(r"^## (?P<version>\S+) \((?P<date>[^)]+)\)$", re.MULTILINE)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
UNRELEASED = "unreleased"


def problems(root: Path) -> list[str]:
    """Return what is inconsistent in the repository at root, one sentence each; empty when all agree."""
    version = _version(root)
    heading = HEADING.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if heading is None:
        return ["CHANGELOG.md has no heading of the form '## 1.2.3 (2026-01-31)'"]
    tags = [tag for tag in _git(root, "tag", "--points-at", "HEAD") if tag.startswith("v")]
    return [
        *_heading_problems(version, heading, tagged=bool(tags)),
        *_tag_problems(version, tags),
        *_tree_problems(root),
    ]


def _version(root: Path) -> str:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def _heading_problems(version: str, heading: re.Match[str], *, tagged: bool) -> list[str]:
    found = []
    if heading["version"] != version:
        found.append(
            f"pyproject.toml has version {version}, the newest heading of CHANGELOG.md {heading['version']}"
        )
    if heading["date"] != UNRELEASED and not DATE.fullmatch(heading["date"]):
        found.append(
            f"CHANGELOG.md: {heading['date']!r} is neither a date (2026-01-31) nor '{UNRELEASED}'"
        )
    if tagged and heading["date"] == UNRELEASED:
        found.append(
            f"HEAD is tagged, but CHANGELOG.md calls {heading['version']} {UNRELEASED}; write the date"
        )
    return found


def _tag_problems(version: str, tags: list[str]) -> list[str]:
    return [
        f"HEAD has the tag {tag}, pyproject.toml version {version}; the tag must be v{version}"
        for tag in tags
        if tag != f"v{version}"
    ]


def _tree_problems(root: Path) -> list[str]:
    changed = [line[3:] for line in _git(root, "status", "--porcelain")]
    if not changed:
        return []
    return [f"uncommitted changes: {', '.join(changed)}; commit or discard them"]


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def main() -> int:
    """Print the problems of this repository; exit code 0 only if there are none."""
    root = Path(__file__).parents[1]
    found = problems(root)
    for problem in found:
        print(f"release-check: {problem}", file=sys.stderr)
    if not found:
        print(f"release-check: version {_version(root)} is consistent")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
