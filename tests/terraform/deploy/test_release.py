"""The API's traffic moves to a revision that has answered, and only to that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gcp_emulators.cloud_run.api import RUN_HOST_SUFFIX
from gcp_emulators.cloud_run.knative_services import KnativeServices
from gcp_emulators.core.http_server import LOOPBACK, HttpServer, free_port
from gcp_emulators.core.proxy import Proxy
from terraform.deploy import release
from terraform.deploy.command_line import Deployment
from terraform.deploy.programs import Refused
from tests.terraform.deploy.emulated_service import (
    BY_REVISION,
    DEAD,
    GOOD,
    LATEST,
    LOCATION,
    NEW,
    NO_FORECAST,
    OLD,
    PROJECT,
    SERVICE,
    UNPUBLISHED,
    EmulatedService,
    QuickGcloud,
    real_gcloud,
    running_service,
)

DEPLOYMENT = Deployment("up", PROJECT, "dev", location=LOCATION)
ON_OLD = [{"type": BY_REVISION, "revision": OLD, "percent": 100}]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedService]:
    """A service whose traffic is on OLD after NEW was created without traffic; both are well."""
    monkeypatch.setattr(release, "PAUSE_SECONDS", 0.0)
    with running_service(tmp_path / "records") as running:
        running.put(OLD, NEW, traffic=ON_OLD)
        running.behaviours = {OLD: GOOD, NEW: GOOD}
        yield running


@pytest.fixture
def quick(service: EmulatedService, monkeypatch: pytest.MonkeyPatch) -> None:
    gcloud = QuickGcloud(service)
    monkeypatch.setattr(release, "read", gcloud)
    monkeypatch.setattr(release, "run", gcloud)


@pytest.fixture
def real(
    service: EmulatedService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """The real gcloud against Cloud Run's API on this machine."""
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed here")
    api = KnativeServices(service.records, project=PROJECT, location=LOCATION)
    token = tmp_path / "token"
    token.write_text("local")
    with HttpServer(api.routes()) as server:
        proxy = Proxy(free_port(), server.port)
        proxy.start()
        gcloud = real_gcloud(
            {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
                "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
                "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
                "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
                "CLOUDSDK_PROXY_TYPE": "http",
                "CLOUDSDK_PROXY_ADDRESS": LOOPBACK,
                "CLOUDSDK_PROXY_PORT": str(proxy._port),
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": f"http://{RUN_HOST_SUFFIX.removeprefix('-')}/",
            }
        )
        monkeypatch.setattr(release, "read", gcloud)
        monkeypatch.setattr(release, "run", gcloud)
        yield
        proxy.stop()


def do_release() -> None:
    release.release(DEPLOYMENT, SERVICE, LOCATION, is_public=True)


def a_good_revision(service: EmulatedService) -> None:
    do_release()
    assert service.shares == {NEW: 100}
    assert service.tags == {"candidate": NEW}
    assert service.asked[:2] == [(NEW, "/ready"), (NEW, "/v1/forecast")]
    assert {who for who, _ in service.asked[2:]} == {"users"}


def a_revision_that_fails_with_the_traffic(service: EmulatedService) -> None:
    service.when_live[NEW] = NO_FORECAST
    with pytest.raises(Refused, match=rf"{NEW} .* failed with all the traffic .* back to {OLD}"):
        do_release()
    assert service.shares == {OLD: 100}
    assert service.tags == {}


@pytest.mark.parametrize(
    "story", [a_good_revision, a_revision_that_fails_with_the_traffic], ids=lambda s: s.__name__
)
@pytest.mark.usefixtures("quick")
def test_traffic(story: Callable[[EmulatedService], None], service: EmulatedService) -> None:
    story(service)


@pytest.mark.parametrize(
    "story", [a_good_revision, a_revision_that_fails_with_the_traffic], ids=lambda s: s.__name__
)
@pytest.mark.emulator
@pytest.mark.usefixtures("real")
def test_traffic_with_the_real_gcloud(
    story: Callable[[EmulatedService], None], service: EmulatedService
) -> None:
    story(service)


