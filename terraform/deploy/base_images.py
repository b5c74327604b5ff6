"""The digests of the images that are not built here: asked of their registries once, and recorded.

Source: the OCI distribution specification (HEAD /v2/<name>/manifests/<tag>), with Docker's token protocol.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPMessage

from terraform.deploy import state
from terraform.deploy.command_line import Deployment
from terraform.deploy.programs import TERRAFORM_FOLDER, Refused, say

LISTED = TERRAFORM_FOLDER / "config/base_images.json"
RECORD = "base-images.json"
# An index first: it names the image of every platform.
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
DOCKER_HUB = "registry-1.docker.io"
TIMEOUT_SECONDS = 30


def pinned(deployment: Deployment, *, record: bool = True) -> dict[str, str]:
    """Return the digest of every base image, by its name in config/base_images.json.

    A digest that is recorded in the state's bucket is used as long as the image has the same tag, so that every machine
    builds from the same bytes; `--refresh-base-images` asks again. record: store what was found. Raises Refused.
    """
    listed: dict[str, str] = json.loads(LISTED.read_text(encoding="utf-8"))
    known: dict[str, str] = json.loads(state.read_record(deployment, RECORD) or "{}")
    if deployment.refresh_base_images:
        known = {}
    missing = [image for image in listed.values() if image not in known]
    for image in missing:
        known[image] = resolve(image)
        say(f"{image} is {known[image]}")
    if missing and record:
        text = json.dumps({image: known[image] for image in listed.values()}, indent=2)
        state.write_record(deployment, RECORD, text + "\n")
    return {name: known[image] for name, image in listed.items()}


def by_digest(image: str, digest: str) -> str:
    """Return an image's name with the digest in place of the tag."""
    return f"{re.sub(r':[^:/]+$', '', image)}@{digest}"


def resolve(image: str) -> str:
    """Return the digest (sha256:...) of a public image. Raises Refused when its registry does not tell."""
    host, path, tag = _parts(image)
    url = f"{_scheme(host)}://{host}/v2/{path}/manifests/{tag}"
    try:
        headers = _head(url)
    except OSError as error:
        raise Refused(
            f"{host} does not tell the digest of {image}: {error}. Check the network and run the command again"
        ) from error
    digest = str(headers.get("Docker-Content-Digest", ""))
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise Refused(f"{host} answers for {image} without a digest: {digest!r}")
    return digest


def _parts(image: str) -> tuple[str, str, str]:
    name, _, tag = image.rpartition(":")
    first, _, rest = name.partition("/")
    if "." in first or ":" in first:
        return first, rest, tag
    return DOCKER_HUB, name if "/" in name else f"library/{name}", tag


def _scheme(host: str) -> str:
    return "http" if host.startswith("127.0.0.1:") else "https"


def _head(url: str) -> HTTPMessage:
    try:
        return _send(url)
    except urllib.error.HTTPError as refusal:
        if refusal.code != 401:
            raise
        challenge = refusal.headers.get("WWW-Authenticate", "")
    return _send(url, token=_token(challenge))


def _send(url: str, token: str = "") -> HTTPMessage:
    headers = {"Accept": MANIFESTS} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, method="HEAD", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        received: HTTPMessage = answer.headers
        return received


def _token(challenge: str) -> str:
    """Return a token for anyone, from the place that the registry names."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm", "")
    if not realm.startswith(("https://", "http://127.0.0.1:")):
        raise OSError(f"the registry asks for a login that is not understood: {challenge!r}")
    url = f"{realm}?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
        told = json.load(answer)
    return str(told.get("token") or told.get("access_token") or "")
