"""Cloud Run services (REST v2): their revisions, and which of them gets the traffic. No request is routed by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.documents import Document, DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint, paginate
from gcp_emulators.core.times import rfc3339

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
_READY = {"type": "Ready", "state": "CONDITION_SUCCEEDED"}
_NOT_READY = {
    "type": "Ready",
    "state": "CONDITION_FAILED",
    "message": "The container did not start.",
}
_SERVICE_TYPE = "type.googleapis.com/google.cloud.run.v2.Service"


class CloudRunServices:
    """The services of one project and region, kept in `records`.

    now: gives the times of creation. environment: gives the variables of a service, which are not kept.
    """

    def __init__(
        self,
        records: DocumentStore,
        now: Callable[[], datetime],
        *,
        project: str,
        location: str,
        environment: Callable[[str], Mapping[str, str]] = lambda _service: {},
    ) -> None:
        self._records = records
        self._now = now
        self._environment = environment
        self._parent = f"projects/{project}/locations/{location}"

    def deploy(
        self, service: str, image: str, *, traffic: bool = True, ready: bool = True, uri: str = ""
    ) -> str:
        """Add a revision to a service, created if need be, and return its name.

        traffic: send all traffic to the latest revision, as a deployment does by default; False leaves it as it is.
        ready: False for a revision that does not start.
        """
        record = self._records.get(service) or self._records.put(
            service, {"id": service, "uri": uri, "revisions": [], "traffic": [], "version": 0}
        )
        number = len(record["revisions"]) + 1
        name = f"{service}-{number:05d}-{_suffix(image, number)}"
        revision = {
            "name": name,
            "image": image,
            "created": rfc3339(self._now()),
            "ready": ready,
        }
        target = [{"type": LATEST, "percent": 100}] if traffic else record["traffic"]
        self._save(record, revisions=[*record["revisions"], revision], traffic=target)
        return name

    def routes(self) -> list[BaseRoute]:
        """Return the routes of services and revisions."""
        base = f"/v2/{self._parent}/services"
        return [
            _route("GET", base, self._list),
            _route("GET", base + "/{service}", lambda r, _: self._service(self._find(r))),
            _route("PATCH", base + "/{service}", self._patch),
            _route("GET", base + "/{service}/revisions", self._revisions),
            _route("GET", base + "/{service}/revisions/{revision}", self._get_revision),
        ]

    def _find(self, request: Request) -> Document:
        service = request.path_params["service"]
        record = self._records.get(service)
        if record is None:
            raise GoogleApiError(404, f"Resource '{service}' of kind 'SERVICE' does not exist.")
        return record

    def _save(self, record: Document, **changes: Any) -> Document:
        return self._records.update(record["id"], version=record["version"] + 1, **changes)

    def _list(self, request: Request, _body: Json) -> Json:
        found = [self._service(record) for record in self._records.newest_first()]
        return _page(request, found, "services")

    def _service(self, record: Document) -> Json:
        name = f"{self._parent}/services/{record['id']}"
        ready = [r["name"] for r in record["revisions"] if r["ready"]]
        latest = ready[-1] if ready else ""
        variables = self._environment(record["id"]).items()
        container = {
            "image": record["revisions"][-1]["image"],
            "env": [{"name": key, "value": value} for key, value in variables],
        }
        statuses = [t | {"revision": t.get("revision") or latest} for t in record["traffic"]]
        return {
            "name": name,
            "uri": record["uri"],
            "etag": f'"{record["version"]}"',
            "template": {"containers": [container]},
            "traffic": record["traffic"],
            "trafficStatuses": statuses,
            "latestReadyRevision": f"{name}/revisions/{latest}",
            "latestCreatedRevision": f"{name}/revisions/{record['revisions'][-1]['name']}",
            "terminalCondition": _READY,
        }

    def _patch(self, request: Request, body: Json) -> Json:
        record = self._find(request)
        if body.get("etag") not in (None, "", f'"{record["version"]}"'):
            raise GoogleApiError(409, f"{record['id']} has changed since it was read (etag)")
        fields = request.query_params.get("updateMask", "traffic,template").split(",")
        if "template" in fields and "template" in body:
            image = body["template"]["containers"][0]["image"]
            self.deploy(record["id"], image, traffic=False)
            record = self._find(request)
        if "traffic" in fields and "traffic" in body:
            self._check_traffic(record, body["traffic"])
            record = self._save(record, traffic=body["traffic"])
        answer: Json = {"@type": _SERVICE_TYPE, **self._service(record)}
        name = f"{self._parent}/operations/{record['id']}-{record['version']}"
        return {"name": name, "done": True, "metadata": answer, "response": answer}

    def _check_traffic(self, record: Document, targets: list[Json]) -> None:
        known = {revision["name"]: revision for revision in record["revisions"]}
        for target in targets:
            revision = target.get("revision")
            if target.get("type") == BY_REVISION and revision not in known:
                raise GoogleApiError(400, f"Revision {revision!r} not found in {record['id']}")
            if target.get("percent") and revision and not known[revision]["ready"]:
                raise GoogleApiError(400, f"Revision {revision!r} is not ready and cannot serve")
        total = sum(int(target.get("percent") or 0) for target in targets)
        if total != 100:
            raise GoogleApiError(400, f"the traffic adds up to {total} percent, not to 100")

    def _revisions(self, request: Request, _body: Json) -> Json:
        record = self._find(request)
        found = [self._revision(record, revision) for revision in reversed(record["revisions"])]
        return _page(request, found, "revisions")

    def _get_revision(self, request: Request, _body: Json) -> Json:
        record, asked = self._find(request), request.path_params["revision"]
        for revision in record["revisions"]:
            if revision["name"] == asked:
                return self._revision(record, revision)
        raise GoogleApiError(404, f"Resource '{asked}' of kind 'REVISION' does not exist.")

    def _revision(self, record: Document, revision: Json) -> Json:
        return {
            "name": f"{self._parent}/services/{record['id']}/revisions/{revision['name']}",
            "service": record["id"],
            "createTime": revision["created"],
            "containers": [{"image": revision["image"]}],
            "conditions": [_READY if revision["ready"] else _NOT_READY],
        }


def _page(request: Request, items: list[Json], key: str) -> Json:
    query = request.query_params
    shown, token = paginate(items, int(query.get("pageSize", 0)), query.get("pageToken", ""))
    return {key: shown} | ({"nextPageToken": token} if token else {})


def _suffix(image: str, number: int) -> str:
    """Return three letters that follow from the image, as Cloud Run puts them behind a revision's number."""
    seed = sum(image.encode()) + number
    return "".join(chr(ord("a") + (seed * factor) % 26) for factor in (1, 7, 11))


def _route(method: str, path: str, answer: Callable[[Request, Json], Json]) -> Route:
    return Route(path, json_endpoint(answer), methods=[method])
