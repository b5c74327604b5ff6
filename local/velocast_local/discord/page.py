"""The inbox as an HTML page that looks like a chat: no script; the browser reloads it every five seconds."""

from __future__ import annotations

import re
from typing import Any

from velocast_cli.html_templates import render_html

CODE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
GREY = 0x80848E


def render_chat(messages: list[dict[str, Any]]) -> str:
    """Return the whole page. messages: as `Inbox.messages` returns them, shown in that order."""
    shown = [_message(message) for message in messages]
    return render_html("velocast_local.discord", "chat", messages=shown)


def _message(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "author": message["author"]["username"],
        "sent_at": _minute(message.get("timestamp")),
        "content": message["content"],
        "embeds": [_embed(embed) for embed in message["embeds"]],
    }


def _embed(embed: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": embed.get("title", ""),
        "url": embed.get("url"),
        "color": f"#{int(embed.get('color', GREY)):06x}",
        "blocks": _blocks(str(embed.get("description", ""))),
        "fields": [field | {"inline": field.get("inline")} for field in embed.get("fields") or []],
        "footer": (embed.get("footer") or {}).get("text", ""),
    }


def _blocks(text: str) -> list[dict[str, Any]]:
    """Split a description into text and code; what stands between ``` is code."""
    parts = [(number % 2 == 1, part) for number, part in enumerate(CODE.split(text))]
    return [
        {"is_code": is_code, "text": part if is_code else part.strip()}
        for is_code, part in parts
        if part.strip()
    ]


def _minute(timestamp: str | None) -> str:
    return timestamp.replace("T", " ")[:16] + " UTC" if timestamp else ""
