"""Where a city's records come from: the settings of each transport (`adapters/city_sources/transports`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from velocast.core.city.reading import Names, Strict


class Opendatasoft(Strict):
    """Opendatasoft's Explore API v2.1."""

    transport: Literal["opendatasoft"]
    base_url: str
    fallback_base_urls: tuple[str, ...] = ()
    dataset: str


class Socrata(Strict):
    """Socrata's SODA API: floating timestamps are the city's clock."""

    transport: Literal["socrata"]
    base_url: str
    dataset: str = Field(description="The data set's four-by-four identifier, such as 65db-xm6k.")
    time_field: str = Field(description="The field by which counts are asked for.")
    where: str | None = Field(
        None, description="A further SoQL condition, such as travelmode = 'bike'."
    )


class Ckan(Strict):
    """CKAN: rows of its datastore, or the files of a package."""

    transport: Literal["ckan"]
    base_url: str
    package: str | None = None
    resources: Names | None = Field(
        None,
        description="Identifiers, or regular expressions of the resources' names. Default: all.",
    )
    datastore: bool = Field(
        True, description="Whether to ask the datastore; else the files are downloaded."
    )
    time_field: str | None = Field(None, description="The field by which the datastore is asked.")


class ArcGis(Strict):
    """A layer or table of an ArcGIS FeatureServer."""

    transport: Literal["arcgis"]
    layer_url: str
    time_field: str
    where: str = "1=1"


class SensorThings(Strict):
    """OGC SensorThings 1.1: a datastream a counter. Gives columns id, name, time, result, latitude, longitude."""

    transport: Literal["sensorthings"]
    base_url: str
    datastreams: str | None = Field(None, description="An OData filter of the datastreams to read.")


class Files(Strict):
    """Files over HTTPS. `{...}` in an address is filled in: year, month, day (of each period), counter."""

    transport: Literal["files"]
    urls: Names
    counters: tuple[str, ...] = Field((), description="What {counter} stands for, one file each.")
    kept_since: str | None = Field(
        None, description="The first year and month of a file, such as 2019-01."
    )


class Bucket(Strict):
    """Objects of a bucket into which a city drops files, read again when they change."""

    transport: Literal["bucket"]
    prefix: str = Field(pattern=r"^gs://[^/]+/.*$", description="gs://bucket/folder/")
    pattern: str | None = Field(None, description="Regular expression of the objects' names.")


class EcoCounter(Strict):
    """Eco-Counter's API, with a token in Secret Manager, mounted as a file."""

    transport: Literal["eco_counter"]
    base_url: str = "https://apieco.eco-counter-tools.com/api/1.0"
    sites: tuple[int, ...] = ()


Source = Annotated[
    Opendatasoft | Socrata | Ckan | ArcGis | SensorThings | Files | Bucket | EcoCounter,
    Field(discriminator="transport"),
]
