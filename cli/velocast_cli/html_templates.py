"""HTML from Jinja templates that lie in a folder `templates` beside the code; every value is escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_html(package: str, name: str, **values: Any) -> str:
    """Return the template `templates/<name>.html.j2` of a package, filled with values.

    Raises jinja2.UndefinedError for a name that is not among the values.
    """
    return _environment(package).get_template(f"{name}.html.j2").render(**values)


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
