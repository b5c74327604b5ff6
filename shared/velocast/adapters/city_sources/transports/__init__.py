"""Transports: how records come from a city, one module for each kind of source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from velocast.adapters.city_sources.transport import Transport
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.city.sources import (
    ArcGis,
    Bucket,
    Ckan,
    EcoCounter,
    Files,
    Opendatasoft,
    SensorThings,
    Socrata,
    Source,
)
from velocast.core.errors import SettingsError


def open_transport(
    city: City, source: Source, file: FileFormat, *, token_file: Path | None = None, **timing: Any
) -> Transport:
    """Return the transport of a source.

    file: how its files are read. token_file: holds the city's token, for a source that takes one. timing: limits, sleep
    and clock, as for `HttpSource`. Raises SettingsError for a token file that cannot be read.
    """
    from velocast.adapters.city_sources.transports import (
        arcgis,
        bucket,
        ckan,
        eco_counter,
        files,
        opendatasoft,
        sensorthings,
        socrata,
    )

    token = _token(token_file) if token_file else None
    match source:
        case Opendatasoft():
            return opendatasoft.OpendatasoftTransport(city, source, **timing)
        case Socrata():
            return socrata.SocrataTransport(city, source, token, **timing)
        case Ckan():
            return ckan.CkanTransport(city, source, file, **timing)
        case ArcGis():
            return arcgis.ArcGisTransport(city, source, **timing)
        case SensorThings():
            return sensorthings.SensorThingsTransport(city, source, **timing)
        case Files():
            return files.FilesTransport(city, source, file, **timing)
        case Bucket():
            return bucket.BucketTransport(city, source, file, **timing)
        case EcoCounter():
            return eco_counter.EcoCounterTransport(city, source, token, **timing)


def _token(file: Path) -> str | None:
    """Return the token in a mounted secret; None where it still has its first value, a note with spaces in it."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(
            f"VELOCAST_CITY_TOKEN_FILE={str(file)!r} cannot be read: {exc}; mount the city's token there"
        ) from exc
    return text if text and not any(each.isspace() for each in text) else None
