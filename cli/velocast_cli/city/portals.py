"""Look at a data set on the web: what its portal says about it, and a sample of its newest records.

A page's address is enough: Opendatasoft, Socrata, CKAN, ArcGIS and SensorThings are recognised by it. Any other is
taken for a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from velocast.adapters.city_sources.transport import TimeRange
from velocast.adapters.city_sources.transports import open_transport
from velocast.adapters.city_sources.transports.download import Download
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.city.sources import SensorThings
from velocast_cli.city.understanding import words

SAMPLE_ROWS = 20_000
SAMPLE_DAYS = 3
_TIMES = {
    "calendar_date", "floating_timestamp", "fixed_timestamp", "date", "datetime", "timestamp", "timestamptz",
    "esrifieldtypedate", "esrifieldtypetimestampoffset",
}  # fmt: skip
_READABLE = ("csv", "json", "geojson", "parquet", "xlsx", "zip", "gz", "tsv")


@dataclass(frozen=True)
class Found:
    """A data set: its sample as a file, the values of its source, its title, and what is known of its licence."""

    sample: Path
    source: dict[str, Any]
    title: str
    known: dict[str, str] = field(default_factory=dict)


def find_dataset(url: str, folder: Path) -> Found:
    """Look at the data set of an address. folder: for the sample.

    Raises CityUnreachable, CityTruncated, CityRefused, and ValueError for a data set without usable records.
    """
    with _Look(url, folder) as look:
        for pattern, describe in _KNOWN:
            if match := re.match(pattern, url):
                return describe(look, match)
        return _file(look, url)


class _Look(Download):
    """One look at a portal."""

    setting = "the address"
    purpose = "one look at a data set"

    def __init__(self, url: str, folder: Path) -> None:
        nobody = City(
            name=urlsplit(url).netloc or url,
            time_zone="UTC",
            counts={
                "layout": {"shape": "wide", "time": {"columns": "time"}},
                "clock": {"times": "utc"},
            },
        )
        super().__init__(nobody, FileFormat())
        self.folder = folder

    def json(self, url: str, **params: str) -> Any:
        """Return an answer's JSON object or list."""
        return self.ask(lambda: self.get_json(url, params, needs="JSON", kind=object))

    def download(self, url: str) -> Path:
        """Save a file under its own name."""
        name = unquote(PurePosixPath(urlsplit(url).path).name) or "file"
        path = self.folder / re.sub(r"[^\w.-]+", "_", name)

        def save() -> Path:
            with self.opened([url], {}) as answer:
                self._save(answer, path)
            return path

        return self.ask(save)

    def sample(self, name: str, records: list[dict[str, Any]]) -> Path:
        """Save records as JSON lines."""
        path = self.folder / f"{re.sub(r'[^a-zA-Z0-9_-]+', '_', name)}.jsonl"
        path.write_text(
            "\n".join(json.dumps(r, ensure_ascii=False) for r in records), encoding="utf-8"
        )
        if not records:
            raise ValueError(f"{self.name}: the data set {name} has no records")
        return path


def _opendatasoft(look: _Look, match: re.Match[str]) -> Found:
    base, dataset = match["base"], match["id"]
    url = f"{base}/api/explore/v2.1/catalog/datasets/{dataset}"
    about = look.json(url)
    metas = about.get("metas", {}).get("default", {})
    newest = _time_field((f["name"], f["type"]) for f in about.get("fields", []))
    params = {"limit": str(SAMPLE_ROWS)} | ({"order_by": f"{newest} desc"} if newest else {})
    records = look.json(f"{url}/exports/json", **params)
    known = _known(
        metas.get("license"),
        metas.get("license_url"),
        f"{base}/explore/dataset/{dataset}/",
        metas.get("publisher"),
    )
    source = {"transport": "opendatasoft", "base_url": base, "dataset": dataset}
    return Found(look.sample(dataset, records), source, str(metas.get("title") or dataset), known)


def _socrata(look: _Look, match: re.Match[str]) -> Found:
    base, dataset = match["base"], match["id"]
    about = look.json(f"{base}/api/views/{dataset}.json")
    newest = _time_field((c["fieldName"], c["dataTypeName"]) for c in about.get("columns", []))
    params = {"$limit": str(SAMPLE_ROWS)} | ({"$order": f"{newest} DESC"} if newest else {})
    records = look.json(f"{base}/resource/{dataset}.json", **params)
    licence = about.get("license") or {}
    known = _known(
        licence.get("name"),
        licence.get("termsLink"),
        f"{base}/d/{dataset}",
        about.get("attribution"),
    )
    source = {"transport": "socrata", "base_url": base, "dataset": dataset, "time_field": None}
    return Found(look.sample(dataset, records), source, str(about.get("name") or dataset), known)


