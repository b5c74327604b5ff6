"""A message to people, before any channel shapes it to its own form and limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from velocast.core.city import Severity


@dataclass(frozen=True)
class CardField:
    """One labelled value of a card. inline: it may stand beside others."""

    name: str
    value: str
    inline: bool = True


@dataclass(frozen=True)
class Card:
    """One message. `color` is 0xRRGGBB, `timestamp` RFC 3339, `url` what the title links to (http or https).

    severity: which of the city's channels get it (`Messages`).
    """

    title: str
    color: int
    description: str = ""
    fields: tuple[CardField, ...] = ()
    url: str = ""
    timestamp: str = ""
    footer: str = ""
    severity: Severity = "info"


_LINK = re.compile(r"\[([^\[\]]*)\]\((https?://[^\s()]+)\)")


def link(text: str, url: str) -> str:
    """Return a text that leads to an address, in Markdown; the text alone without an address."""
    plain = re.sub(r"[\[\]()<>*_`|~\\\n]", " ", text).strip()
    return f"[{plain}]({url})" if url else plain


def without_links(text: str) -> str:
    """Return a text with each link of `link` written out, for channels that know no Markdown."""
    return _LINK.sub(r"\1 (\2)", text)
