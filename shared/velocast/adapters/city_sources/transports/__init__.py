"""Transports: how records come from a city, one module for each kind of source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from velocast.adapters.city_sources.transport import Transport
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.city.sources import Opendatasoft, Source


def open_transport(
    city: City, source: Source, file: FileFormat, *, token_file: Path | None = None, **timing: Any
) -> Transport:
    """Return the transport of a source.

    file: how its files are read. token_file: holds the city's token, for a source that takes one. timing: limits, sleep
    and clock, as for `HttpSource`.
    """
    from velocast.adapters.city_sources.transports import opendatasoft

    match source:
        case Opendatasoft():
            return opendatasoft.OpendatasoftTransport(city, source, **timing)
        case _:
            raise NotImplementedError(source.transport)
