"""fetch: stores what the city has published since the last run. Pub/Sub topic velocast-fetch."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.ground.messages import FetchRequest
from velocast.ground.settings import FetchSettings
from velocast.usecases import ingest
from velocast.usecases.runtime import Runtime, handle

RUNTIME = Runtime(FetchSettings.load(), component="fetch")


@functions_framework.cloud_event
def fetch(event: CloudEvent) -> None:
    """Store the city's counts; see velocast.usecases.ingest."""
    handle(event, FetchRequest, RUNTIME, ingest.fetch, event_type="INGESTION")
