"""The dashboard page and the API's documentation: files of this package, under a strict content security policy."""

from __future__ import annotations

from importlib.resources import files

from flask import Blueprint, Response, send_from_directory

PAGE = Blueprint("page", __name__)
PAGE_FILES = frozenset(
    {
        "style.css",
        "page.js",
        "api.js",
        "map.js",
        "list.js",
        "chart.js",
        "docs.css",
        "docs.js",
        "icon.svg",
    }
)
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI sets styles inline.
DOCS = STRICT.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


@PAGE.get("/")
def index() -> Response:
    """The dashboard page."""
    return _page("index.html", STRICT)


@PAGE.get("/docs")
def docs() -> Response:
    """The API's documentation, generated from /openapi.json."""
    return _page("docs.html", DOCS)


@PAGE.get("/page/<any(" + ", ".join(f"'{name}'" for name in sorted(PAGE_FILES)) + "):name>")
def page_file(name: str) -> Response:
    """A file that the pages load."""
    return send_from_directory(_folder("velocast.usecases.serving", "static"), name)


@PAGE.get("/docs/swagger/<path:name>")
def swagger_file(name: str) -> Response:
    """A file of Swagger UI, from its package."""
    return send_from_directory(_folder("flask_openapi3_swagger", "templates/swagger"), name)


def _page(name: str, policy: str) -> Response:
    response = send_from_directory(_folder("velocast.usecases.serving", "static"), name)
    response.headers["Content-Security-Policy"] = policy
    return response


def _folder(package: str, folder: str) -> str:
    return str(files(package).joinpath(folder))
