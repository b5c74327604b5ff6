"""A local Discord channel: accepts webhook messages like Discord, stores them, and shows them as a chat.

POST /discord/api/webhooks/{id}/{token}  like Discord: limits (400); `?wait=true` returns the message, else 204
GET  /discord                            the chat as an HTML page
GET  /discord/messages                   {"messages": [...]}, oldest first
POST /discord/refusals                   {"status": 429, "times": 2, "retry_after": 0.5}: refuses the next messages
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.core.documents import DocumentStore
from velocast_local.discord.limits import INVALID_FORM, errors_of
from velocast_local.discord.page import render_chat

# Ids look like Discord's snowflakes and increase.
FIRST_ID = 1_000_000_000_000_000_000
REFUSALS = {
    401: {"message": "401: Unauthorized", "code": 0},
    404: {"message": "Unknown Webhook", "code": 10015},
    500: {"message": "500: Internal Server Error", "code": 0},
}


class Inbox:
    """The messages of one channel, stored in `folder`, and the refusals that were requested."""

    def __init__(self, folder: Path) -> None:
        self._records = DocumentStore(folder)
        self._lock = threading.Lock()
        self._refusals: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """Return all messages, oldest first."""
        return list(reversed(self._records.newest_first()))

    def store(self, body: dict[str, Any], webhook_id: str) -> dict[str, Any]:
        """Store a message and return it as Discord would."""
        with self._lock:
            message_id = str(FIRST_ID + len(self._records.newest_first()))
            embeds = body.get("embeds") or []
            return self._records.put(
                message_id,
                {
                    "id": message_id,
                    "type": 0,
                    "webhook_id": webhook_id,
                    "channel_id": webhook_id,
                    "content": body.get("content") or "",
                    "author": {"username": body.get("username") or "Webhook", "bot": True},
                    "embeds": [embed | {"type": "rich"} for embed in embeds],
                    # The simulated time is not known here, so the message's own timestamp is used.
                    "timestamp": next((e["timestamp"] for e in embeds if "timestamp" in e), None),
                },
            )

    def refuse_next(self, times: int, refusal: dict[str, Any]) -> None:
        """Refuse the next `times` messages."""
        with self._lock:
            self._refusals += [refusal] * times

    def next_refusal(self) -> dict[str, Any] | None:
        """Remove and return the next refusal; None when messages are accepted."""
        with self._lock:
            return self._refusals.pop(0) if self._refusals else None


def inbox_routes(folder: Path) -> list[Route]:
    """Return the routes of an inbox that stores its messages in `folder`."""
    inbox = Inbox(folder)

    async def execute(request: Request) -> Response:
        refusal = inbox.next_refusal()
        if refusal is not None:
            return _refused(refusal)
        try:
            body = await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            body = None
        if not isinstance(body, dict):
            return JSONResponse(
                {"message": "The request body contains invalid JSON.", "code": 50109}, 400
            )
        if errors := errors_of(body):
            return JSONResponse(INVALID_FORM | {"errors": errors}, 400)
        message = inbox.store(body, request.path_params["webhook_id"])
        wants_answer = request.query_params.get("wait") == "true"
        return JSONResponse(message) if wants_answer else Response(status_code=204)

    async def refuse(request: Request) -> Response:
        asked = await request.json()
        inbox.refuse_next(int(asked.get("times", 1)), asked)
        return Response(status_code=204)

    async def messages(_: Request) -> Response:
        return JSONResponse({"messages": inbox.messages()})

    async def chat(_: Request) -> Response:
        return HTMLResponse(render_chat(inbox.messages()))

    return [
        Route("/discord/api/webhooks/{webhook_id}/{token}", execute, methods=["POST"]),
        Route("/discord/refusals", refuse, methods=["POST"]),
        Route("/discord/messages", messages, methods=["GET"]),
        Route("/discord", chat, methods=["GET"]),
    ]


def _refused(refusal: dict[str, Any]) -> Response:
    status = int(refusal.get("status", 429))
    if status != 429:
        return JSONResponse(REFUSALS.get(status, {"message": str(status), "code": 0}), status)
    seconds = float(refusal.get("retry_after", 0.2))
    headers = {"Retry-After": f"{seconds:g}", "X-RateLimit-Scope": "user"}
    if refusal.get("without_json"):  # as Discord's edge servers answer
        return Response("error code: 1015", 429, headers=headers)
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
    return JSONResponse(body, 429, headers=headers)
