"""Digests of base images, asked of a registry on this machine that behaves like Docker Hub."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from terraform.deploy import base_images
from terraform.deploy.command_line import parse
from terraform.deploy.programs import Refused
from tests.terraform.deploy.conftest import DIGEST
from tests.terraform.deploy.stand_ins import StandIns

ROOT = Path(__file__).parents[3]
INDEX = "sha256:" + "12" * 32


class Registry(BaseHTTPRequestHandler):
    """Asks for a token, gives one to anyone, and knows one image."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = "service=registry.example&scope=repository%3Alibrary%2Fpython%3Apull"
        self._answer(200 if self.path == f"/token?{asked}" else 400, b'{"token": "for-anyone"}')

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") != "Bearer for-anyone":
            realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
            scope = "repository:library/python:pull"
            challenge = f'Bearer realm="{realm}",service="registry.example",scope="{scope}"'
            self._answer(401, headers={"WWW-Authenticate": challenge})
        elif self.path != "/v2/library/python/manifests/3.12-slim":
            self._answer(404)
        else:
            first = self.headers["Accept"].split(",")[0]
            kind = "index" if first == "application/vnd.oci.image.index.v1+json" else "manifest"
            digest = INDEX if kind == "index" else "sha256:0"
            self._answer(200, headers={"Docker-Content-Digest": digest})

    def _answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_digest_is_that_of_the_index_of_all_platforms(registry: str) -> None:
    assert base_images.resolve(f"{registry}/library/python:3.12-slim") == INDEX


def test_an_image_that_is_not_there_is_named(registry: str) -> None:
    with pytest.raises(Refused, match=rf"{registry} does not tell the digest of \S+:0\.1: .*404"):
        base_images.resolve(f"{registry}/library/python:0.1")


def test_a_registry_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(Refused, match=r"127\.0\.0\.1:9 does not tell .* run the command again"):
        base_images.resolve("127.0.0.1:9/python:3.12-slim")


def test_docker_hub_is_asked_for_an_image_without_a_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def head(url: str) -> dict[str, str]:
        asked.append(url)
        return {"Docker-Content-Digest": INDEX}

    monkeypatch.setattr(base_images, "_head", head)
    for image in ("python:3.12-slim", "acme/base:1", "gcr.io/a/b:2.25.3"):
        assert base_images.resolve(image) == INDEX
    assert asked == [
        "https://registry-1.docker.io/v2/library/python/manifests/3.12-slim",
        "https://registry-1.docker.io/v2/acme/base/manifests/1",
        "https://gcr.io/v2/a/b/manifests/2.25.3",
    ]


def test_found_digests_are_recorded_once_and_used_by_every_later_deployment(
    cloud: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(image: str) -> str:
        asked.append(image)
        return INDEX

    monkeypatch.setattr(base_images, "resolve", resolve)
    cloud.fail("storage cat")
    assert base_images.pinned(parse(["up", "velocast-test"])) == {"base": INDEX, "proxy": INDEX}
    recorded = cloud.given("storage cp - gs://velocast-test-terraform-state/deployment/base-images")
    assert json.loads(recorded) == dict.fromkeys(asked, INDEX)
    cloud.answer("storage cat", recorded)
    assert base_images.pinned(parse(["up", "velocast-test"])) == {"base": INDEX, "proxy": INDEX}
    assert len(asked) == 2
    refresh = parse(["up", "velocast-test", "dev", "--refresh-base-images"])
    assert "--refresh-base-images" not in refresh.arguments
    base_images.pinned(refresh)
    assert len(asked) == 4


def test_another_tag_is_asked_for_though_the_old_one_is_recorded(
    cloud: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_images, "resolve", lambda _: INDEX)
    cloud.answer("storage cat", {"python:3.11-slim": DIGEST})
    assert base_images.pinned(parse(["up", "velocast-test"]))["base"] == INDEX


def test_a_plan_records_nothing(cloud: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_images, "resolve", lambda _: INDEX)
    cloud.fail("storage cat")
    base_images.pinned(parse(["plan", "velocast-test"]), record=False)
    assert not cloud.calls("storage cp")


def test_an_image_is_named_by_its_digest_alone() -> None:
    assert base_images.by_digest("python:3.12-slim", INDEX) == f"python@{INDEX}"
    assert base_images.by_digest("host:5000/a/b:1", INDEX) == f"host:5000/a/b@{INDEX}"


def test_every_dockerfile_takes_the_listed_base_image() -> None:
    base = json.loads(base_images.LISTED.read_text(encoding="utf-8"))["base"]
    files = [
        ROOT / "functions/serve/Dockerfile",
        ROOT / "workflows/jobs/Dockerfile",
        ROOT / "terraform/modules/mlflow/image/Dockerfile",
    ]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE) == [base], file
        assert re.findall(r"^FROM (\S+)$", text, re.MULTILINE) == ["${BASE_IMAGE}"], file
