"""Links between the repository's files, as links of the site."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = "https://github.com/velocast/velocast"
# Pages that the site has and the repository has not; the builder checks links to them.
GENERATED = ("docs/command-line.md", "docs/http-api.md", "docs/library/")
# A Markdown link or picture whose address is relative: [text](address "title")
LINK = re.compile(r"(?<!`)(\]\()(?!https?:|mailto:|#|<)([^)\s#]+)(#[^)\s]*)?")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


class BrokenLink(Exception):
    """A page links to a file that the repository does not have."""


def at_site(text: str, source: str, page: str, root: Path, adopted: Mapping[str, str]) -> str:
    """Return the Markdown with its relative links changed for the site.

    source, page: where the text is in the repository and on the site.
    root: the repository; adopted: files outside docs/ that are pages, with the page's path.
    A link to a page becomes relative to this page, a link to any other file an address on GitHub.
    Raises BrokenLink naming a link whose file is not there.
    """

    def changed(match: re.Match[str]) -> str:
        address = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if address.startswith(GENERATED):
            return match[0]
        if not (root / address).exists():
            raise BrokenLink(f"{source}: link to {match[2]}, but there is no {address}")
        return f"{match[1]}{_address(address, page, root, adopted)}{match[3] or ''}"

    parts = FENCE.split(text)
    return "".join(p if p.startswith("```") else LINK.sub(changed, p) for p in parts)


def _address(address: str, page: str, root: Path, adopted: Mapping[str, str]) -> str:
    on_site = adopted.get(address)
    if on_site is None and address.startswith("docs/") and (root / address).is_file():
        on_site = address.removeprefix("docs/")
    if on_site is not None:
        return os.path.relpath(on_site, posixpath.dirname(page) or ".").replace(os.sep, "/")
    kind = "tree" if (root / address).is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{address}"
