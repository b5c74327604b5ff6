"""Docstrings of this project, as Markdown.

A docstring here is one sentence, then a line for each argument (`counts: (n, 1), ...`), `Returns ...`, `Raises ...`.
Markdown would join those lines into one paragraph, so each becomes an item of a list.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ITEM = re.compile(r"^(?:(?P<names>`?\w+`?(?:, `?\w+`?)*): |(?:Returns?|Raises?|Source:|Yields?)\b)")


class ItemsAsList(griffe.Extension):
    """Lays out the docstring of every object that is documented."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of a function, class, module or attribute."""
        if obj.docstring:
            obj.docstring.value = laid_out(obj.docstring.value)


def laid_out(text: str) -> str:
    """Return the docstring with its lines on arguments, results and errors as a list.

    The first line is the summary. A line that goes on from an item stays with it; an empty line ends the list.
    """
    summary, *rest = text.splitlines() or [""]
    lines, in_list = [summary], False
    for line in rest:
        item = ITEM.match(line)
        if item:
            if not in_list and lines[-1]:
                lines.append("")
            lines.append(f"- {_named(line, item)}")
            in_list = True
        else:
            in_list = in_list and bool(line.strip())
            lines.append(f"  {line.strip()}" if in_list else line)
    return "\n".join(lines)


def _named(line: str, item: re.Match[str]) -> str:
    names = item["names"]
    if names is None or "`" in names:
        return line
    marked = ", ".join(f"`{name}`" for name in names.split(", "))
    return marked + line[len(names) :]
