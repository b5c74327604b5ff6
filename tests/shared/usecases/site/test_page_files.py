"""The page's HTML names at once what its first view needs."""

from __future__ import annotations

import re

import pytest

from velocast.usecases.site.page_files import page_html, read_page_file


def imports(name: str) -> set[str]:
    """The modules that a module imports when it is loaded, and theirs."""
    text = read_page_file(name).decode()
    found = set(re.findall(r'^import .* from "\./([\w.]+)";$', text, re.MULTILINE))
    return found.union(*(imports(other) for other in found))


@pytest.mark.parametrize(("root", "view"), [("", "city.js"), ("../", "counter.js")])
def test_each_module_of_the_first_view_is_fetched_at_once(root: str, view: str) -> None:
    html = page_html(root=root).decode()
    preloaded = re.findall(r'rel="modulepreload" href="([^"]+)"', html)
    needed = imports("app.js") | imports(view) | {view}
    assert sorted(preloaded) == sorted(f"{root}page/{name}" for name in needed)
