"""Rules of the project itself: import layers, requirements from the lock file, one version."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PARTS = {
    f"functions/{name}": name for name in ("fetch", "predict", "monitor", "notify", "serve")
} | {"workflows/jobs": "jobs"}


def test_imports_run_downward() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("part", PARTS)
def test_requirements_are_what_the_lock_says(part: str) -> None:
    exported = subprocess.run(
        [Path(sys.executable).parent / "uv", "export", "--quiet", "--locked", "--no-default-groups",
         "--group", PARTS[part], "--no-emit-project", "--no-annotate", "--no-header"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert exported == (ROOT / part / "requirements.txt").read_text(), (
        "stale: run `make requirements`"
    )


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """The import graph of the library, including imports inside functions."""
    return grimp.build_graph(
        "velocast", include_external_packages=True, exclude_type_checking_imports=True
    )


def imported_modules(entry: Path, graph: grimp.ImportGraph) -> set[str]:
    """Return all modules that an entry point reaches, in the library and beyond."""
    named = set()
    for file in entry.parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    ours = named & graph.modules
    return named | ours.union(*(graph.find_upstream_modules(module) for module in ours))


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.fixture(scope="module")
def owners() -> Mapping[str, list[str]]:
    """The installed distributions of each top-level module."""
    return importlib.metadata.packages_distributions()


@pytest.mark.parametrize("part", PARTS)
def test_requirements_hold_what_is_imported(
    part: str, imports: grimp.ImportGraph, owners: Mapping[str, list[str]]
) -> None:
    lines = (ROOT / part / "requirements.txt").read_text().splitlines()
    required = {canonical(line.split("==")[0]) for line in lines if "==" in line}
    reached = {m.split(".")[0] for m in imported_modules(ROOT / part / "main.py", imports)}
    missing = {
        module
        for module in reached - {"velocast"}
        if module in owners and not {canonical(owner) for owner in owners[module]} & required
    }
    assert not missing, f"{part} imports {sorted(missing)}, which its requirements.txt lacks"


def test_nothing_that_builds_or_installs_is_left_open() -> None:
    """An override would replace the requirement of every package, with its extra (docs/gotchas.md)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "override-dependencies" not in project["tool"]["uv"]
    assert [line for line in project["build-system"]["requires"] if "==" not in line] == []


def test_images_and_functions_run_the_same_python() -> None:
    module = (ROOT / "terraform/modules/function/main.tf").read_text()
    (version,) = re.findall(r'runtime\s+= "python3(\d+)"', module)
    for image in ("workflows/jobs", "terraform/modules/mlflow/image"):
        lines = (ROOT / image / "Dockerfile").read_text().splitlines()
        # `deploy` gives the digest, so there must be one base image and it must be replaceable
        assert f"ARG BASE_IMAGE=python:3.{version}-slim" in lines
        assert [line for line in lines if line.startswith("FROM")] == ["FROM ${BASE_IMAGE}"]


def test_changelog_speaks_of_this_version() -> None:
    version = importlib.metadata.version("velocast")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_what_contributors_run() -> None:
    ci = (ROOT / ".ci/run").read_text()
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["test"]["steps"]]
    for command in ("make check", "make test"):
        assert command in ci
        assert command in steps
        assert command in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_folder_says_what_lives_in_it() -> None:
    named = ROOT.glob("[a-z]*")
    folders = {path.name for path in named if path.is_dir()} - {"build", "dist", "htmlcov"}
    described = {path.parent.name for path in ROOT.glob("*/README.md")}
    assert {"functions", "shared", "cli", "local", "workflows", "terraform", "tests"} <= folders
    assert folders - described == {"docs"}  # whose start is docs/index.md


def test_dependency_updates_reach_everything_that_is_pinned() -> None:
    configured = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    watched: dict[str, set[Path]] = {}
    for entry in configured:
        listed = entry.get("directories") or [entry["directory"]]
        found = [path for folder in listed for path in ROOT.parent.glob(ROOT.name + folder)]
        assert found, f"{listed} match no folder"
        watched[entry["package-ecosystem"]] = set(found)
    parts = [path for name in ("workflows", "terraform") for path in (ROOT / name).rglob("*")]
    assert {path.parent for path in parts if path.name == "Dockerfile"} == watched["docker"]
    pinned = {path.parent for path in parts if path.name == "versions.tf"}
    assert pinned <= watched["terraform"]
    assert {"uv", "github-actions"} <= watched.keys()


# The same thing on both sides of a border: the emulators know nothing of Velocast. `main` is where a process starts.
DEFINED_TWICE = {"main", "parse_instant", "rfc3339"}


def defined_names(module: ast.Module, *, aliases: bool) -> Iterator[str]:
    """Yield the functions, classes and type aliases of a module, without type variables."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif aliases and isinstance(node, ast.Assign) and "TypeVar" not in ast.dump(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name) and re.fullmatch("[A-Z]+[a-z]\\w*", target.id):
                    yield target.id


@pytest.mark.parametrize(
    ("folders", "aliases"), [(("shared", "cli", "local"), False), (("shared", "cli"), True)]
)
def test_a_public_name_means_one_thing(folders: tuple[str, ...], aliases: bool) -> None:
    places: dict[str, list[str]] = {}
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            module = ast.parse(file.read_text(encoding="utf-8"))
            for name in defined_names(module, aliases=aliases):
                places.setdefault(name, []).append(str(file.relative_to(ROOT)))
    twice = {
        name: files
        for name, files in places.items()
        if len(files) > 1 and not name.startswith("_") and name not in DEFINED_TWICE
    }
    assert not twice, "give each its own name"


def test_no_folder_holds_more_than_about_a_dozen_modules() -> None:
    files = [
        file
        for folder in ("functions", "shared", "cli", "local", "workflows", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
        if file.name != "__init__.py"
    ]
    crowded = {
        str(folder.relative_to(ROOT)): number
        for folder, number in Counter(file.parent for file in files).items()
        if number > 14
    }
    assert not crowded, "divide it into packages"
