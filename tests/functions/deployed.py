"""A function as it is deployed: its main.py under the Functions Framework."""

from __future__ import annotations

import base64
from pathlib import Path

from flask import Flask
from functions_framework import create_app

FOLDER = Path(__file__).parents[2] / "functions"


def load_function(name: str) -> Flask:
    """Load functions/<name>/main.py as the framework does. Set the environment first: main.py reads its settings."""
    source = str(FOLDER / name / "main.py")
    app: Flask = create_app(name, source)  # type: ignore[no-untyped-call]  # it has no annotations
    return app


class Deployed:
    """One function in this process, called the way Pub/Sub calls it.

    Create it after setting the environment, because it reads its settings at start.
    """

    def __init__(self, name: str) -> None:
        app = load_function(name)
        # an error becomes status 500, as in production, so that Pub/Sub delivers the message again
        app.config["PROPAGATE_EXCEPTIONS"] = False
        self.name = name
        self._client = app.test_client()

    def deliver(self, data: bytes, *, message_id: str, published: str) -> int:
        """Push a message and return the HTTP status that Pub/Sub receives."""
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": message_id,
            "publishTime": published,
            "attributes": {},
        }
        subscription = f"projects/velocast-local/subscriptions/velocast-{self.name}"
        body = {"message": message, "subscription": subscription}
        return self._client.post("/", json=body).status_code
