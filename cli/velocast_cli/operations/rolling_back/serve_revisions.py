"""The revisions of the API's Cloud Run service, and which of them gets the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from velocast.core.settings import Settings
from velocast_cli.operations.deployment import SERVE_SERVICE
from velocast_cli.operations.google_apis import (
    GoogleApiRefused,
    call,
    google_api,
    wait_for_operation,
)

PATIENCE = timedelta(minutes=10)
BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
READY = "CONDITION_SUCCEEDED"


@dataclass(frozen=True)
class Revision:
    """One revision: its name, time of creation (RFC 3339), whether it can serve, and its share of the traffic in %."""

    name: str
    created: str
    is_ready: bool
    percent: int


def read_revisions(settings: Settings, service: str = SERVE_SERVICE) -> list[Revision]:
    """Return the revisions of a service, newest first. Raises GoogleApiRefused."""
    name = _service_name(settings, service)
    listed: list[dict[str, Any]] = []
    with google_api("run") as api:
        services = api.projects().locations().services()
        found = call(services.get(name=name), f"read service {service}")
        request = services.revisions().list(parent=name)
        while request is not None:
            page = call(request, f"list revisions of {service}")
            listed += page.get("revisions", [])
            request = services.revisions().list_next(request, page)
    shares: dict[str, int] = {}
    for status in found.get("trafficStatuses", []):
        latest = str(found.get("latestReadyRevision", "")).rsplit("/", 1)[-1]
        revision = status.get("revision") or latest
        shares[revision] = shares.get(revision, 0) + int(status.get("percent") or 0)
    revisions = [_revision(resource, shares) for resource in listed]
    return sorted(revisions, key=lambda revision: (revision.created, revision.name), reverse=True)


def chosen_revision(revisions: Sequence[Revision], asked: str | None) -> Revision:
    """Return the revision that was asked for, else the newest ready one older than the oldest that serves.

    revisions: newest first. Raises GoogleApiRefused when there is none, or it is not ready.
    """
    names = ", ".join(r.name for r in revisions) or "none"
    if asked is not None:
        for revision in revisions:
            if revision.name == asked and revision.is_ready:
                return revision
        raise GoogleApiRefused(f"no ready revision {asked!r}; there is {names}")
    last = max((n for n, revision in enumerate(revisions) if revision.percent), default=-1)
    for revision in revisions[last + 1 :]:
        if revision.is_ready:
            return revision
    raise GoogleApiRefused(
        f"there is no ready revision before the one that serves; there is {names}"
    )


def send_all_traffic(settings: Settings, revision: str, service: str = SERVE_SERVICE) -> None:
    """Send all traffic of a service to one revision and wait until that holds. Tags stay. Raises GoogleApiRefused."""
    name = _service_name(settings, service)
    with google_api("run") as api:
        locations = api.projects().locations()
        found = call(locations.services().get(name=name), f"read service {service}")
        kept = [target | {"percent": 0} for target in found.get("traffic", []) if target.get("tag")]
        target = {"type": BY_REVISION, "revision": revision, "percent": 100}
        body = {"traffic": [target, *kept], "etag": found.get("etag")}
        request = locations.services().patch(name=name, updateMask="traffic", body=body)
        operation = call(request, f"send traffic to {revision}")
        if not operation.get("done"):
            waiting = locations.operations().get(name=operation["name"])
            wait_for_operation(
                lambda: call(waiting, f"wait for {service}"),
                f"send traffic to {revision}",
                patience=PATIENCE,
            )


def _service_name(settings: Settings, service: str) -> str:
    return f"projects/{settings.project}/locations/{settings.location}/services/{service}"


def _revision(resource: dict[str, Any], shares: dict[str, int]) -> Revision:
    name = str(resource["name"]).rsplit("/", 1)[-1]
    ready = any(
        c.get("type") == "Ready" and c.get("state") == READY for c in resource.get("conditions", [])
    )
    return Revision(name, str(resource.get("createTime", "")), ready, shares.get(name, 0))
