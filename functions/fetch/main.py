"""fetch: stores what the city has published since the last run. Pub/Sub topic velocast-fetch."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.ingest import fetch as ingest

RUNTIME = Runtime(FetchSettings.load(), component="fetch")


@functions_framework.cloud_event
def fetch(event: CloudEvent) -> None:
    """Store the city's counts; see velocast.usecases.ingest.fetch."""
    handle(event, FetchRequest, RUNTIME, ingest.fetch, event_type="INGESTION")
