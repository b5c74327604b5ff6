"""The function `fetch` stores what the city has published since the last run. Topic: velocast-fetch."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.adapters.gcs import read_address
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.ingest.requested import ingest_city_data

RUNTIME = Runtime(FetchSettings.load(read_address), component="fetch")


@functions_framework.cloud_event
def fetch(event: CloudEvent) -> None:
    """Handle one message of the topic velocast-fetch."""
    handle(event, FetchRequest, RUNTIME, ingest_city_data, event_type="INGESTION")
