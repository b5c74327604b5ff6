"""Print the OpenAPI document of the service, as `GET /openapi.json` answers it."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from velocast.adapters.gcs import Objects
from velocast.core.settings import ServeSettings
from velocast.usecases.serving.app import create_app


def document() -> str:
    """Return the document as JSON. No request below /v1 is made, so the bucket is never read."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        keys.write_text("documentation:not-a-real-key\n", encoding="utf-8")
        settings = ServeSettings.model_construct(
            api_keys_file=keys, requests_per_minute=100, public_site=False
        )
        app = create_app(settings, cast(Objects, None), now=lambda: datetime.now(UTC))
        return app.test_client().get("/openapi.json").get_data(as_text=True)


if __name__ == "__main__":
    sys.stdout.write(document())
