"""The page itself: its files, and its HTML at the root of a site or below it."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from velocast.usecases.snapshot_format import CityCard

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".geojson": "application/geo+json",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
}
PAGE_FILES = frozenset(
    {
        "app.js", "calendar.js", "chart.js", "city.js", "counter.js", "data.js", "de.js", "dom.js", "download.js",
        "embed.js", "en.js", "findings.js", "format.js", "fr.js", "hand.js", "icon.svg", "map.js", "offline.js",
        "position.js", "style.css",
    }
)  # fmt: skip
# The worker that keeps what was read last. It answers only for addresses below its own, so it lies at the site's root.
WORKER = "sw.js"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{tiles}; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)


def static_folder() -> Path:
    """Return the folder of the page's files."""
    return Path(str(files("velocast.usecases.site").joinpath("static")))


@cache
def read_page_file(name: str) -> bytes:
    """Return a file of the page. The files are part of the package, so they are read once."""
    return static_folder().joinpath(name).read_bytes()


@cache
def page_version() -> str:
    """Return a digest of all files of the page, index.html included."""
    digest = hashlib.sha256()
    for name in ("index.html", *sorted(PAGE_FILES)):
        digest.update(name.encode() + b"\0" + read_page_file(name))
    return digest.hexdigest()[:12]


def content_policy(city: CityCard | None) -> str:
    """Return the page's content security policy: nothing from elsewhere but the city's map tiles."""
    tiles = ""
    if city is not None and city.map_tiles is not None:
        address = urlsplit(city.map_tiles.url)
        tiles = f" {address.scheme}://{address.netloc}"
    return POLICY.format(tiles=tiles)


def page_html(
    *,
    root: str,
    title: str | None = None,
    suffix: str = "",
    folder: str = "page/",
    policy: str | None = None,
    with_key: bool = False,
) -> bytes:
    """Return the page's HTML.

    root: the relative address of the site's root, "" or "../". suffix: what a counter's address ends with. folder: that
    of the page's files, below the root. policy: for servers that send no headers. with_key: the data are only for
    readers with a key, which the HTML cannot send.
    """
    text = read_page_file("index.html").decode("utf-8")
    text = text.replace('data-root=""', f'data-root="{root}"').replace(
        'data-suffix=""', f'data-suffix="{suffix}"'
    )
    # What the view needs is fetched at once, not one import after the other.
    other_view = "city" if root else "counter"
    text = re.sub(rf'  <link [^>]* data-view="{other_view}">\n', "", text)
    text = text.replace('="page/', f'="{root}{folder}')
    manifest = '  <link rel="preload" href="{}data/manifest.json" as="fetch" crossorigin>\n'
    text = text.replace(manifest.format(""), "" if with_key else manifest.format(root))
    for own in ("open/", "docs", "openapi.json", "metrics", "./"):
        text = text.replace(f'href="{own}', f'href="{root}{own}')
    if title:
        text = text.replace("<title>Velocast</title>", f"<title>{escape(title)}</title>")
    if policy:
        meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        text = text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n  {meta}')
    return text.encode("utf-8")
