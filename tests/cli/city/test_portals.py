"""`city new` with the address of a data set, against answers in the form that each portal documents."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from velocast_cli.city.commands import city_app

RUN = CliRunner()
START = datetime(2024, 5, 20, tzinfo=UTC)
HOURS = [START + timedelta(hours=n) for n in range(72)]
OPTIONS = ["--yes", "--name", "Testville", "--zone", "Europe/Paris", "--holidays", "FR"]


class Portal(ThreadingHTTPServer):
    """Answers each path with what is put there; `asked` lists paths with their queries."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def put(self, path: str, value: Any) -> None:
        self.answers[path] = value if isinstance(value, bytes) else json.dumps(value).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Portal

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = self.server.answers.get(urlsplit(self.path).path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def portal() -> Iterator[Portal]:
    server = Portal()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def described(folder: Path, url: str, *options: str) -> dict[str, Any]:
    """Run `city new` on an address; return the file as values."""
    out = folder / "city.yaml"
    done = RUN.invoke(city_app, ["new", url, "-o", str(out), *OPTIONS, *options])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = yaml.safe_load(out.read_text(encoding="utf-8"))
    return found


def rows(time: str, form: str = "%Y-%m-%dT%H:%M:%S", **fixed: Any) -> list[dict[str, Any]]:
    return [{time: at.strftime(form), "count": n % 24, **fixed} for n, at in enumerate(HOURS)]


def test_opendatasoft(portal: Portal, tmp_path: Path) -> None:
    about = {
        "metas": {
            "default": {
                "title": "Comptages",
                "license": "ODbL",
                "license_url": "https://odbl.example",
                "publisher": "Ville",
            }
        },
        "fields": [
            {"name": "date", "type": "datetime"},
            {"name": "counter_id", "type": "text"},
            {"name": "count", "type": "int"},
        ],
    }
    base = "/api/explore/v2.1/catalog/datasets/comptages"
    portal.put(base, about)
    portal.put(f"{base}/exports/json", rows("date", "%Y-%m-%dT%H:%M:%S+00:00", counter_id="7"))
    city = described(tmp_path, f"{portal.url}/explore/dataset/comptages/table/?sort=date")
    assert city["counts"]["source"] == {
        "transport": "opendatasoft",
        "base_url": portal.url,
        "dataset": "comptages",
    }
    assert (city["licence"], city["licence_url"], city["attribution"]) == (
        "ODbL",
        "https://odbl.example",
        "Ville",
    )
    assert "order_by=date" in portal.asked[-1]


def test_socrata(portal: Portal, tmp_path: Path) -> None:
    about = {
        "name": "Bridge Counter",
        "license": {"name": "Public Domain"},
        "columns": [
            {"fieldName": "date", "dataTypeName": "calendar_date"},
            {"fieldName": "bridge", "dataTypeName": "number"},
        ],
    }
    portal.put("/api/views/65db-xm6k.json", about)
    records = [
        {
            "date": r["date"],
            "bridge": str(r["count"]),
            "bridge_nb": "0",
            "bridge_sb": str(r["count"]),
        }
        for r in rows("date", "%Y-%m-%dT%H:%M:%S.000")
    ]
    portal.put("/resource/65db-xm6k.json", records)
    city = described(tmp_path, f"{portal.url}/Transportation/Bridge-Counter/65db-xm6k/about_data")
    assert city["counts"]["source"] == {
        "transport": "socrata",
        "base_url": portal.url,
        "dataset": "65db-xm6k",
        "time_field": "date",
    }
    assert city["counts"]["layout"]["counters"] == [{"columns": ["bridge"], "id": "bridge"}]
    assert city["licence"] == "Public Domain"


def test_ckan_with_a_datastore(portal: Portal, tmp_path: Path) -> None:
    resource = "0d4a5f9e-0f5c-4b5b-9a0e-000000000001"
    package = {
        "title": "Permanent Counters",
        "license_title": "OGL",
        "resources": [{"id": resource, "name": "2024", "format": "CSV", "datastore_active": True}],
    }
    portal.put("/api/3/action/package_show", {"success": True, "result": package})
    fields = [
        {"id": "_id", "type": "int"},
        {"id": "datetime_bin", "type": "timestamp"},
        {"id": "count", "type": "int"},
    ]
    records = [{"_id": n, **r} for n, r in enumerate(rows("datetime_bin", location_dir_id="19"), 1)]
    portal.put(
        "/api/3/action/datastore_search",
        {"success": True, "result": {"fields": fields, "records": records, "total": 72}},
    )
    city = described(tmp_path, f"{portal.url}/dataset/permanent-counters/")
    assert city["counts"]["source"] == {
        "transport": "ckan",
        "base_url": portal.url,
        "package": "permanent-counters",
        "time_field": "datetime_bin",
    }
    assert city["counts"]["layout"]["counter"] == {"id": "location_dir_id"}


def test_ckan_with_files(portal: Portal, tmp_path: Path) -> None:
    package = {
        "title": "Velo",
        "license_title": "CC0",
        "resources": [
            {"id": "a", "name": "Beschrieb", "format": "PDF", "url": f"{portal.url}/beschrieb.pdf"},
            {"id": "b", "name": "Werte", "format": "CSV", "url": f"{portal.url}/werte.csv"},
        ],
    }
    portal.put("/api/3/action/package_show", {"success": True, "result": package})
    lines = [
        "FK_STANDORT,DATUM,VELO_IN",
        *[f"7,{at:%Y-%m-%dT%H:%M},{n % 9}" for n, at in enumerate(HOURS)],
    ]
    portal.put("/werte.csv", "\n".join(lines).encode())
    city = described(tmp_path, f"{portal.url}/dataset/velo")
    assert city["counts"]["source"] == {
        "transport": "ckan",
        "base_url": portal.url,
        "package": "velo",
        "datastore": False,
    }


def test_arcgis(portal: Portal, tmp_path: Path) -> None:
    layer = "/arcgis/rest/services/bikes/FeatureServer/0"
    about = {
        "name": "Bikes",
        "copyrightText": "City",
        "fields": [{"name": "counted", "type": "esriFieldTypeDate"}],
    }
    portal.put(layer, about)
    features = [
        {
            "attributes": {
                "OBJECTID": n,
                "site_id": "S7",
                "counted": int(at.timestamp() * 1000),
                "count": n % 24,
            }
        }
        for n, at in enumerate(HOURS, 1)
    ]
    portal.put(f"{layer}/query", {"features": features})
    city = described(tmp_path, f"{portal.url}{layer}", "--licence", "CC BY 4.0")
    assert city["counts"]["source"] == {
        "transport": "arcgis",
        "layer_url": f"{portal.url}{layer}",
        "time_field": "counted",
    }
    assert city["counts"]["layout"]["time"] == {"columns": "counted", "format": "epoch_ms"}


def test_sensorthings(portal: Portal, tmp_path: Path) -> None:
    stream = {
        "@iot.id": 5,
        "name": "Fahrrad Brücke",
        "Thing": {"@iot.id": 1, "name": "Brücke", "Locations": []},
    }
    portal.put("/v1.1/Datastreams", {"@iot.count": 1, "value": [stream]})
    seen = [
        {
            "phenomenonTime": f"{at:%Y-%m-%dT%H:%M:%SZ}/{at + timedelta(minutes=59, seconds=59):%Y-%m-%dT%H:%M:%SZ}",
            "result": n % 24,
        }
        for n, at in enumerate(HOURS)
    ]
    portal.put("/v1.1/Datastreams(5)/Observations", {"@iot.count": len(seen), "value": seen})
    city = described(tmp_path, f"{portal.url}/v1.1", "--licence", "dl-de/by-2.0")
    assert city["counts"]["source"] == {
        "transport": "sensorthings",
        "base_url": f"{portal.url}/v1.1",
    }
    assert city["counts"]["layout"]["values"] == [{"column": "result"}]
    assert city["counts"]["layout"]["counter"]["id"] in ("id", "thing_id")


def test_a_file(portal: Portal, tmp_path: Path) -> None:
    lines = [
        "time;Brücke;Tor",
        *[f"{at:%Y-%m-%d %H:%M};{n % 9};{n % 7}" for n, at in enumerate(HOURS)],
    ]
    portal.put("/data/counts.csv", "\n".join(lines).encode())
    city = described(tmp_path, f"{portal.url}/data/counts.csv", "--licence", "CC0")
    assert city["counts"]["source"] == {
        "transport": "files",
        "urls": [f"{portal.url}/data/counts.csv"],
    }


def test_a_page_that_is_no_data_set(portal: Portal, tmp_path: Path) -> None:
    portal.put("/bikes.html", b"<!DOCTYPE html><html><body>Bikes</body></html>")
    done = RUN.invoke(
        city_app,
        [
            "new",
            f"{portal.url}/bikes.html",
            "-o",
            str(tmp_path / "c.yaml"),
            *OPTIONS,
            "--licence",
            "CC0",
        ],
    )
    assert done.exit_code == 1
    assert "an HTML page came instead of a file" in " ".join(done.output.split())


def test_one_address_at_a_time(tmp_path: Path) -> None:
    done = RUN.invoke(
        city_app, ["new", "https://a.example/x.csv", "y.csv", "-o", str(tmp_path / "c.yaml")]
    )
    assert done.exit_code == 1
    assert "give one address, or files" in " ".join(done.output.split())
