"""`make release-check` on small repositories: what it accepts, and each thing it finds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.scripts import load

release_check = load("release_check.py")
Repository = Callable[..., Path]


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    plain = ("-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")
    subprocess.run(
        ["git", *identity, *plain, *arguments], cwd=root, check=True, capture_output=True
    )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Makes a repository with one commit: version, newest heading of the changelog, tag of HEAD."""

    def make(version: str, heading: str, tag: str | None = None) -> Path:
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = "{version}"\n')
        text = f"# Changelog\n\n{heading}\n\n- New.\n\n## 0.0.1 (2026-01-01)\n\n- Old.\n"
        (tmp_path / "CHANGELOG.md").write_text(text)
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", "Start")
        if tag:
            git(tmp_path, "tag", "--annotate", "--message", tag, tag)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("heading", "tag"),
    [
        ("## 0.1.0 (unreleased)", None),
        ("## 0.1.0 (2026-12-01)", None),
        ("## 0.1.0 (2026-12-01)", "v0.1.0"),
        ("## 0.1.0 (unreleased)", "demo"),  # a tag that is no version's
    ],
)
def test_what_agrees_passes(repository: Repository, heading: str, tag: str | None) -> None:
    assert release_check.problems(repository("0.1.0", heading, tag)) == []


@pytest.mark.parametrize(
    ("heading", "tag", "problems"),
    [
        (
            "## 0.2.0 (unreleased)",
            None,
            ["pyproject.toml has version 0.1.0, the newest heading of CHANGELOG.md 0.2.0"],
        ),
        (
            "## 0.1.0 (unreleased)",
            "v0.1.0",
            ["HEAD is tagged, but CHANGELOG.md calls 0.1.0 unreleased; write the date"],
        ),
        (
            "## 0.1.0 (2026-12-01)",
            "v0.2.0",
            ["HEAD has the tag v0.2.0, pyproject.toml version 0.1.0; the tag must be v0.1.0"],
        ),
        (
            "## 0.1.0 (soon)",
            None,
            ["CHANGELOG.md: 'soon' is neither a date (2026-01-31) nor 'unreleased'"],
        ),
    ],
)
def test_what_disagrees_is_named(
    repository: Repository, heading: str, tag: str | None, problems: list[str]
) -> None:
    assert release_check.problems(repository("0.1.0", heading, tag)) == problems


def test_a_changelog_without_a_heading_is_named(repository: Repository) -> None:
    root = repository("0.1.0", "## 0.1.0 (unreleased)")
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    assert release_check.problems(root) == [
        "CHANGELOG.md has no heading of the form '## 1.2.3 (2026-01-31)'"
    ]


def test_uncommitted_changes_are_named(repository: Repository) -> None:
    root = repository("0.1.0", "## 0.1.0 (unreleased)")
    (root / "new.txt").write_text("x")
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 (unreleased)\n")
    assert release_check.problems(root) == [
        "uncommitted changes: CHANGELOG.md, new.txt; commit or discard them"
    ]
