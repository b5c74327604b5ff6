"""Slack, Mattermost, Teams' workflows and a plain webhook with the forms, limits and answers that they document.

Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (text up to 40,000 characters, 429 with
Retry-After). Mattermost: https://developers.mattermost.com/integrate/webhooks/incoming (16,383 characters). Teams:
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors (Adaptive Card, 28 KB, 202).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


@dataclass
class ImitatedServices:
    """What each service got, and the answers (status, headers) that it gives before it accepts anything."""

    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def routes(self) -> list[Route]:
        return [Route("/{path:path}", self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        host, raw = request.headers["x-meant-for"], await request.body()
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return PlainTextResponse("refused", status, headers=headers)
        body: dict[str, Any] = json.loads(raw)
        if host == "hooks.slack.com":
            text = body["attachments"][0].get("text", "") if "attachments" in body else body["text"]
            if not 0 < len(text) <= 40_000:
                return PlainTextResponse("invalid_payload", 400)
            answer: Response = PlainTextResponse("ok")
        elif host == "chat.example":
            if not 0 < len(body["text"]) <= 16_383:
                return JSONResponse({"id": "api.post.too_long"}, 400)
            answer = PlainTextResponse("ok")
        elif host == "flows.example":
            card = body["attachments"][0]
            if (
                len(raw) > 28_000
                or card["contentType"] != "application/vnd.microsoft.card.adaptive"
            ):
                return PlainTextResponse("", 413)
            answer = PlainTextResponse("", 202)
        else:
            answer = JSONResponse({})
        self.got.append((host, body))
        return answer

    def app(self) -> Starlette:
        return Starlette(routes=self.routes())


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every request of `requests` to another machine to the imitation at `url`."""
    sent = requests.adapters.HTTPAdapter.send

    def redirected(
        self: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **more: Any
    ) -> requests.Response:
        asked = urlsplit(request.url or "")
        if asked.hostname == "127.0.0.1":
            return sent(self, request, **more)
        request.headers["X-Meant-For"] = str(asked.hostname)
        request.url = f"{url}{asked.path}?{asked.query}"
        return sent(self, request, **more | {"proxies": {}})

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirected)