def _ckan(look: _Look, match: re.Match[str]) -> Found:
    base, package = match["base"], match["id"]
    about = look.json(f"{base}/api/3/action/package_show", id=package)["result"]
    resources = about.get("resources", [])
    asked = [r for r in resources if r.get("id") == match.groupdict().get("resource")]
    known = _known(
        about.get("license_title"),
        about.get("license_url"),
        f"{base}/dataset/{package}",
        about.get("author"),
    )
    title = str(about.get("title") or package)
    source: dict[str, Any] = {"transport": "ckan", "base_url": base, "package": package}
    rest = {"resources": [re.escape(str(r["id"])) for r in asked]} if asked else {}
    if active := [r for r in asked or resources if r.get("datastore_active") is True]:
        return _datastore(look, active[-1], title, source | rest | {"time_field": None}, known)
    files = [
        r
        for r in asked or resources
        if str(r.get("format", "")).casefold().strip(".") in _READABLE and r.get("url")
    ]
    if not files:
        formats = ", ".join(sorted({str(r.get("format")) for r in resources})) or "none"
        raise ValueError(
            f"{base}: {package} has no resource that can be read; their formats are {formats}"
        )
    if not asked and len(files) > 1:
        rest = {"resources": [rf".*\.{str(files[-1]['format']).casefold().strip('.')}"]}
    return Found(
        look.download(str(files[-1]["url"])), source | rest | {"datastore": False}, title, known
    )


def _datastore(
    look: _Look, resource: dict[str, Any], title: str, source: dict[str, Any], known: dict[str, str]
) -> Found:
    url = f"{source['base_url']}/api/3/action/datastore_search"
    identifier = str(resource["id"])
    fields = look.json(url, resource_id=identifier, limit="0")["result"]["fields"]
    newest = _time_field((f["id"], f["type"]) for f in fields)
    sort = {"sort": f'"{newest}" desc'} if newest else {}
    records = look.json(url, resource_id=identifier, limit=str(SAMPLE_ROWS), **sort)["result"][
        "records"
    ]
    return Found(
        look.sample(str(resource.get("name") or identifier), records), source, title, known
    )


def _arcgis(look: _Look, match: re.Match[str]) -> Found:
    layer = match["base"]
    about = look.json(layer, f="json")
    newest = _time_field((f["name"], f["type"]) for f in about.get("fields", []))
    order = {"orderByFields": f"{newest} DESC"} if newest else {}
    answer = look.json(
        f"{layer}/query",
        f="json",
        where="1=1",
        outFields="*",
        outSR="4326",
        resultRecordCount="2000",
        **order,
    )
    records = [
        f["attributes"] | ({"geometry": f["geometry"]} if "geometry" in f else {})
        for f in answer.get("features", [])
    ]
    known = _known(None, None, layer, about.get("copyrightText"))
    source = {"transport": "arcgis", "layer_url": layer, "time_field": None}
    title = str(about.get("name") or layer)
    return Found(look.sample(title, records), source, title, known)


def _sensorthings(look: _Look, match: re.Match[str]) -> Found:
    base = match["base"]
    source = SensorThings(transport="sensorthings", base_url=base)
    now = datetime.now(UTC)
    with open_transport(look.city, source, FileFormat()) as transport:
        tables = transport.ask(
            lambda: list(transport.tables(TimeRange(now - timedelta(days=SAMPLE_DAYS), now), None))
        )
    records = [
        {str(name): value for name, value in row.items()}
        for table in tables
        for row in table.rows.to_dict("records")
    ]
    return Found(
        look.sample("observations", records),
        {"transport": "sensorthings", "base_url": base},
        look.name,
    )


def _file(look: _Look, url: str) -> Found:
    path = look.download(url)
    return Found(
        path, {"transport": "files", "urls": [url]}, path.name, _known(None, None, url, None)
    )


def _time_field(fields: Any) -> str | None:
    """Return the first field of a type of times, its name not being that of another date."""
    timed = [str(name) for name, kind in fields if str(kind).casefold() in _TIMES]
    return next((n for n in timed if not words.has(n, words.NOT_THE_TIME)), None)


def _known(licence: Any, licence_url: Any, address: str, credit: Any) -> dict[str, str]:
    found = {
        "licence": licence,
        "licence_url": licence_url,
        "attribution_url": address,
        "attribution": credit,
    }
    return {key: str(value).strip() for key, value in found.items() if value and str(value).strip()}


_HOST = r"(?P<base>https?://[^/]+)"
_KNOWN: tuple[tuple[str, Callable[[_Look, re.Match[str]], Found]], ...] = (
    (rf"^{_HOST}/(?:[a-z-]+/)?explore/(?:dataset|embed/dataset)/(?P<id>[^/?#]+)", _opendatasoft),
    (rf"^{_HOST}/api/explore/v2\.\d/catalog/datasets/(?P<id>[^/?#]+)", _opendatasoft),
    (
        rf"^{_HOST}/(?:.*/)?(?P<id>[a-z0-9]{{4}}-[a-z0-9]{{4}})(?:\.json|\.csv)?(?:[/?#].*)?$",
        _socrata,
    ),
    (r"^(?P<base>https?://[^?#]+/(?:Feature|Map)Server/\d+)", _arcgis),
    (r"^(?P<base>https?://[^?#]+/v1\.[01])(?:/(?:Datastreams|Things).*)?/?$", _sensorthings),
    (
        r"^(?P<base>https?://[^?#]+?)(?:/[a-z]{2}(?:[-_][A-Za-z]{2})?)?/dataset/(?P<id>[^/?#]+)"
        r"(?:/resource/(?P<resource>[0-9a-f-]{36}))?/?(?:[?#].*)?$",
        _ckan,
    ),
)
