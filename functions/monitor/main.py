"""monitor: validates the champion, looks for drift, decides whether to retrain. Topic velocast-monitor."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.ground.messages import MonitorRequest
from velocast.ground.settings import MonitorSettings
from velocast.usecases.monitor import monitor as watch
from velocast.usecases.runtime import Runtime, handle

RUNTIME = Runtime(MonitorSettings.load(), component="monitor")


@functions_framework.cloud_event
def monitor(event: CloudEvent) -> None:
    """Handle one message of the topic velocast-monitor."""
    handle(event, MonitorRequest, RUNTIME, watch, event_type="VALIDATION")
