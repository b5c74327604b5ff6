"""Packages: the same content gives the same bytes, and the library can be imported from a function's zip."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "terraform/package.py"


@pytest.fixture(scope="module")
def package() -> ModuleType:
    spec = importlib.util.spec_from_file_location("package", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A tree with the parts of the project that packaging reads."""
    files = {
        "pyproject.toml": '[project]\nname = "velocast"\nversion = "1.2.3"\n',
        "README.md": "readme",
        "LICENSE": "licence",
        "functions/fetch/main.py": "import velocast\n",
        "functions/fetch/requirements.txt": "flask==3.0 --hash=sha256:0\n",
        "functions/fetch/__pycache__/main.pyc": "left out",
        "shared/velocast/__init__.py": "X = 1\n",
        "cli/velocast_cli/main.py": "X = 1\n",
        "local/velocast_local/demo.py": "X = 1\n",
        "local/gcp_emulators/core/clock.py": "X = 1\n",
        "workflows/jobs/Dockerfile": "FROM python\n",
        "terraform/modules/mlflow/image/Dockerfile": "FROM python\n",
        "terraform/modules/mlflow/image/requirements.txt": "mlflow==3.0\n",
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_content_gives_same_bytes_whatever_its_dates_and_modes(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    package.package(project, tmp_path / "first")
    for path in project.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    package.package(project, tmp_path / "second")
    assert content(tmp_path / "first") == content(tmp_path / "second")


def test_a_change_of_the_library_renames_what_holds_it_and_only_that(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    before = package.package(project, tmp_path / "out")
    (project / "shared/velocast/__init__.py").write_text("X = 2\n")
    after = package.package(project, tmp_path / "out")
    assert before["functions"]["fetch"] != after["functions"]["fetch"]
    assert before["images"]["jobs"] != after["images"]["jobs"]
    assert before["images"]["mlflow"] == after["images"]["mlflow"]
    left = {after["functions"]["fetch"], *after["images"].values(), "packages.json"}
    assert set(content(tmp_path / "out")) == left
    assert json.loads((tmp_path / "out/packages.json").read_text()) == after


def test_a_city_s_own_file_is_deployed_with_the_library(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    before = package.package(project, tmp_path / "out")
    city = tmp_path / "oz.yml"
    city.write_text("name: Oz\n")
    listing = package.package(project, tmp_path / "out", city)
    assert listing["city"] == {
        "name": "oz",
        "sha256": hashlib.sha256(city.read_bytes()).hexdigest(),
    }
    with zipfile.ZipFile(tmp_path / "out" / listing["functions"]["fetch"]) as archive:
        assert archive.read("velocast/cities/oz.yaml") == b"name: Oz\n"
    with tarfile.open(tmp_path / "out" / listing["images"]["jobs"]) as archive:
        assert "shared/velocast/cities/oz.yaml" in archive.getnames()
    assert listing["images"]["mlflow"] == before["images"]["mlflow"]
    assert "city" not in package.package(project, tmp_path / "out")


def test_the_events_that_a_city_names_are_deployed_with_it(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    city = tmp_path / "oz.yaml"
    city.write_text("name: Oz\nevents: 'works.csv'  # edited by the press office\n")
    with pytest.raises(FileNotFoundError, match=r"names its events 'works.csv'; put that file"):
        package.package(project, tmp_path / "out", city)
    (tmp_path / "works.csv").write_bytes(b"since,what,kind\n")
    files = package.library_files(project, city)
    assert files["cities/works.csv"] == b"since,what,kind\n"


@pytest.mark.parametrize("line", ["", "events: gs://b/w.csv", "events: []", "events:\n  - {}"])
def test_events_in_a_bucket_or_in_the_file_itself_need_no_file(
    package: ModuleType, line: str, tmp_path: Path
) -> None:
    city = tmp_path / "oz.yaml"
    city.write_text(f"name: Oz\n{line}\n")
    assert package.events_of(city) is None


@pytest.mark.parametrize("folder", ["cli", "local", "tests", "docs"])
def test_a_change_of_what_is_not_deployed_changes_no_package(
    package: ModuleType, project: Path, tmp_path: Path, folder: str
) -> None:
    before = package.package(project, tmp_path / "out")
    changed = [*(project / folder).rglob("*.py"), project / folder / "new.py"]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("X = 2\n")
    assert package.package(project, tmp_path / "out") == before


def test_the_image_of_the_jobs_holds_library_and_jobs_alone(package: ModuleType) -> None:
    files = package.image_files(ROOT, "jobs")
    places = {"/".join(name.split("/")[:2]) for name in files}
    assert places == {
        "Dockerfile",
        "workflows/jobs",
        "shared/velocast",
        "shared/velocast-0.1.0.dist-info",
    }


def test_a_zip_holds_handler_requirements_library_and_its_version(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    listing = package.package(project, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out" / listing["functions"]["fetch"]) as archive:
        assert archive.namelist() == [
            "main.py",
            "requirements.txt",
            "velocast-1.2.3.dist-info/METADATA",
            "velocast/__init__.py",
        ]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_the_image_of_the_api_is_built_from_the_functions_zip(package: ModuleType) -> None:
    files = package.function_files(ROOT, "serve")
    text = files["Dockerfile"].decode()
    assert (
        'CMD ["functions-framework", "--target=serve", "--source=main.py", "--port=8080"]' in text
    )
    assert {"main.py", "requirements.txt", "velocast/__init__.py"} <= files.keys()
    for other in ("fetch", "predict", "monitor", "notify"):
        assert "Dockerfile" not in package.function_files(ROOT, other)


def test_an_image_has_its_dockerfile_at_the_top(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    images = package.package(project, tmp_path / "out")["images"]
    with tarfile.open(tmp_path / "out" / images["mlflow"]) as archive:
        assert archive.getnames() == ["Dockerfile", "requirements.txt"]
    with tarfile.open(tmp_path / "out" / images["jobs"]) as archive:
        assert "Dockerfile" in archive.getnames()
        assert "shared/velocast/__init__.py" in archive.getnames()


def test_a_function_without_requirements_is_refused(
    package: ModuleType, project: Path, tmp_path: Path
) -> None:
    (project / "functions/fetch/requirements.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"functions/fetch has no requirements\.txt; .*make requirements"
    ):
        package.package(project, tmp_path / "out")


def test_the_library_of_a_real_zip_is_imported_from_it_with_its_version(
    package: ModuleType, tmp_path: Path
) -> None:
    listing = package.package(ROOT, tmp_path / "out")
    assert set(listing["functions"]) == {"fetch", "predict", "monitor", "notify", "serve"}
    with zipfile.ZipFile(tmp_path / "out" / listing["functions"]["serve"]) as archive:
        archive.extractall(tmp_path / "serve")
    code = (
        "import velocast, sys; from importlib.metadata import version; "
        "from velocast.core import schemas; schemas.table('monitoring_audit.logs'); "
        "sys.stdout.write(velocast.__file__ + ' ' + version('velocast'))"
    )
    # The folder comes first on the path, as with the Functions Framework; this environment has the library too.
    environment = {"PYTHONPATH": str(tmp_path / "serve"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stdout == f"{tmp_path / 'serve/velocast/__init__.py'} 0.1.0"


def test_every_file_an_image_copies_is_packed(package: ModuleType) -> None:
    for name, (dockerfile, _) in package.IMAGES.items():
        files = package.image_files(ROOT, name)
        lines = (ROOT / dockerfile).read_text().splitlines()
        copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
        missing = [c for c in copied if not any(f == c or f.startswith(c) for f in files)]
        assert not missing, f"{dockerfile} copies {missing}, which terraform/package.py leaves out"
