"""The addresses of the counters' pages."""

from __future__ import annotations

import hashlib
import re

_PLAIN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def file_name_of(counter_id: str) -> str:
    """Return a counter's name in addresses and files: its id, or a digest of it when it has other characters."""
    if _PLAIN_ID.fullmatch(counter_id):
        return counter_id
    return "x-" + hashlib.sha256(counter_id.encode("utf-8")).hexdigest()[:16]


def counter_page_of(counter_id: str, site_url: str) -> str:
    """Return the address of a counter's page; empty where the site is not public.

    site_url: the address of the site's first page, empty where it is not public.
    """
    root = site_url.rpartition("/")[0]
    return f"{root}/counter/{file_name_of(counter_id)}.html" if root else ""
