"""The inbox as a page that looks like a chat: plain HTML, no script; it loads itself again every five seconds."""

from __future__ import annotations

import html
import re
from typing import Any

STYLE = """
:root { color-scheme: dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 0; background: #313338; color: #dbdee1; }
header { position: sticky; top: 0; background: #313338; border-bottom: 1px solid #1f2023; padding: .8rem 1.2rem; }
header h1 { font-size: 1rem; margin: 0; } header h1::before { content: "# "; color: #80848e; }
header p { margin: .1rem 0 0; color: #949ba4; font-size: .85rem; }
main { max-width: 60rem; padding: .6rem 1.2rem 3rem; }
article { display: grid; grid-template-columns: 2.6rem 1fr; gap: .8rem; padding: .55rem 0; }
.face { width: 2.6rem; height: 2.6rem; border-radius: 50%; background: #2e9e5b; display: grid; place-items: center;
  color: #fff; font-weight: 700; }
.who { font-weight: 600; color: #f2f3f5; } .who small { font-weight: 400; color: #949ba4; margin-left: .5rem; }
.bot { background: #5865f2; color: #fff; border-radius: 3px; font-size: .62rem; padding: .1rem .3rem;
  margin-left: .35rem; vertical-align: middle; }
.embed { background: #2b2d31; border-left: 4px solid; border-radius: 4px; padding: .6rem .9rem .8rem;
  margin-top: .3rem; max-width: 34rem; }
.embed h2 { font-size: .95rem; margin: 0 0 .3rem; color: #f2f3f5; } .embed a { color: #00a8fc; text-decoration: none; }
.embed p { margin: 0 0 .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.embed pre { background: #1e1f22; border-radius: 4px; padding: .5rem; white-space: pre-wrap; overflow-wrap: anywhere;
  margin: 0 0 .5rem; font-size: .82rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .5rem .9rem; margin: 0; }
dl div.wide { grid-column: 1 / -1; }
dt { font-weight: 600; font-size: .83rem; color: #f2f3f5; }
dd { margin: 0; font-size: .87rem; overflow-wrap: anywhere; }
footer { color: #949ba4; font-size: .74rem; margin-top: .6rem; }
.empty { color: #949ba4; padding: 3rem 0; }
"""
CODE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
GREY = 0x80848E


def render_chat(messages: list[dict[str, Any]]) -> str:
    """Return the whole page, oldest message first."""
    shown = "\n".join(_article(message) for message in messages) or (
        '<p class="empty">No messages yet. Promotions, drift, failures and alerts will appear here.</p>'
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>#velocast ({len(messages)})</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5">
<style>{STYLE}</style></head><body>
<header><h1>velocast</h1><p>{len(messages)} messages. This is the local stand-in for a Discord channel.</p></header>
<main>{shown}</main></body></html>"""


def _article(message: dict[str, Any]) -> str:
    who = html.escape(str(message["author"]["username"]))
    when = html.escape(_when(message.get("timestamp")))
    content = f"<p>{html.escape(message['content'])}</p>" if message["content"] else ""
    embeds = "".join(_embed(embed) for embed in message["embeds"])
    return (
        f'<article><div class="face" aria-hidden="true">V</div><div><div class="who">{who}'
        f'<span class="bot">APP</span><small>{when}</small></div>{content}{embeds}</div></article>'
    )


def _embed(embed: dict[str, Any]) -> str:
    title = html.escape(str(embed.get("title", "")))
    if url := str(embed.get("url") or ""):
        title = f'<a href="{html.escape(url, quote=True)}" rel="noreferrer">{title}</a>'
    fields = "".join(_field(field) for field in embed.get("fields") or [])
    footer = html.escape(str((embed.get("footer") or {}).get("text", "")))
    return (
        f'<section class="embed" style="border-color:#{int(embed.get("color", GREY)):06x}"><h2>{title}</h2>'
        f"{_prose(str(embed.get('description', '')))}<dl>{fields}</dl><footer>{footer}</footer></section>"
    )


def _field(field: dict[str, Any]) -> str:
    wide = "" if field.get("inline") else ' class="wide"'
    name, value = html.escape(str(field["name"])), html.escape(str(field["value"]))
    return f"<div{wide}><dt>{name}</dt><dd>{value}</dd></div>"


def _prose(text: str) -> str:
    """Return a description as HTML; what stands between ``` is shown as code."""
    parts = CODE.split(text)
    blocks = [
        f"<pre>{html.escape(part)}</pre>" if number % 2 else f"<p>{html.escape(part.strip())}</p>"
        for number, part in enumerate(parts)
        if part.strip()
    ]
    return "".join(blocks)


def _when(timestamp: str | None) -> str:
    return timestamp.replace("T", " ")[:16] + " UTC" if timestamp else ""
