"""The function `monitor` validates the champion, checks drift and decides on retraining. Topic: velocast-monitor."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.adapters.gcs import read_address
from velocast.core.requests import MonitorRequest
from velocast.core.settings import MonitorSettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.monitoring.monitor import monitor_champion

RUNTIME = Runtime(MonitorSettings.load(read_address), component="monitor")


@functions_framework.cloud_event
def monitor(event: CloudEvent) -> None:
    """Handle one message of the topic velocast-monitor."""
    handle(event, MonitorRequest, RUNTIME, monitor_champion, event_type="VALIDATION")
