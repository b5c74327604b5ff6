"""The page with its data, as the public site has them, and the API's documentation: under a strict content policy."""

from __future__ import annotations

import gzip
from importlib.resources import files

from flask import Blueprint, Response, request, send_from_directory

from velocast.usecases.serving import api_keys
from velocast.usecases.serving.service import service
from velocast.usecases.site.page_data import MANIFEST
from velocast.usecases.site.page_files import (
    CONTENT_TYPES,
    PAGE_FILES,
    WORKER,
    content_policy,
    page_html,
    read_page_file,
    static_folder,
)

PAGE = Blueprint("page", __name__)
FRAMES = "; frame-ancestors 'none'"
# A chart that is shown within another page has no form, and no key is asked for.
ANY_FRAME = "; frame-ancestors *"
STRICT = content_policy(None) + FRAMES
# Swagger UI sets styles inline.
DOCS = STRICT.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
DOCS_FILES = ("docs.css", "docs.js")
FOR_EVER = "max-age=31536000, immutable"
JSON = "application/json"


@PAGE.get("/")
def index() -> Response:
    """The city's page."""
    return _page(root="")


@PAGE.get("/counter/<string:name>")
def counter(name: str) -> Response:  # noqa: ARG001  # the page itself reads its address
    """A counter's page; its name is that of `file_name_of`. With embed=1 its chart, for any other page."""
    embedded = request.args.get("embed") == "1" and service().public_reading
    return _page(root="../", frames=ANY_FRAME if embedded else FRAMES)


def _page(*, root: str, frames: str = FRAMES) -> Response:
    html = page_html(root=root, with_key=not service().public_reading)
    response = _packed(html, CONTENT_TYPES[".html"])
    response.headers["Vary"] = "Accept-Encoding"
    known = service().holder.current()
    city = None if known is None else known.snapshot.city
    response.headers["Content-Security-Policy"] = content_policy(city) + frames
    if city is not None and city.map_tiles is not None:
        # Tile servers want to know which site asks; they learn its origin, never an address within it.
        response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    return _revalidated(response)


@PAGE.get("/data/manifest.json")
def manifest() -> Response:
    """What is published at the moment: the city, and the folder of the files that never change."""
    _admit_reader()
    return _compressed(service().index().page_data.manifest(api=True), JSON, "no-cache")


@PAGE.get("/data/<path:name>")
def data(name: str) -> Response:
    """A file of the current publication; 404 for an earlier one."""
    _admit_reader()
    content = service().index().page_data.content(f"{MANIFEST.split('/', 1)[0]}/{name}")
    if content is None:
        return Response(status=404)
    shared = "public" if service().public_reading else "private"
    return _compressed(content, JSON, f"{shared}, {FOR_EVER}")


def _admit_reader() -> None:
    """Admit a request by its key or, where reading is public, by the client's address: no key is looked at then."""
    if not service().public_reading:
        given = request.headers.get("X-API-Key")
        name = api_keys.authenticate(service().keys, service().wrong_keys, given)
    else:
        # Cloud Run appends the address that called it; what comes before it is only the client's claim.
        name = (
            request.headers.get("X-Forwarded-For", request.remote_addr or "").split(",")[-1].strip()
        )
        name = f"reader {name}"
    service().reading_limiter.take(name, service().now())


def _compressed(content: bytes, content_type: str, cache: str) -> Response:
    response = _packed(content, content_type)
    response.headers["Vary"] = "Accept-Encoding, X-API-Key"
    response.headers["Cache-Control"] = cache
    return _revalidated(response)


def _packed(content: bytes, content_type: str) -> Response:
    packed = request.accept_encodings["gzip"] > 0
    response = Response(
        gzip.compress(content, 6, mtime=0) if packed else content, content_type=content_type
    )
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _revalidated(response: Response) -> Response:
    response.add_etag()
    response.make_conditional(request)
    return response


@PAGE.get("/docs")
def docs() -> Response:
    """The API's documentation, generated from /openapi.json."""
    response = send_from_directory(static_folder(), "docs.html")
    response.headers["Content-Security-Policy"] = DOCS
    return response


@PAGE.get("/page/<string:name>")
def page_file(name: str) -> Response:
    """A file that the pages load."""
    if name not in PAGE_FILES and name not in DOCS_FILES:
        return Response(status=404)
    return _page_file(name)


@PAGE.get(f"/{WORKER}")
def worker() -> Response:
    """The worker that keeps what was read last."""
    return _page_file(WORKER)


def _page_file(name: str) -> Response:
    content_type = CONTENT_TYPES["." + name.rsplit(".", 1)[1]]
    response = _compressed(read_page_file(name), content_type, "no-cache")
    response.headers["Vary"] = "Accept-Encoding"
    return response


@PAGE.get("/docs/swagger/<path:name>")
def swagger_file(name: str) -> Response:
    """A file of Swagger UI, from its package."""
    return send_from_directory(
        str(files("flask_openapi3_swagger").joinpath("templates/swagger")), name
    )
