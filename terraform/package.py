#!/usr/bin/env python3
"""Package what is deployed: a zip for each function, an archive for each image, and `packages.json`, which lists them.

    python3 terraform/package.py [--out build/packages] [--city my-city.yaml]

Needs only Python 3.11. The same content gives the same bytes on every machine (sorted names, fixed date and mode, no
compression, because zlib versions differ). Each file name contains the hash of the content, so that only changed
packages are deployed again.

A function's zip contains main.py, requirements.txt with hashes, and the library as the folder `velocast` next to them.
The library is not listed in requirements.txt: with hashes, pip refuses any entry without one, and a folder or a wheel
built just now has none. The folder is importable without pip, because the Functions Framework puts main.py's folder on
the path. `velocast-<version>.dist-info` makes the version available to `importlib.metadata`. A city's own file, given
by --city, is put among the library's cities under its name, in place of one that has the same name.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HASH_DIGITS = 16
EVENTS = re.compile(r"""^events:[ \t]*["']?([^"'#\s\[]+)""", re.MULTILINE)
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest date a zip can store
LEFT_OUT = {"__pycache__"}

# The folders that each image's Dockerfile copies, by image name. The Dockerfile goes to the top of the archive.
IMAGES = {
    "jobs": ("workflows/jobs/Dockerfile", ["workflows/jobs", "shared/velocast"]),
    "mlflow": ("terraform/modules/mlflow/image/Dockerfile", []),
}

Files = dict[str, bytes]


def files_under(folder: Path, *, to: str = "") -> Files:
    """Return the content of every file under a folder, by its name in the package, which starts with `to`."""
    found = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in found if not LEFT_OUT & set(path.relative_to(folder).parts))
    return {f"{to}{path.relative_to(folder).as_posix()}": path.read_bytes() for path in kept}


def metadata(root: Path) -> Files:
    """Return the file from which `importlib.metadata` reads the library's version."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return {f"{name}-{version}.dist-info/METADATA": text.encode()}


def library_files(root: Path, city: Path | None) -> Files:
    """Return the files of the library, by their paths in it, with a city's own files among its cities.

    Raises FileNotFoundError for the events that a city's file names and that are not beside it.
    """
    files = files_under(root / "shared/velocast")
    if city is None:
        return files
    own = {f"cities/{city.stem}.yaml": city.read_bytes()}
    if name := events_of(city):
        own[f"cities/{name}"] = (city.parent / name).read_bytes()
    return files | own


def events_of(city: Path) -> str | None:
    """Return the file of events that a city's file names; None without one, and where it is in a bucket.

    This program has no parser of YAML, and the key is at the start of a line. Raises FileNotFoundError unless the file
    is in the city's folder, whose files alone are deployed.
    """
    found = EVENTS.search(city.read_text(encoding="utf-8"))
    if found is None or found[1].startswith("gs://"):
        return None
    name = found[1]
    if "/" in name or not (city.parent / name).is_file():
        raise FileNotFoundError(
            f"{city} names its events {name!r}; put that file beside it and name it without a folder, or in a bucket"
        )
    return name


def function_files(root: Path, name: str, city: Path | None = None) -> Files:
    """Return the files of a function's zip. Raises FileNotFoundError naming the missing file."""
    files = files_under(root / "functions" / name)
    for needed in ("main.py", "requirements.txt"):
        if needed not in files:
            raise FileNotFoundError(
                f"functions/{name} has no {needed}; a function needs main.py and requirements.txt "
                "(`make requirements` writes requirements.txt)"
            )
    library = {f"velocast/{path}": data for path, data in library_files(root, city).items()}
    return files | library | metadata(root)


def image_files(root: Path, name: str, city: Path | None = None) -> Files:
    """Return the files of an image's archive, with its Dockerfile as `Dockerfile`."""
    dockerfile, sources = IMAGES[name]
    folder = root / dockerfile
    files = files_under(folder.parent) if not sources else {"Dockerfile": folder.read_bytes()}
    for source in sources:
        files |= files_under(root / source, to=f"{source}/")
    if "shared/velocast" in sources:
        library = library_files(root, city)
        files |= {f"shared/velocast/{path}": data for path, data in library.items()}
        files |= {f"shared/{name}": data for name, data in metadata(root).items()}
    return files


def zip_bytes(files: Files) -> bytes:
    """Return a zip of the files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def tar_bytes(files: Files) -> bytes:
    """Return a tar of the files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(files[name]), 0o644, 0
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def named(name: str, data: bytes, ending: str) -> str:
    """Return the file's name, which contains the hash of its content."""
    return f"{name}-{hashlib.sha256(data).hexdigest()[:HASH_DIGITS]}.{ending}"


def package(root: Path, out: Path, city: Path | None = None) -> dict[str, dict[str, str]]:
    """Write all packages and `packages.json` to `out`, remove all other files there, and return packages.json.

    city: a city's own file, which packages.json names with the hash of its content, so that Terraform can compare it.
    """
    written: Files = {}
    listing: dict[str, dict[str, str]] = {"functions": {}, "images": {}}
    for main in sorted((root / "functions").glob("*/main.py")):
        name = main.parent.name
        data = zip_bytes(function_files(root, name, city))
        listing["functions"][name] = named(name, data, "zip")
        written[listing["functions"][name]] = data
    for name in IMAGES:
        data = tar_bytes(image_files(root, name, city))
        listing["images"][name] = named(name, data, "tgz")
        written[listing["images"][name]] = gzip.compress(data, compresslevel=0, mtime=0)
    if city is not None:
        digest = hashlib.sha256(city.read_bytes()).hexdigest()
        listing["city"] = {"name": city.stem, "sha256": digest}
    written["packages.json"] = (json.dumps(listing, indent=2) + "\n").encode()
    _write(out, written)
    return listing


def _write(out: Path, files: Files) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
    _remove(path for path in out.iterdir() if path.is_file() and path.name not in files)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink()


def main() -> None:
    """Write the packages and print their paths."""
    parser = argparse.ArgumentParser(description="Package functions and images for Terraform.")
    parser.add_argument("--out", type=Path, default=ROOT / "build/packages")
    parser.add_argument("--city", type=Path, help="a city's own file, to deploy with the library")
    asked = parser.parse_args()
    if asked.city is not None and not asked.city.is_file():
        parser.error(f"--city {asked.city}: no such file")
    listing = package(ROOT, asked.out, asked.city)
    for kind in ("functions", "images"):
        for file in listing[kind].values():
            sys.stdout.write(f"{kind}: {asked.out / file}\n")


if __name__ == "__main__":
    main()
