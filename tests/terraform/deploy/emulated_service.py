"""The API's service: its revisions answer on one loopback port, and Cloud Run's API v1 holds its traffic."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gcp_emulators.cloud_run.knative_services import KnativeServices
from gcp_emulators.core.documents import DocumentStore

SERVICE, PROJECT, LOCATION, KEY = "velocast-serve", "velocast-test", "europe-west1", "k1"
OLD, NEW = f"{SERVICE}-00001-abc", f"{SERVICE}-00002-xyz"
BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
# How a revision behaves: the status of each path. `overload` answers well until it has the whole traffic.
GOOD = {"/ready": 200, "/health": 200, "/v1/forecast": 200}
UNPUBLISHED = {"/ready": 503, "/health": 200, "/v1/forecast": 503}
NO_FORECAST = GOOD | {"/v1/forecast": 500}
DEAD = dict.fromkeys(GOOD, 500)


@dataclass
class EmulatedService:
    """The service; `asked` notes who was asked for what: revision, or `users`' revision, and path."""

    records: DocumentStore
    url: str = ""
    behaviours: dict[str, dict[str, int]] = field(default_factory=dict)
    when_live: dict[str, dict[str, int]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def put(self, *revisions: str, traffic: list[dict[str, Any]]) -> None:
        """Make the service with revisions, oldest first."""
        made = [
            {
                "name": name,
                "image": "i",
                "created": "",
                "ready": True,
                "uri": f"{self.url}/r/{name}",
            }
            for name in revisions
        ]
        record = {"id": SERVICE, "uri": f"{self.url}/live", "version": 1}
        self.records.put(SERVICE, record | {"revisions": made, "traffic": traffic})

    @property
    def record(self) -> dict[str, Any]:
        found = self.records.get(SERVICE)
        assert found is not None
        return found

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic by revision, `latest` for what follows the newest."""
        return {
            target.get("revision", "latest"): target["percent"]
            for target in self.record["traffic"]
            if target["percent"]
        }

    @property
    def tags(self) -> dict[str, str]:
        """Revisions by tag."""
        return {t["tag"]: t["revision"] for t in self.record["traffic"] if "tag" in t}

    def answer(self, path: str, key: str | None) -> tuple[int, bytes]:
        """Answer a request of a user (/live/...) or for one revision (/r/<revision>/...)."""
        _, where, *rest = path.split("/")
        live = where == "live"
        name = max(self.shares, key=lambda n: self.shares[n]) if live else rest.pop(0)
        asked = "/" + "/".join(rest)
        self.asked.append(("users" if live else name, asked))
        behaviour = self.when_live.get(name) if live else None
        status = (behaviour or self.behaviours[name])[asked]
        if asked.startswith("/v1") and key != KEY:
            status = 401
        return status, json.dumps({"status": status}).encode()


@contextmanager
def running_service(folder: Path) -> Iterator[EmulatedService]:
    """Serve revisions on a free port of the loopback address."""
    service = EmulatedService(DocumentStore(folder))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = service.answer(self.path, self.headers.get("X-API-Key"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class QuickGcloud:
    """Does what gcloud does with the commands of a release, without starting it for each (a second of CPU)."""

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._api = KnativeServices(service.records, project=PROJECT, location=LOCATION)

    def __call__(self, *command: str) -> str:
        words = " ".join(command)
        if "secrets versions access" in words:
            return f"# comment\nfirst:{KEY}\n"
        if "services describe" in words:
            return json.dumps(self._api._service(self._service.record))
        assert "services update-traffic" in words, words
        for change in command[5:]:
            self._change(*change.removeprefix("--").split("=", 1))
        return ""

    def _change(self, option: str, *value: str) -> None:
        targets = self._service.record["traffic"]
        tags = [t | {"percent": 0} for t in targets if "tag" in t]
        shares = [{k: v for k, v in t.items() if k != "tag"} for t in targets if t["percent"]]
        if option == "to-revisions":
            listed = [pair.split("=") for pair in value[0].split(",")]
            shares = [{"type": BY_REVISION, "revision": n, "percent": int(p)} for n, p in listed]
        elif option == "update-tags":
            tag, name = value[0].split("=")
            tags = [t for t in tags if t["tag"] != tag]
            tags.append({"type": BY_REVISION, "revision": name, "percent": 0, "tag": tag})
        elif option == "remove-tags":
            tags = [t for t in tags if t["tag"] != value[0]]
        else:
            return
        self._service.records.update(SERVICE, traffic=shares + tags)


def real_gcloud(environment: dict[str, str]) -> Any:
    """Return a function that runs gcloud with an environment, except for the secret, which is not emulated."""

    def run(*command: str) -> str:
        if "secrets" in command:
            return f"first:{KEY}\n"
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
