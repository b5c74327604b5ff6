"""Each image's content as its Dockerfile puts it together: requirements by pip, then its commands."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import emulators
from tests.packages import environments
from tests.packages.environments import ROOT, Environment

pytestmark = [pytest.mark.packages, pytest.mark.timeout(900)]

JOBS = yaml.safe_load((ROOT / "terraform/config/jobs.yaml").read_text())


@dataclass
class Image:
    """An unpacked archive and the environment of its requirements."""

    source: Path
    environment: Environment


# Where each image's archive has its requirements.
REQUIREMENTS = {"mlflow": "requirements.txt", "jobs": "workflows/jobs/requirements.txt"}


@pytest.fixture(scope="module")
def image(
    request: pytest.FixtureRequest,
    packages: dict[str, Path],
    old_pip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Image:
    """The image that a test names, unpacked and installed."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    with tarfile.open(packages[name]) as opened:
        opened.extractall(folder / "source", filter="data")
    file = folder / "source" / REQUIREMENTS[name]
    environment = environments.install(name, file, folder / "environment", old_pip)
    return Image(folder / "source", environment)


@pytest.mark.parametrize("image", ["mlflow"], indirect=True)
@pytest.mark.parametrize(
    "command",
    [
        ("mlflow", "--version"),
        ("mlflow", "server", "--help"),
        ("mlflow", "db", "upgrade", "sqlite:///new.db"),
        ("python", "-c", "import psycopg2, google.cloud.storage"),
    ],
    ids=" ".join,
)
def test_mlflow_runs(image: Image, command: tuple[str, ...], tmp_path: Path) -> None:
    done = image.environment.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("image", ["jobs"], indirect=True)
@pytest.mark.parametrize("job", JOBS)
def test_a_job_starts(image: Image, job: str) -> None:
    done = run(image, JOBS[job]["script"], "--help")
    assert done.returncode == 0, done.stderr
    assert "--execution-id" in done.stdout


@pytest.mark.parametrize("image", ["jobs"], indirect=True)
@pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
def test_training_without_counts_leaves_its_reason(
    image: Image, stack_variables: dict[str, str]
) -> None:
    asked = ("--execution-id=e-1", "--as-of=2025-03-10T04:00:00Z")
    done = run(image, "train.py", *asked, variables=stack_variables)
    assert done.returncode == 1, done.stderr
    left = emulators.objects().read("runs/e-1/error.json")
    assert "too_little_history" in left.data.decode(), done.stderr


def run(
    image: Image, script: str, *arguments: str, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a job's script with what the Dockerfile sets."""
    return image.environment.run(
        "python",
        script,
        *arguments,
        cwd=image.source / "workflows/jobs",
        variables={"PYTHONPATH": str(image.source / "shared")} | (variables or {}),
    )
