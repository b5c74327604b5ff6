"""Where a city's records come from: the settings of each transport (`adapters/city_sources/transports`)."""

from __future__ import annotations

import re
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from velocast.core.city.reading import ONE_OR_MORE, Names, Pattern, Strict

PERIODS = ("year", "month", "day")
PLACEHOLDERS = (*PERIODS, "counter", "since", "until")


def _address(text: str) -> str:
    if not re.match(r"https?://[^/\s]+", text):
        raise ValueError(f"{text!r} is not an address; write one that begins with https://")
    return text


Address = Annotated[str, AfterValidator(_address)]


class Opendatasoft(Strict):
    """Opendatasoft's Explore API v2.1."""

    transport: Literal["opendatasoft"]
    base_url: Address
    fallback_base_urls: tuple[Address, ...] = ()
    dataset: str


class Socrata(Strict):
    """Socrata's SODA API. A floating timestamp, which has no offset, is read as the city's clock says."""

    transport: Literal["socrata"]
    base_url: Address
    dataset: str = Field(
        pattern=r"^[a-z0-9]{4}-[a-z0-9]{4}$",
        description="The data set's four-by-four identifier, such as 65db-xm6k.",
    )
    time_field: str | None = Field(
        None,
        description="The field by which counts of a time range are asked for. None: all is read each time.",
    )
    where: str | None = Field(
        None, description="A further SoQL condition, such as travelmode = 'bike'."
    )


class Ckan(Strict):
    """CKAN: rows of its datastore, or the files of a package."""

    transport: Literal["ckan"]
    base_url: Address = Field(description="The portal's address, without /api.")
    package: str | None = Field(None, description="The name of the data set, as in its address.")
    resources: Annotated[tuple[Pattern, ...], ONE_OR_MORE] = Field(
        (),
        description="Identifiers of resources, or regular expressions of their names or their files' names. Groups "
        "year, last_year and month say what a resource covers: one outside the asked time range is not read. "
        "Default: all of the package.",
    )
    datastore: bool = Field(
        True, description="Whether to ask the datastore; else the files are downloaded."
    )
    time_field: str | None = Field(
        None,
        description="The field of the datastore by which the newest rows are asked for first. None: all are read.",
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.package is None and not self.resources:
            raise ValueError("give package, or resources as a list of identifiers")
        if self.package is None and not self.datastore:
            raise ValueError("datastore: false needs package, whose files are downloaded")
        return self


class ArcGis(Strict):
    """A layer or table of an ArcGIS FeatureServer. The place of a feature is in the column geometry, in degrees."""

    transport: Literal["arcgis"]
    layer_url: Address = Field(description="The layer's address: it ends in FeatureServer/0.")
    time_field: str | None = Field(
        None,
        description="The field by which counts of a time range are asked for. None: all is read each time.",
    )
    where: str = "1=1"


class SensorThings(Strict):
    """OGC SensorThings 1.1: a datastream a counter.

    Gives columns id, name, time, time_end, result, thing_id, thing_name, latitude, longitude.
    """

    transport: Literal["sensorthings"]
    base_url: Address = Field(
        description="The service's address with its version: it ends in /v1.1."
    )
    datastreams: str | None = Field(
        None, description="An OData filter of the datastreams to read. Default: all."
    )


class Files(Strict):
    """Files over HTTPS: one, or one for each counter, year, month or day.

    `{...}` in an address is filled in: year, month (01 to 12), day (01 to 31), counter, and since and until, which are
    the asked time range's first and last day and take a format like {since:%Y%m%d}.
    """

    transport: Literal["files"]
    urls: Names
    counters: tuple[str, ...] = Field(
        (),
        description="What {counter} stands for. Default: the counters that the city's file lists.",
    )
    kept_since: str | None = Field(
        None,
        pattern=r"^\d{4}-(0[1-9]|1[0-2])$",
        description="The year and month of the first file, such as 2019-01.",
    )

    @field_validator("urls")
    @classmethod
    def _known_placeholders(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            _address(url)
            unknown = placeholders(url) - set(PLACEHOLDERS)
            if unknown:
                raise ValueError(
                    f"{url!r}: {{{min(unknown)}}} is none of {', '.join(PLACEHOLDERS)}"
                )
        return urls

    @model_validator(mode="after")
    def _first_period(self) -> Self:
        timed = [url for url in self.urls if placeholders(url) - {"counter"}]
        if timed and self.kept_since is None:
            raise ValueError(
                f"{timed[0]!r} is one of many files, so kept_since is needed: the year and month of the first"
            )
        return self


class Bucket(Strict):
    """Objects of a bucket into which a city drops files.

    An object that was last written before the asked time range holds no count of it, and is not read.
    """

    transport: Literal["bucket"]
    prefix: str = Field(pattern=r"^gs://[^/]+/.*$", description="gs://bucket/folder/")
    pattern: Pattern | None = Field(
        None, description="Regular expression of the objects' names after the prefix. Default: all."
    )


class EcoCounter(Strict):
    """Eco-Counter's API, with a token in Secret Manager, mounted as a file.

    Gives columns id, name, date, counts, status, user_type, site_id, site_name, installed_on, latitude, longitude.
    """

    transport: Literal["eco_counter"]
    base_url: Address = "https://apieco.eco-counter-tools.com/api/1.0"
    sites: tuple[int, ...] = Field(
        (), description="Identifiers of the sites to read. Default: all that the token can see."
    )
    channels: bool = Field(
        False, description="Whether each direction of a site is a counter of its own."
    )


def placeholders(url: str) -> set[str]:
    """Return the names in braces of an address of `Files`. Raises ValueError for a brace that is not closed."""
    return {name for _, name, _, _ in Formatter().parse(url) if name is not None}


Source = Annotated[
    Opendatasoft | Socrata | Ckan | ArcGis | SensorThings | Files | Bucket | EcoCounter,
    Field(discriminator="transport"),
]