@pytest.mark.parametrize(
    ("behaviour", "said"), [(DEAD, "/ready answers 500"), (NO_FORECAST, "/v1/forecast answers 500")]
)
@pytest.mark.usefixtures("quick")
def test_a_revision_that_fails_under_its_tag_never_gets_traffic(
    behaviour: dict[str, int], said: str, service: EmulatedService
) -> None:
    service.behaviours[NEW] = behaviour
    with pytest.raises(
        Refused, match=rf"{NEW} of {SERVICE} gets no traffic: {said}.*{OLD} goes on"
    ):
        do_release()
    assert service.shares == {OLD: 100}
    assert service.tags == {}, "the next deployment tries it again"
    service.behaviours[NEW] = GOOD
    do_release()
    assert service.shares == {NEW: 100}


@pytest.mark.usefixtures("quick")
def test_a_split_by_hand_is_restored(service: EmulatedService) -> None:
    other = f"{SERVICE}-00000-aaa"
    split = [
        {"type": BY_REVISION, "revision": OLD, "percent": 60},
        {"type": BY_REVISION, "revision": other, "percent": 40},
    ]
    service.put(other, OLD, NEW, traffic=split)
    service.when_live[NEW] = DEAD
    with pytest.raises(Refused):
        do_release()
    assert service.shares == {OLD: 60, other: 40}


@pytest.mark.usefixtures("quick")
def test_before_the_first_forecast_it_is_enough_to_be_alive(service: EmulatedService) -> None:
    service.behaviours = {OLD: UNPUBLISHED, NEW: UNPUBLISHED}
    do_release()
    assert service.shares == {NEW: 100}
    service.put(OLD, NEW, traffic=ON_OLD)
    service.behaviours[NEW] = DEAD
    with pytest.raises(Refused):
        do_release()
    assert service.shares == {OLD: 100}


@pytest.mark.usefixtures("quick")
def test_a_revision_that_lost_the_forecasts_is_refused(service: EmulatedService) -> None:
    service.behaviours[NEW] = UNPUBLISHED
    with pytest.raises(Refused, match="/ready answers 503"):
        do_release()
    assert service.shares == {OLD: 100}


@pytest.mark.usefixtures("quick")
def test_the_first_revision_has_the_traffic_and_keeps_it_from_the_next(
    service: EmulatedService,
) -> None:
    service.put(OLD, traffic=[{"type": LATEST, "percent": 100}])
    do_release()
    assert service.shares == {OLD: 100}, "tied to the revision, not to the newest"
    assert not service.asked


@pytest.mark.usefixtures("quick")
def test_traffic_is_held_where_it_is_before_a_plan(service: EmulatedService) -> None:
    service.put(OLD, NEW, traffic=[{"type": LATEST, "percent": 100}])
    release.hold_traffic(DEPLOYMENT, SERVICE, LOCATION)
    assert service.shares == {NEW: 100}
    release.hold_traffic(DEPLOYMENT, SERVICE, LOCATION)
    assert service.shares == {NEW: 100}


@pytest.mark.usefixtures("quick")
def test_a_revision_taken_back_by_hand_is_not_released_again_by_itself(
    service: EmulatedService, capfd: pytest.CaptureFixture[str]
) -> None:
    do_release()
    service.records.update(SERVICE, traffic=[*ON_OLD, service.record["traffic"][-1]])
    do_release()
    assert service.shares == {OLD: 100}
    said = capfd.readouterr().err
    assert f"{NEW} was released before and taken back: the traffic stays on {OLD}" in said
    assert "--remove-tags=candidate" in said


@pytest.mark.usefixtures("quick")
def test_nothing_is_asked_when_the_newest_revision_serves(service: EmulatedService) -> None:
    service.put(OLD, traffic=ON_OLD)
    do_release()
    assert not service.asked


def test_a_private_api_is_asked_with_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"secrets": "# keys\n\nfirst:k1\nsecond:k2\n", "auth": "identity\n"}
    monkeypatch.setattr(release, "read", lambda *command: answers[command[1]])
    assert release._headers(DEPLOYMENT, is_public=True) == {"X-API-Key": "k1"}
    assert release._headers(DEPLOYMENT, is_public=False) == {
        "X-API-Key": "k1",
        "Authorization": "Bearer identity",
    }
    answers["secrets"] = "# no key\n"
    with pytest.raises(Refused, match="velocast-api-keys has no line name:key"):
        release._headers(DEPLOYMENT, is_public=True)


def test_a_service_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "find", lambda *_: None)
    with pytest.raises(Refused, match="velocast-serve is not in europe-west1"):
        do_release()
