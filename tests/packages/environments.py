"""Environments like those that the buildpack and the images' Dockerfiles make: pip, hashes, and nothing else.

OLDEST_PIP is the oldest that the exported files are for. An older one refuses a dependency on an extra (such as
`google-auth[pyopenssl]`) beside a hash: it reads the extra as a second requirement, which the file does not pin.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

ROOT = Path(__file__).parents[2]
OLDEST_PIP = "23.3"
FUNCTION_MODULE = ROOT / "terraform/modules/function/main.tf"


class InstallFailed(Exception):
    """pip refused a file of requirements; the message is what it printed."""


def runtime() -> str:
    """Return the Python version that functions run on, such as `3.12`."""
    found = re.search(r'runtime\s+= "python(\d)(\d+)"', FUNCTION_MODULE.read_text(encoding="utf-8"))
    assert found is not None, f"{FUNCTION_MODULE} names no Python runtime"
    return f"{found[1]}.{found[2]}"


def interpreter() -> Path:
    """Return a Python of the functions' version, or this one if the machine has none."""
    name = f"python{runtime()}"
    beside = Path(sys.base_prefix).parent.glob(f"{runtime()}*/bin/{name}")  # pyenv's layout
    for candidate in filter(None, [sys.executable, shutil.which(name), *map(str, beside)]):
        said = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if said.stdout.strip() == runtime():
            return Path(candidate)
    return Path(sys.executable)


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds what one requirements.txt lists."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def run(
        self, *command: str, cwd: Path, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment with these variables alone, as a container does."""
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=cwd,
            env={"PATH": f"{self.bin}:{os.defpath}"} | (variables or {}),
            capture_output=True,
            text=True,
            check=False,
        )


def old_pip(folder: Path) -> Path:
    """Install OLDEST_PIP into a folder and return it, for PYTHONPATH."""
    _pip("install", "--quiet", "--target", str(folder), f"pip=={OLDEST_PIP}")
    return folder


def install(name: str, requirements: Path, folder: Path, old: Path) -> Environment:
    """Make an environment and install a file with the pip of this project; `old` (`old_pip`) must accept it too.

    The wheels are kept in the user's cache folder, since pip spends most of its time on the registry's pages. Raises
    InstallFailed with pip's words if a pip refuses the file, or if packages are missing afterwards.
    """
    subprocess.run([interpreter(), "-m", "venv", "--without-pip", folder], check=True)
    target = ("--python", str(folder / "bin/python"))
    file = ("--quiet", "--require-hashes", "--requirement", str(requirements))
    wheels = platformdirs.user_cache_path("velocast") / "wheels" / name
    kept = ("--no-index", "--find-links", str(wheels))
    try:
        _pip(*target, "install", "--dry-run", *kept, *file, pip=old)
    except InstallFailed:
        shutil.rmtree(wheels, ignore_errors=True)
        _pip(*target, "download", "--dest", str(wheels), *file, pip=old)
    _pip(*target, "install", "--no-compile", *kept, *file)
    _run("uv", "pip", "check", *target)
    return Environment(folder)


def _pip(*arguments: str, pip: Path | None = None) -> None:
    chosen = {} if pip is None else {"PYTHONPATH": str(pip)}
    _run("pip", *arguments, variables=chosen | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})


def _run(program: str, *arguments: str, variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env=os.environ | (variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = f"{program} {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        raise InstallFailed(said[-4000:])
