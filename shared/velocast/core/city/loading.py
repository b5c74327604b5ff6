"""Reads the description of a city: a packaged one by its name, any other by its path or its gs:// address."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from velocast.core.city.description import City
from velocast.core.city.events import read_events
from velocast.core.errors import ObjectMissing, SettingsError

GCS = "gs://"
ENDINGS = (".yaml", ".yml")

ReadObject = Callable[
    [str], bytes
]  # the content of an object of Cloud Storage, by its gs:// address


def load_city(name: str, *, read_object: ReadObject | None = None) -> City:
    """Read a city's description.

    name: that of a packaged city, a path (it ends in .yaml or .yml, or has a folder), or a gs:// address. read_object:
    reads the latter (`velocast.adapters.gcs.read_address`). Raises SettingsError when there is no such city, and when
    its file has a wrong or unknown key, time zone or holiday calendar, or its events a wrong line.
    """
    if name.startswith(GCS):
        values = _mapping(_object(name, read_object), name)
        return parse_city(_with_events(values, name.rpartition("/")[0], read_object), name)
    if is_path(name):
        folder = Path(name).expanduser().parent
        return parse_city(_with_events(_mapping(_file(name), name), folder, read_object), name)
    return _packaged(name, read_object)


def _with_events(
    values: dict[str, Any], folder: str | Path | Traversable, read_object: ReadObject | None
) -> dict[str, Any]:
    """Return what a city's file says, with the events themselves in place of the CSV that it names.

    folder: where the city's file is; a gs:// address as text.
    """
    named = values.get("events")
    if not isinstance(named, str):
        return values
    if named.startswith(GCS) or isinstance(folder, str):
        place = named if named.startswith(GCS) else f"{folder}/{named}"
        data = _object(place, read_object)
    else:
        place = named
        try:
            data = folder.joinpath(named).read_bytes()
        except OSError as exc:
            raise SettingsError(
                f"events: {named} cannot be read beside the city's file ({exc}); give its path from there"
            ) from exc
    return values | {"events": [each.model_dump() for each in read_events(data, place)]}


def is_path(name: str) -> bool:
    """Return whether a city is named by the path of its file."""
    return name.endswith(ENDINGS) or "/" in name or "\\" in name


def packaged_cities() -> list[str]:
    """Return the names of the cities that the library describes, sorted."""
    folder = files("velocast").joinpath("cities")
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def parse_city(values: dict[str, Any], place: str) -> City:
    """Return the city that a file describes. place: the file, for messages. Raises SettingsError."""
    try:
        return City(**values)
    except ValidationError as exc:
        raise SettingsError(f"{place}: {exc}") from exc


@cache  # one run calls this about a dozen times
def _packaged(name: str, read_object: ReadObject | None) -> City:
    if name not in packaged_cities():
        raise SettingsError(_unknown(name))
    place = f"cities/{name}.yaml"
    folder = files("velocast").joinpath("cities")
    values = _mapping(files("velocast").joinpath(place).read_bytes(), place)
    return parse_city(_with_events(values, folder, read_object), place)


def _unknown(name: str) -> str:
    known = packaged_cities()
    near = get_close_matches(name.casefold(), known, n=3)
    asked = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"city {name!r} is none of the packaged cities; {asked}Choose one of {', '.join(known)}, or give the path "
        "of a city's file (my-city.yaml) or its address (gs://bucket/my-city.yaml)"
    )


def _file(name: str) -> bytes:
    path = Path(name).expanduser()
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        near = get_close_matches(path.stem.casefold(), packaged_cities(), n=1)
        packaged = f"; {near[0]} is a packaged city, which has no path" if near else ""
        raise SettingsError(f"the city's file {name} does not exist{packaged}") from exc
    except OSError as exc:
        raise SettingsError(f"the city's file {name} cannot be read: {exc}") from exc


def _object(address: str, read_object: ReadObject | None) -> bytes:
    bucket, _, name = address.removeprefix(GCS).partition("/")
    if not bucket or not name:
        raise SettingsError(f"city {address} names no object; give gs://bucket/my-city.yaml")
    if read_object is None:
        raise SettingsError(f"city {address}: nothing here reads Cloud Storage; give a path")
    try:
        return read_object(address)
    except ObjectMissing as exc:
        raise SettingsError(f"the city's file {address} does not exist") from exc


def _mapping(data: bytes, place: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{place} is not YAML: {exc}") from exc
    if not isinstance(values, dict):
        raise SettingsError(
            f"{place} does not describe a city: it has no keys such as name and counts"
        )
    return values
