"""The open data as a dataset of a data portal: DCAT 3 with the European profile's terms, as JSON-LD.

Its addresses are relative, so a copy of the site describes the copy. https://semiceu.github.io/DCAT-AP/releases/3.0.0/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from velocast.core.datetimes import HOUR, rfc3339
from velocast.usecases.snapshot_format import Bounds, Snapshot

CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "geosparql": "http://www.opengis.net/ont/geosparql#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_EUROPE = "http://publications.europa.eu/resource/authority/"
_MEDIA = "https://www.iana.org/assignments/media-types/"
_MEDIA_TYPES = {
    "csv": "text/csv",
    "geojson": "application/geo+json",
    "parquet": "application/vnd.apache.parquet",
}


class Listed(NamedTuple):
    """A file of the open data: its name, what it holds, and its number of bytes."""

    name: str
    title: str
    size: int


def describe_dataset(
    snapshot: Snapshot, files: Iterable[Listed], *, title: str, description: str
) -> dict[str, Any]:
    """Return the description of the dataset and its files; what is not known of the city is left out."""
    city = snapshot.city
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": "#dataset",
        "@type": "dcat:Dataset",
        "dct:identifier": "velocast-forecasts",
        "dct:title": _english(title),
        "dct:description": _english(description),
        "dct:modified": _typed("dateTime", rfc3339(snapshot.published_at)),
        "dct:accrualPeriodicity": {"@id": f"{_EUROPE}frequency/DAILY"},
        "dcat:theme": {"@id": f"{_EUROPE}data-theme/TRAN"},
        "dcat:keyword": [_english(word) for word in ("bicycle", "traffic count", "forecast")],
        "dcat:temporalResolution": _typed("duration", "PT1H"),
        "dcat:distribution": [_distribution(snapshot, file) for file in files],
    }
    if snapshot.hours:
        described["dct:temporal"] = _period(snapshot)
    if city.bounding_box is not None:
        described["dct:spatial"] = _place(city.name, city.bounding_box)
    if city.attribution:
        described["dct:creator"] = {"@type": "foaf:Agent", "foaf:name": city.attribution}
    if city.attribution_url:
        described["dct:source"] = {"@id": city.attribution_url}
    return described


def _distribution(snapshot: Snapshot, file: Listed) -> dict[str, Any]:
    extension = file.name.rsplit(".", 1)[1]
    described: dict[str, Any] = {
        "@id": f"#{file.name.replace('.', '-')}",
        "@type": "dcat:Distribution",
        "dct:title": _english(file.title),
        "dcat:accessURL": {"@id": file.name},
        "dcat:downloadURL": {"@id": file.name},
        "dcat:mediaType": {"@id": _MEDIA + _MEDIA_TYPES[extension]},
        "dct:format": {"@id": f"{_EUROPE}file-type/{extension.upper()}"},
        "dcat:byteSize": _typed("nonNegativeInteger", str(file.size)),
        "dct:modified": _typed("dateTime", rfc3339(snapshot.published_at)),
    }
    city = snapshot.city
    if city.licence_url:
        described["dct:license"] = {"@id": city.licence_url, "@type": "dct:LicenseDocument"}
    elif city.licence:
        described["dct:rights"] = {"@type": "dct:RightsStatement", "rdfs:label": city.licence}
    return described


def _period(snapshot: Snapshot) -> dict[str, Any]:
    days = [c.days_from.isoformat() for c in snapshot.counters if c.days_from is not None]
    end = rfc3339(snapshot.hours[-1] + HOUR)
    start = _typed("date", min(days)) if days else _typed("dateTime", rfc3339(snapshot.hours[0]))
    return {
        "@type": "dct:PeriodOfTime",
        "dcat:startDate": start,
        "dcat:endDate": _typed("dateTime", end),
    }


def _place(name: str, box: Bounds) -> dict[str, Any]:
    """Return the city's area: longitude before latitude, as well-known text has them."""
    corners = [
        (box.west, box.south),
        (box.east, box.south),
        (box.east, box.north),
        (box.west, box.north),
    ]
    ring = ", ".join(f"{x} {y}" for x, y in [*corners, corners[0]])
    area = {"@type": "geosparql:wktLiteral", "@value": f"POLYGON(({ring}))"}
    return {"@type": "dct:Location", "rdfs:label": name, "dcat:bbox": area}


def _english(text: str) -> dict[str, str]:
    return {"@value": text, "@language": "en"}


def _typed(kind: str, text: str) -> dict[str, str]:
    return {"@value": text, "@type": f"xsd:{kind}"}
