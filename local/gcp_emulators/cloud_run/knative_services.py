"""Cloud Run services by REST v1 (Knative), which gcloud uses: revisions, traffic and tags.

Over the same records as API v2. A record has `id`, `uri`, `version`, `revisions` (each with `name`, `image`, `created`,
`ready`, and `uri`, where a request for this revision alone goes) and `traffic`, the targets in API v2's words. No
request is routed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.documents import Document, DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint

_LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
_BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


class KnativeServices:
    """The services of one project and region, kept in `records`."""

    def __init__(self, records: DocumentStore, *, project: str, location: str) -> None:
        self._records = records
        self._project = project
        self._location = location

    def routes(self) -> list[BaseRoute]:
        """Return the routes of services and revisions."""
        base = f"/apis/serving.knative.dev/v1/namespaces/{self._project}"
        return [
            _route("GET", base + "/services", self._list),
            _route("GET", base + "/services/{service}", lambda r, _: self._service(self._find(r))),
            _route("PUT", base + "/services/{service}", self._replace),
            _route("GET", base + "/revisions", self._revisions),
        ]

    def _find(self, request: Request) -> Document:
        name = request.path_params["service"]
        record = self._records.get(name)
        if record is None:
            raise GoogleApiError(404, f"Resource '{name}' of kind 'SERVICE' does not exist.")
        return record

    def _list(self, _request: Request, _body: Json) -> Json:
        return {"metadata": {}, "items": [self._service(r) for r in self._records.newest_first()]}

    def _replace(self, request: Request, body: Json) -> Json:
        """Take over the traffic; another template would need an image builder, and there is none."""
        record = self._find(request)
        traffic = [_target_v2(target) for target in body["spec"].get("traffic", [])]
        self._check(record, traffic)
        updated = self._records.update(
            record["id"], traffic=traffic, version=int(record["version"]) + 1
        )
        return self._service(updated)

    def _check(self, record: Document, traffic: list[Json]) -> None:
        known = {revision["name"]: revision for revision in record["revisions"]}
        for target in traffic:
            name = target.get("revision")
            if target["type"] == _BY_REVISION and name not in known:
                raise GoogleApiError(400, f"Revision {name!r} not found in {record['id']}")
            if target["percent"] and name and not known[name]["ready"]:
                raise GoogleApiError(400, f"Revision {name!r} is not ready and cannot serve")
        total = sum(target["percent"] for target in traffic)
        if total != 100:
            raise GoogleApiError(400, f"the traffic adds up to {total} percent, not to 100")

    def _service(self, record: Document) -> Json:
        created = [revision["name"] for revision in record["revisions"]]
        ready = [revision["name"] for revision in record["revisions"] if revision["ready"]]
        generation = int(record["version"])
        container = {"image": record["revisions"][-1]["image"]}
        status = {
            "observedGeneration": generation,
            "conditions": [
                {"type": name, "status": "True"}
                for name in ("Ready", "ConfigurationsReady", "RoutesReady")
            ],
            "latestCreatedRevisionName": created[-1],
            "latestReadyRevisionName": ready[-1] if ready else "",
            "traffic": [_status(record, target, ready) for target in record["traffic"]],
            "url": record["uri"],
            "address": {"url": record["uri"]},
        }
        spec = {
            "template": {"metadata": {"name": created[-1]}, "spec": {"containers": [container]}},
            "traffic": [_target_v1(target) for target in record["traffic"]],
        }
        return self._object("Service", record["id"], generation) | {"spec": spec, "status": status}

    def _revisions(self, request: Request, _body: Json) -> Json:
        """List revisions, newest first; gcloud names the service in the label selector."""
        selector = request.query_params.get("labelSelector", "")
        asked = selector.partition("=")[2].strip()
        records = [r for r in self._records.newest_first() if asked in ("", r["id"])]
        return {
            "metadata": {},
            "items": [
                self._revision(record, revision)
                for record in records
                for revision in reversed(record["revisions"])
            ],
        }

    def _revision(self, record: Document, revision: Json) -> Json:
        made = self._object("Revision", revision["name"], 1)
        made["metadata"] |= {"creationTimestamp": revision["created"]}
        made["metadata"]["labels"]["serving.knative.dev/service"] = record["id"]
        ready = "True" if revision["ready"] else "False"
        return made | {
            "spec": {"containers": [{"image": revision["image"]}]},
            "status": {
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }

    def _object(self, kind: str, name: str, generation: int) -> Json:
        metadata = {
            "name": name,
            "namespace": self._project,
            "generation": generation,
            "labels": {"cloud.googleapis.com/location": self._location},
            "annotations": {},
        }
        return {"apiVersion": "serving.knative.dev/v1", "kind": kind, "metadata": metadata}


def _target_v2(target: Json) -> Json:
    kind = _LATEST if target.get("latestRevision") else _BY_REVISION
    found: Json = {"type": kind, "percent": int(target.get("percent") or 0)}
    if kind == _BY_REVISION:
        found["revision"] = target.get("revisionName")
    return found | ({"tag": target["tag"]} if target.get("tag") else {})


def _target_v1(target: Json) -> Json:
    found: Json = {"percent": target["percent"]} if target.get("percent") else {}
    latest = target["type"] == _LATEST
    found |= {"latestRevision": True} if latest else {"revisionName": target["revision"]}
    return found | ({"tag": target["tag"]} if target.get("tag") else {})


def _status(record: Document, target: Json, ready: list[str]) -> Json:
    latest = target["type"] == _LATEST
    name = ready[-1] if latest else target["revision"]
    status = _target_v1(target) | {"revisionName": name}
    if target.get("tag"):
        revision: dict[str, Any] = next(r for r in record["revisions"] if r["name"] == name)
        status["url"] = revision.get("uri") or record["uri"]
    return status


def _route(method: str, path: str, answer: Callable[[Request, Json], Json]) -> Route:
    return Route(path, json_endpoint(answer), methods=[method])
