"""Moves the API's traffic to its newest revision once that has answered, and back when it fails."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from terraform.deploy.command_line import Deployment
from terraform.deploy.programs import ProgramFailed, Refused, read, run, say

TAG = "candidate"
KEYS_SECRET = "velocast-api-keys"
# Cloud Run reserves paths that end in z: /ready is /readyz.
READY, ALIVE, FORECAST = "/ready", "/health", "/v1/forecast"
TIMEOUT_SECONDS = 60  # includes a cold start
TRIES = 3
PAUSE_SECONDS = 5.0
# After the move: the first answers of the whole service.
WATCHED_ANSWERS = 5


@dataclass(frozen=True)
class Service:
    """The API's Cloud Run service as Google describes it."""

    deployment: Deployment
    name: str
    location: str
    described: Mapping[str, Any]

    @property
    def url(self) -> str:
        """Address at which users reach it."""
        return str(self.described["status"]["url"])

    @property
    def newest(self) -> str:
        """The newest revision that started."""
        return str(self.described["status"]["latestReadyRevisionName"])

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic by revision."""
        found: dict[str, int] = {}
        for target in self.described["status"]["traffic"]:
            if target.get("percent"):
                name = str(target["revisionName"])
                found[name] = found.get(name, 0) + int(target["percent"])
        return found

    @property
    def follows_the_newest(self) -> bool:
        """Whether a new revision would get traffic at once, as on a service that was just created."""
        return any(
            t.get("latestRevision") and t.get("percent") for t in self.described["spec"]["traffic"]
        )

    def tagged(self, tag: str = TAG) -> tuple[str, str] | None:
        """Return revision and address under a tag; None if there is none."""
        for target in self.described["status"]["traffic"]:
            if target.get("tag") == tag:
                return str(target["revisionName"]), str(target["url"])
        return None

    def update_traffic(self, *changes: str) -> Service:
        """Change traffic or tags and return the service as it is then. Raises ProgramFailed."""
        run(
            "gcloud",
            "run",
            "services",
            "update-traffic",
            self.name,
            *changes,
            *self._where,
            "--quiet",
        )
        return find(self.deployment, self.name, self.location) or self

    def send_to(self, shares: Mapping[str, int]) -> Service:
        """Send the traffic to revisions, by percent. Raises ProgramFailed."""
        listed = ",".join(f"{name}={percent}" for name, percent in sorted(shares.items()))
        return self.update_traffic(f"--to-revisions={listed}")

    @property
    def _where(self) -> tuple[str, str]:
        return f"--region={self.location}", f"--project={self.deployment.project}"


def find(deployment: Deployment, name: str, location: str) -> Service | None:
    """Return the service; None if there is none yet."""
    try:
        text = read(
            "gcloud", "run", "services", "describe", name, f"--region={location}",
            f"--project={deployment.project}", "--format=json",
        )  # fmt: skip
    except ProgramFailed:
        return None
    return Service(deployment, name, location, json.loads(text))


def hold_traffic(deployment: Deployment, name: str, location: str) -> None:
    """Tie the traffic to the revision that has it, so that the next one gets none before it was tested."""
    service = find(deployment, name, location)
    if service is not None and service.follows_the_newest:
        service.send_to(service.shares)


def release(deployment: Deployment, name: str, location: str, *, is_public: bool) -> None:
    """Test the newest revision under a tag, send it all traffic, watch it, and send the traffic back when it fails.

    Raises Refused when the revision did not pass; the revision before then has the traffic.
    """
    service = find(deployment, name, location)
    if service is None:
        raise Refused(
            f"{name} is not in {location}; look at `gcloud run services list --project={deployment.project}`"
        )
    newest, shares = service.newest, service.shares
    if (
        service.follows_the_newest
    ):  # the first revision: there is nothing to compare it with, or to go back to
        service.send_to({newest: 100}).update_traffic(f"--update-tags={TAG}={newest}")
        say(f"{newest} is the first revision of {name} and has the traffic")
        return
    if shares == {newest: 100}:
        return
    tagged = service.tagged()
    if tagged is not None and tagged[0] == newest:
        say(
            f"{newest} was released before and taken back: the traffic stays on {', '.join(shares)}. "
            f"To release it again: gcloud run services update-traffic {name} --remove-tags={TAG} "
            f"--region={location} --project={deployment.project}, and deploy"
        )
        return
    service = service.update_traffic(f"--update-tags={TAG}={newest}")
    headers = _headers(deployment, is_public=is_public)
    _refuse_a_failing(service, newest, shares, headers)
    service = service.send_to({newest: 100})
    _take_back_if_it_fails(service, newest, shares, headers)
    say(f"{newest} has all traffic of {name}; before: {', '.join(shares)}")


def _refuse_a_failing(
    service: Service, newest: str, shares: Mapping[str, int], headers: Mapping[str, str]
) -> None:
    tagged = service.tagged()
    address = tagged[1] if tagged else ""
    wrong = fault(address, headers)
    if (
        wrong
        and _nothing_is_published(service.url, headers)
        and not _fault_of(address, (ALIVE,), headers)
    ):
        say(f"no forecasts are published yet, so {newest} was only asked whether it is alive")
        return
    if wrong:
        service.update_traffic(f"--remove-tags={TAG}")
        raise Refused(
            f"revision {newest} of {service.name} gets no traffic: {wrong}. {', '.join(shares)} goes on serving. "
            f"Its log: gcloud run services logs read {service.name} --region={service.location} "
            f"--project={service.deployment.project}"
        )


def _take_back_if_it_fails(
    service: Service, newest: str, shares: Mapping[str, int], headers: Mapping[str, str]
) -> None:
    if _nothing_is_published(service.url, headers):
        return
    for _ in range(WATCHED_ANSWERS):
        wrong = fault(service.url, headers)
        if wrong:
            service.send_to(shares).update_traffic(f"--remove-tags={TAG}")
            raise Refused(
                f"revision {newest} of {service.name} failed with all the traffic ({wrong}), "
                f"and the traffic went back to {', '.join(shares)}"
            )
        time.sleep(PAUSE_SECONDS / WATCHED_ANSWERS)


def fault(address: str, headers: Mapping[str, str]) -> str:
    """Ask for readiness and a forecast; return what is wrong, empty if nothing. Each gets TRIES attempts."""
    return _fault_of(address, (READY, FORECAST), headers)


def _fault_of(address: str, paths: Sequence[str], headers: Mapping[str, str]) -> str:
    for path in paths:
        said = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            status, said = _ask(address + path, headers)
            if status == HTTPStatus.OK:
                break
        else:
            return f"{path} answers {said}"
    return ""


def _nothing_is_published(address: str, headers: Mapping[str, str]) -> bool:
    """Whether the revision that serves is up and has no forecasts either."""
    return (
        _ask(address + READY, headers)[0] == HTTPStatus.SERVICE_UNAVAILABLE
        and _ask(address + ALIVE, headers)[0] == HTTPStatus.OK
    )


def _ask(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Return the status and a line about the answer; status 0 without an answer, or when its body is no JSON."""
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read()
            if not json.loads(body):
                return 0, "an empty object"
            return int(answer.status), f"{answer.status}"
    except urllib.error.HTTPError as refusal:
        detail = refusal.read(300).decode(errors="replace")
        return refusal.code, f"{refusal.code}: {detail}"
    except (OSError, ValueError) as error:
        return 0, f"nothing that can be read: {error}"


def _headers(deployment: Deployment, *, is_public: bool) -> dict[str, str]:
    """Return the first API key, and a Google identity where Cloud Run asks for one."""
    keys = read(
        "gcloud",
        "secrets",
        "versions",
        "access",
        "latest",
        f"--secret={KEYS_SECRET}",
        f"--project={deployment.project}",
    )
    listed = [line.partition("#")[0].strip() for line in keys.splitlines()]
    key = next((line.partition(":")[2].strip() for line in listed if line), "")
    if not key:
        raise Refused(f"{KEYS_SECRET} has no line name:key, so no forecast can be asked for")
    headers = {"X-API-Key": key}
    if not is_public:
        token = read("gcloud", "auth", "print-identity-token").strip()
        headers["Authorization"] = f"Bearer {token}"
    return headers
